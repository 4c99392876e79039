//! Which documents a call asks for.

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::{Kind, terms::Terms};
use crate::{
    clock,
    collection::{Document, at, text, texts},
    error::ApiError,
};

/// All conditions of one call; a document must meet each.
#[derive(Debug, Default)]
pub(super) struct Filter {
    lists: Vec<(String, Terms)>,
    equal: Vec<(String, Value)>,
    /// Moments in the form in which documents keep them: their order as text is their order in time.
    dates: Vec<(String, Comparison, String)>,
    patterns: Vec<(String, Regex)>,
    groups: Vec<(bool, Vec<String>, Regex)>,
    members: Vec<(String, Members)>,
    hides_hidden: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    After,
    AtMost,
    Before,
    Is,
}

/// One entry of `filters`: values that must or must not be in a field.
#[derive(Debug, Default)]
struct Members {
    either: bool,
    any: Vec<String>,
    not_any: Vec<String>,
    all: Vec<String>,
    not_all: Vec<String>,
}

impl Filter {
    /// Reads the conditions. Names that are no filter are ignored, as the server ignores them.
    pub(super) fn parse(arguments: &Map<String, Value>, kind: &Kind) -> Result<Self, ApiError> {
        let mut filter = Self {
            hides_hidden: kind.lists.contains(&"system_tags")
                && !arguments.get("search_hidden").and_then(Value::as_bool).unwrap_or(false)
                && !arguments.contains_key("id"),
            ..Self::default()
        };
        for (name, value) in arguments.iter().filter(|(_, value)| !value.is_null()) {
            if kind.lists.iter().any(|list| covers(list, name)) {
                filter.lists.push((name.clone(), Terms::parse(name, value)?));
            } else if kind.equal.iter().any(|prefix| covers(prefix, name)) {
                filter.equal.push((name.clone(), value.clone()));
            } else if kind.dates.contains(&name.as_str()) {
                filter.add_dates(name, value);
            } else if name == "name" {
                filter
                    .patterns
                    .push((name.clone(), pattern(name, value.as_str().unwrap_or_default(), false)?));
            } else if let "_any_" | "_or_" | "_all_" | "_and_" = name.as_str() {
                let expression = pattern(name, value["pattern"].as_str().unwrap_or_default(), true)?;
                filter.groups.push((
                    matches!(name.as_str(), "_all_" | "_and_"),
                    texts(value.get("fields")),
                    expression,
                ));
            } else if name == "filters" {
                for (field, conditions) in value.as_object().into_iter().flatten() {
                    filter.members.push((field.clone(), Members::parse(conditions)));
                }
            }
        }
        Ok(filter)
    }

    /// Two plain values are a range; any others are single conditions such as `>=2026-01-01`. What is no date is ignored.
    fn add_dates(&mut self, field: &str, value: &Value) {
        let items = texts(Some(value));
        let range = items.len() == 2 && !items.iter().any(|item| item.starts_with(['<', '>']));
        for (index, item) in items.iter().enumerate() {
            let (comparison, moment) = match item.as_str() {
                item if range => (
                    if index == 0 {
                        Comparison::AtLeast
                    } else {
                        Comparison::AtMost
                    },
                    item,
                ),
                item => split(item),
            };
            if let Some(moment) = clock::parse(moment) {
                self.dates.push((field.to_owned(), comparison, moment.precise()));
            }
        }
    }

    /// Whether a document meets every condition.
    pub(super) fn matches(&self, document: &Document) -> bool {
        let hidden = self.hides_hidden && texts(document.get("system_tags")).iter().any(|tag| tag == "hidden");
        !hidden
            && self
                .lists
                .iter()
                .all(|(field, terms)| terms.matches(at(document, field)))
            && self
                .equal
                .iter()
                .all(|(field, wanted)| at(document, field) == Some(wanted))
            && self.dates.iter().all(|(field, comparison, moment)| {
                let (value, moment) = (text(document, field), moment.as_str());
                !value.is_empty()
                    && match comparison {
                        Comparison::AtLeast => value >= moment,
                        Comparison::After => value > moment,
                        Comparison::AtMost => value <= moment,
                        Comparison::Before => value < moment,
                        Comparison::Is => value == moment,
                    }
            })
            && self
                .patterns
                .iter()
                .all(|(field, expression)| expression.is_match(text(document, field)))
            && self.groups.iter().all(|(every, fields, expression)| {
                let mut hits = fields.iter().map(|field| {
                    texts(at(document, field))
                        .iter()
                        .any(|value| expression.is_match(value))
                });
                fields.is_empty()
                    || if *every {
                        hits.all(|hit| hit)
                    } else {
                        hits.any(|hit| hit)
                    }
            })
            && self
                .members
                .iter()
                .all(|(field, members)| members.matches(at(document, field)))
    }
}

impl Members {
    fn parse(conditions: &Value) -> Self {
        let list = |group: &str, side: &str| texts(conditions[group].get(side));
        Self {
            either: conditions["op"].as_str() == Some("or"),
            any: list("any", "include"),
            not_any: list("any", "exclude"),
            all: list("all", "include"),
            not_all: list("all", "exclude"),
        }
    }

    fn matches(&self, value: Option<&Value>) -> bool {
        let present = texts(value);
        let has = |wanted: &String| present.contains(wanted);
        let any = (!self.any.is_empty() || !self.not_any.is_empty())
            .then(|| self.any.iter().any(has) || (!self.not_any.is_empty() && !self.not_any.iter().any(has)));
        let all = (!self.all.is_empty() || !self.not_all.is_empty())
            .then(|| self.all.iter().all(has) && !self.not_all.iter().any(has));
        match (any, all) {
            (Some(any), Some(all)) if self.either => any || all,
            (any, all) => any.unwrap_or(true) && all.unwrap_or(true),
        }
    }
}

/// Whether a pattern such as `runtime.*` covers a name.
fn covers(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |prefix| name.starts_with(prefix))
}

fn split(item: &str) -> (Comparison, &str) {
    for (prefix, comparison) in [
        (">=", Comparison::AtLeast),
        (">", Comparison::After),
        ("<=", Comparison::AtMost),
        ("<", Comparison::Before),
    ] {
        if let Some(moment) = item.strip_prefix(prefix) {
            return (comparison, moment);
        }
    }
    (Comparison::Is, item)
}

fn pattern(field: &str, expression: &str, any_case: bool) -> Result<Regex, ApiError> {
    RegexBuilder::new(expression)
        .case_insensitive(any_case)
        .build()
        .map_err(|error| {
            ApiError::new(
                400,
                11,
                format!("Fields value error (failed parsing query field): field={field}, error={error}"),
            )
        })
}
