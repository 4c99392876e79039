//! The little language of list filters: values, `-value`, and the words that begin with `__$`.

use serde_json::Value;

use crate::error::ApiError;

/// A list filter.
///
/// Values after `__$all`/`__$and` must all be there, values after `__$any`/`__$or` (and at the start) need one of them. `-x` and
/// `__$not` before a value negate it. The first word or value decides how the groups are joined – with "or" unless it says "and". So
/// `["external_service", "-archived"]` finds everything that has the one tag *or* lacks the other; only
/// `["__$and", "external_service", "-archived"]` excludes. From the server's source.
#[derive(Debug, Default)]
pub(super) struct Terms {
    every_group: bool,
    any: Vec<String>,
    none: Vec<String>,
    all: Vec<String>,
    not_all: Vec<String>,
    or_empty: bool,
}

impl Terms {
    /// Reads the list of a field.
    pub(super) fn parse(field: &str, value: &Value) -> Result<Self, ApiError> {
        let mut terms = Self::default();
        let (mut first, mut and, mut negate) = (true, false, false);
        let single = std::slice::from_ref(value);
        for item in value.as_array().map_or(single, Vec::as_slice) {
            match item {
                Value::Null => terms.or_empty = true,
                Value::String(word) if word == "__$not" => negate = true,
                Value::String(word) if word == "__$nop" => negate = false,
                Value::String(word) if word.starts_with("__$") => {
                    and = match word.as_str() {
                        "__$and" | "__$all" => true,
                        "__$or" | "__$any" => false,
                        _ => {
                            return Err(ApiError::new(
                                400,
                                11,
                                format!("Fields value error (Unsupported operator): field={field}, operator={word}"),
                            ));
                        }
                    };
                    terms.every_group |= first && and;
                    first = false;
                }
                Value::String(word) => {
                    let (value, excluded) = word
                        .strip_prefix('-')
                        .map_or((word.as_str(), negate), |value| (value, true));
                    let group = match (and, excluded) {
                        (false, false) => &mut terms.any,
                        (false, true) => &mut terms.none,
                        (true, false) => &mut terms.all,
                        (true, true) => &mut terms.not_all,
                    };
                    group.push(value.to_owned());
                    (first, negate) = (false, false);
                }
                _ => {
                    return Err(ApiError::new(
                        400,
                        11,
                        format!(
                            "Fields value error (invalid value type, string expected): field={field}, value={item}"
                        ),
                    ));
                }
            }
        }
        Ok(terms)
    }

    /// Whether a field with this value passes.
    pub(super) fn matches(&self, value: Option<&Value>) -> bool {
        let present = crate::collection::texts(value);
        let has = |wanted: &String| present.contains(wanted);
        let groups = [
            (!self.any.is_empty()).then(|| self.any.iter().any(has)),
            (!self.none.is_empty()).then(|| !self.none.iter().any(has)),
            (!self.all.is_empty()).then(|| self.all.iter().all(has)),
            (!self.not_all.is_empty()).then(|| !self.not_all.iter().all(has)),
        ];
        let mut groups = groups.into_iter().flatten().peekable();
        let passes = if groups.peek().is_none() {
            !self.or_empty
        } else if self.every_group {
            groups.all(|group| group)
        } else {
            groups.any(|group| group)
        };
        passes || (self.or_empty && present.is_empty())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

    use serde_json::json;

    use super::*;

    fn matches(filter: &Value, tags: &Value) -> bool {
        Terms::parse("system_tags", filter).unwrap().matches(Some(tags))
    }

    #[test]
    fn one_of_the_values_is_enough() {
        assert!(matches(&json!(["a", "b"]), &json!(["b"])));
        assert!(!matches(&json!(["a", "b"]), &json!(["c"])));
        assert!(matches(&json!([]), &json!(["c"])));
        assert!(matches(&json!("a"), &json!(["a"])));
    }

    #[test]
    fn and_excludes_while_or_only_widens() {
        let (both, neither) = (json!(["external_service", "archived"]), json!([]));
        assert!(!matches(
            &json!(["__$and", "external_service", "__$not", "archived"]),
            &both
        ));
        assert!(!matches(&json!(["__$and", "external_service", "-archived"]), &neither));
        assert!(matches(&json!(["external_service", "-archived"]), &both));
        assert!(matches(&json!(["external_service", "-archived"]), &neither));
        assert!(!matches(&json!(["-archived"]), &both));
    }

    #[test]
    fn null_means_empty() {
        assert!(matches(&json!([null]), &json!([])));
        assert!(!matches(&json!([null]), &json!(["a"])));
        assert!(matches(&json!([null, "a"]), &json!(["a"])));
    }

    #[test]
    fn an_unknown_word_is_refused() {
        assert!(Terms::parse("tags", &json!(["__$xor", "a"])).is_err());
    }
}
