//! What helm checks before it renders, and what the templates know of the values.

use serde_json::{Map, Value as Json, json};

use crate::chart::values::{self, Form, Standing, Value};

/// `values.schema.json`: types only. Unknown names are refused by the templates, which say what was meant.
pub(super) fn schema() -> String {
    let mut root = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the Portico chart",
        "type": "object",
        "properties": {},
    });
    for value in values::all() {
        let mut place = &mut root;
        let mut parts = value.path.split('.').peekable();
        while let Some(part) = parts.next() {
            let fresh = if parts.peek().is_some() {
                json!({"type": ["object", "null"], "properties": {}})
            } else {
                leaf(value)
            };
            place = place["properties"]
                .as_object_mut()
                .expect("a section")
                .entry(part)
                .or_insert(fresh);
        }
    }
    pretty(&root)
}

/// `files/values.json`: all names, the sections, the defaults of what is shown.
pub(super) fn names() -> String {
    let mut older = Map::new();
    let mut unused = Map::new();
    for value in values::all() {
        match value.standing {
            Standing::Older(newer) => drop(older.insert(value.path.to_owned(), json!(newer))),
            Standing::Unused(why) => drop(unused.insert(value.path.to_owned(), json!(why))),
            Standing::Own | Standing::Shared => {}
        }
    }
    let known: Vec<&str> = values::all().map(|value| value.path).collect();
    pretty(&json!({
        "defaults": defaults(),
        "known": known,
        "older": older,
        "sections": values::sections(),
        "unused": unused,
    }))
}

fn defaults() -> Json {
    let mut root = json!({});
    for value in values::shown() {
        let mut place = &mut root;
        for part in value.path.split('.') {
            place = place
                .as_object_mut()
                .expect("a section")
                .entry(part)
                .or_insert_with(|| json!({}));
        }
        *place = default(value);
    }
    root
}

/// A value's default. Blank texts are empty, other blanks are null.
pub(super) fn default(value: &Value) -> Json {
    match value.form {
        Form::Text | Form::OneOf(_) => json!(value.default),
        _ if value.default.is_empty() => Json::Null,
        _ => serde_json::from_str(value.default).expect("the default of a value that is no text is JSON"),
    }
}

fn leaf(value: &Value) -> Json {
    let mut leaf = match value.form {
        Form::Text => json!({"type": ["string", "null"]}),
        Form::OneOf(choices) => {
            let mut choices: Vec<Json> = choices.iter().map(|choice| json!(choice)).collect();
            if !choices.contains(&json!("")) {
                choices.push(json!(""));
            }
            choices.push(Json::Null);
            json!({"enum": choices})
        }
        Form::YesNo => json!({"type": ["boolean", "null"]}),
        Form::Number(least, most) => json!({"type": ["integer", "null"], "minimum": least, "maximum": most}),
        Form::Texts => json!({"type": ["array", "null"], "items": {"type": "string"}}),
        Form::Mappings(required) => {
            json!({"type": ["array", "null"], "items": {"type": "object", "required": required}})
        }
        Form::TextsByName => {
            json!({"type": ["object", "null"], "additionalProperties": {"type": ["string", "null"]}})
        }
        Form::Mapping => json!({"type": ["object", "null"]}),
    };
    let about = match value.standing {
        Standing::Own | Standing::Shared => value.about.to_owned(),
        Standing::Older(newer) => format!("An older name of `{newer}`."),
        Standing::Unused(why) => format!("Has no effect: {why}."),
    };
    leaf["description"] = json!(about);
    leaf
}

fn pretty(value: &Json) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("a tree of texts");
    text.push('\n');
    text
}
