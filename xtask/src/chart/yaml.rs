//! `values.yaml`: every value with its default, and what it is for.

use std::fmt::Write;

use serde_json::Value as Json;

use crate::chart::schema;
use crate::chart::values::{self, Value};

const HEAD: &str = "\
# The values of the Portico chart and their defaults. Made by `cargo xtask chart`.
# A value that is left blank counts as not said. README.md says which names the enterprise chart has, too.
";
const WIDTH: usize = 118;

pub(super) fn values() -> String {
    let mut text = HEAD.to_owned();
    let mut open: Vec<&str> = Vec::new();
    for value in values::shown() {
        let mut sections: Vec<&str> = value.path.split('.').collect();
        let name = sections.pop().unwrap_or_default();
        let common = open.iter().zip(&sections).take_while(|(one, two)| one == two).count();
        if common == 0 {
            text.push('\n');
        }
        for (depth, section) in sections.iter().enumerate().skip(common) {
            let _ = writeln!(text, "{}{section}:", "  ".repeat(depth));
        }
        let indent = "  ".repeat(sections.len());
        comment(&mut text, &indent, value);
        let _ = writeln!(
            text,
            "{indent}{name}:{}",
            after_colon(&schema::default(value), sections.len())
        );
        open = sections;
    }
    text
}

fn comment(text: &mut String, indent: &str, value: &Value) {
    let mut line = format!("{indent}#");
    for word in value.about.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = format!("{indent}#");
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(text, "{line}");
}

/// What stands behind the colon: on the same line, or on lines of its own.
fn after_colon(value: &Json, depth: usize) -> String {
    match value {
        Json::Null => String::new(),
        Json::Object(entries) if !entries.is_empty() => {
            let indent = "  ".repeat(depth + 1);
            entries.iter().fold(String::new(), |mut text, (name, value)| {
                let _ = write!(text, "\n{indent}{name}:{}", after_colon(value, depth + 1));
                text
            })
        }
        Json::String(text) if is_plain(text) => format!(" {text}"),
        other => format!(" {other}"),
    }
}

/// Texts that YAML reads as texts without quotes.
fn is_plain(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(is_word)
        && !matches!(text, "true" | "false" | "null" | "yes" | "no" | "on" | "off")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mappings_are_written_on_lines_of_their_own() {
        let value = json!({"capabilities": {"drop": ["ALL"]}, "uid": 65532, "cpu": "100m"});
        assert_eq!(
            after_colon(&value, 0),
            "\n  capabilities:\n    drop: [\"ALL\"]\n  cpu: \"100m\"\n  uid: 65532"
        );
    }

    #[test]
    fn what_another_reader_may_take_for_something_else_is_quoted() {
        for text in ["", "true", "100m", "30000-32767", "a: b", "1.0"] {
            assert_eq!(after_colon(&json!(text), 0), format!(" \"{text}\""));
        }
        assert_eq!(after_colon(&json!("ca.crt"), 0), " ca.crt");
    }
}
