//! `README.md` of the chart, which `helm show readme` prints: how to install it, and every value.

use std::fmt::Write;

use crate::chart::schema;
use crate::chart::values::{self, Form, Standing, Value};

const HEAD: &str = include_str!("readme/head.md");

pub(super) fn readme() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("| value | type | default | meaning |\n|---|---|---|---|\n");
    for value in values::shown() {
        let mark = if value.standing == Standing::Shared { " ᴱ" } else { "" };
        let _ = writeln!(
            text,
            "| `{}`{mark} | {} | {} | {} |",
            value.path,
            form(value.form),
            default(value),
            value.about.replace('|', "\\|"),
        );
    }
    text.push_str(
        "\n## Older names\n\nThey work as before. Where both are set and differ, the installation fails and says so. A newer\n\
         name that has its default counts as not set.\n\n\
         | older name | name |\n|---|---|\n",
    );
    for value in values::all() {
        if let Standing::Older(newer) = value.standing {
            let _ = writeln!(text, "| `{}` | `{newer}` |", value.path);
        }
    }
    text.push_str(
        "\n## Names without effect\n\nThey are accepted, so that a working file of values need not be changed; what helm prints after the \
         installation names those\nthat are set.\n\n| name | why |\n|---|---|\n",
    );
    for value in values::all() {
        if let Standing::Unused(why) = value.standing {
            let _ = writeln!(text, "| `{}` | {why} |", value.path);
        }
    }
    text
}

fn form(form: Form) -> String {
    match form {
        Form::Text => "text".to_owned(),
        Form::OneOf(choices) => {
            let said = choices.iter().filter(|choice| !choice.is_empty());
            said.map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ")
        }
        Form::YesNo => "yes or no".to_owned(),
        Form::Number(1, 65535) => "port".to_owned(),
        Form::Number(least, most) if least == most => "number".to_owned(),
        Form::Number(least, most) => format!("{least} to {most}"),
        Form::Texts => "list of texts".to_owned(),
        Form::Mappings(_) => "list".to_owned(),
        Form::TextsByName => "texts by name".to_owned(),
        Form::Mapping => "mapping".to_owned(),
    }
}

fn default(value: &Value) -> String {
    match schema::default(value).to_string().as_str() {
        "null" | "\"\"" | "[]" | "{}" => String::new(),
        other => format!("`{}`", other.trim_matches('"')),
    }
}
