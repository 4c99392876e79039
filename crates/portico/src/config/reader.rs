//! From pieces to values, collecting what is wrong on the way.

use std::time::Duration;

use portico_core::access::Who;
use serde_yaml_ng::Value as Yaml;

use super::{
    Place,
    forms::{self, Form},
    keys::{self, Fallback},
    said::{Piece, Said, Value},
};

pub(super) struct Reader {
    pub(super) said: Said,
}

impl Reader {
    /// Where a key was said, or that it was not.
    pub(super) fn place(&self, key: &'static str) -> Place {
        self.said.place(key)
    }

    pub(super) fn is_said(&self, key: &str) -> bool {
        self.said.get(key).is_some()
    }

    /// A value that may be absent.
    pub(super) fn optional<F: Form>(&mut self, key: &'static str) -> Option<F> {
        let piece = self.said.get(key)?.clone();
        if let Some(text) = scalar(&piece.value) {
            return self.form(&text, &piece.place);
        }
        self.said.mistake(piece.place, "is not a single value", F::EXPECTED);
        None
    }

    /// A value that must be said. A mistake is noted if it is not.
    pub(super) fn required<F: Form>(&mut self, key: &'static str) -> Option<F> {
        if !self.is_said(key) {
            self.said.mistake(Place::Unsaid(key), "is not set", F::EXPECTED);
        }
        self.optional(key)
    }

    /// A value with a default. Where what was said is wrong, the default stands in until all mistakes are found.
    pub(super) fn value<F: Form>(&mut self, key: &'static str) -> F {
        self.optional(key).unwrap_or_else(|| default(key))
    }

    /// A duration that may not be zero.
    pub(super) fn positive(&mut self, key: &'static str) -> Duration {
        let duration: Duration = self.value(key);
        if duration.is_zero() {
            let place = self.place(key);
            self.said.mistake(place, "must not be zero", Duration::EXPECTED);
            return default(key);
        }
        duration
    }

    /// A list; a single value is a list of one. In the environment: separated by spaces or commas.
    pub(super) fn list<F: Form>(&mut self, key: &'static str) -> Vec<F> {
        let Some(piece) = self.said.get(key).cloned() else {
            return match keys::find(key).map(|key| key.fallback) {
                Some(Fallback::Value(text)) => F::read(text).into_iter().collect(),
                _ => Vec::new(),
            };
        };
        let Some(texts) = texts(&piece) else {
            self.said.mistake(
                piece.place,
                "is not a list of plain values",
                format!("{}, one or more", F::EXPECTED),
            );
            return Vec::new();
        };
        texts.iter().filter_map(|text| self.form(text, &piece.place)).collect()
    }

    /// Access rules by name: a mapping from a name to a rule.
    pub(super) fn rules(&mut self, key: &'static str) -> Vec<(String, Who)> {
        let Some(piece) = self.said.get(key).cloned() else {
            return Vec::new();
        };
        let content = match &piece.value {
            Value::Yaml(value) => Ok(value.clone()),
            Value::Text(text) => serde_yaml_ng::from_str(text).map_err(|error| error.to_string()),
        };
        let Ok(Yaml::Mapping(content)) = content else {
            self.said.mistake(
                piece.place,
                "is not a mapping",
                "write names with their rules, such as {my_queue: owner}",
            );
            return Vec::new();
        };
        let mut rules = Vec::new();
        for (name, rule) in content {
            let Some(name) = yaml_scalar(&name) else { continue };
            let rule = match &rule {
                Yaml::Sequence(ids) => ids
                    .iter()
                    .map(yaml_scalar)
                    .collect::<Option<Vec<_>>>()
                    .map(forms::users)
                    .ok_or_else(|| "is not a list of ids".to_owned()),
                rule => yaml_scalar(rule).map_or_else(|| Err("is not a rule".into()), |text| Who::read(&text)),
            };
            match rule {
                Ok(who) => rules.push((name, who)),
                Err(why) => self
                    .said
                    .mistake(piece.place.clone(), format!("{name:?}: {why}"), Who::EXPECTED),
            }
        }
        rules
    }

    fn form<F: Form>(&mut self, text: &str, place: &Place) -> Option<F> {
        match F::read(text.trim()) {
            Ok(value) => Some(value),
            Err(why) => {
                self.said.mistake(place.clone(), why, F::EXPECTED);
                None
            }
        }
    }
}

fn texts(piece: &Piece) -> Option<Vec<String>> {
    match &piece.value {
        Value::Yaml(Yaml::Sequence(values)) => values.iter().map(yaml_scalar).collect(),
        Value::Yaml(value) => yaml_scalar(value).map(|text| vec![text]),
        // Names with spaces in them can be written as a YAML list.
        Value::Text(text) if text.starts_with('[') => match serde_yaml_ng::from_str(text) {
            Ok(Yaml::Sequence(values)) => values.iter().map(yaml_scalar).collect(),
            _ => Some(split(text)),
        },
        Value::Text(text) => Some(split(text)),
    }
}

fn split(text: &str) -> Vec<String> {
    let parts = text.split(|letter: char| letter == ',' || letter.is_whitespace());
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The default of a key. A test shows that each one can be read.
fn default<F: Form>(key: &str) -> F {
    let Some(Fallback::Value(text)) = keys::find(key).map(|key| key.fallback) else {
        unreachable!("{key} has no default value")
    };
    F::read(text).unwrap_or_else(|why| unreachable!("the default of {key}: {why}"))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Yaml(value) => yaml_scalar(value),
    }
}

fn yaml_scalar(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Bool(is) => Some(is.to_string()),
        Yaml::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
