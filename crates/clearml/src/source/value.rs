//! Values as clients write them.

use portico_core::{notation::parse_port, observe::RequestFault};
use serde_json::Value;

/// The SDK writes a number, other clients text; a number with `.0` comes from clients that know only floats.
pub(super) fn read_port(value: &Value) -> Result<u16, RequestFault> {
    match value {
        Value::String(text) => parse_port(text.trim()),
        Value::Number(number) => {
            let text = number.to_string();
            parse_port(text.strip_suffix(".0").unwrap_or(&text))
        }
        other => Err(RequestFault::PortNotANumber(kind(other).to_owned())),
    }
}

/// What a value is, without showing it.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
