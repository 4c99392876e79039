//! Comparing answers with what was recorded: everything exactly, but for placeholders.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

/// Values by name, filled in for `{{name}}`.
pub(crate) type Names = BTreeMap<String, String>;

/// What a placeholder stands for that is no name.
const CLASSES: &[(&str, &str)] = &[
    ("any", ".*"),
    ("id", "[0-9a-f]{32}"),
    ("jwt", r"[\w-]+\.[\w-]+\.[\w-]+"),
    ("time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00"),
    ("stored", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}000\+00:00"),
    ("naive", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}"),
    ("date", r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"),
];

/// The text with every known name filled in; classes stay.
pub(crate) fn fill(text: &str, names: &Names) -> String {
    let mut filled = text.to_owned();
    for (name, value) in names {
        filled = filled.replace(&format!("{{{{{name}}}}}"), value);
    }
    filled
}

/// As [`fill`], in every text of a value.
pub(crate) fn fill_value(value: &Value, names: &Names) -> Value {
    match value {
        Value::String(text) => Value::String(fill(text, names)),
        Value::Array(items) => items.iter().map(|item| fill_value(item, names)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), fill_value(value, names)))
            .collect(),
        other => other.clone(),
    }
}

/// Says where a text differs from a pattern.
pub(crate) fn text(at: &str, expected: &str, got: &str, names: &Names) -> Option<String> {
    let mut pattern = regex::escape(&fill(expected, names));
    for (class, expression) in CLASSES {
        pattern = pattern.replace(&format!(r"\{{\{{{class}\}}\}}"), expression);
    }
    let matches = Regex::new(&format!("(?s)^{pattern}$")).unwrap().is_match(got);
    (!matches).then(|| format!("{at}: expected {expected:?}, got {got:?}"))
}

/// Says where a value differs from what is expected. Objects must have exactly the expected keys, lists the expected length.
pub(crate) fn value(at: &str, expected: &Value, got: &Value, names: &Names) -> Vec<String> {
    match (expected, got) {
        (Value::String(pattern), Value::String(found)) => text(at, pattern, found, names).into_iter().collect(),
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            let pairs = wanted.iter().zip(found).enumerate();
            pairs
                .flat_map(|(index, (wanted, found))| value(&format!("{at}[{index}]"), wanted, found, names))
                .collect()
        }
        (Value::Object(wanted), Value::Object(found)) => {
            let missing = wanted
                .keys()
                .filter(|key| !found.contains_key(*key))
                .map(|key| format!("{at}.{key}: missing"));
            let surplus = found
                .iter()
                .filter(|(key, _)| !wanted.contains_key(*key))
                .map(|(key, value)| format!("{at}.{key}: not expected: {value}"));
            let common = wanted
                .iter()
                .filter_map(|(key, wanted)| Some(value(&format!("{at}.{key}"), wanted, found.get(key)?, names)));
            missing.chain(surplus).chain(common.flatten()).collect()
        }
        (wanted, found) if wanted == found => Vec::new(),
        (wanted, found) => vec![format!("{at}: expected {wanted}, got {found}")],
    }
}
