//! What a call was given: the JSON body and the query string in one map.

use serde_json::{Map, Value};

use crate::{collection::put, error::ApiError};

/// The arguments of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments {
    /// Body and query string in one.
    pub(crate) map: Map<String, Value>,
    /// The body's lines, for the endpoints that take many documents at once.
    pub(crate) batch: Vec<Value>,
}

impl Arguments {
    /// Reads a body whatever its content type says, as the server does, and merges the query string in.
    pub(crate) fn read(query: Option<&str>, body: &[u8], lines: bool) -> Result<Self, ApiError> {
        let mut arguments = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let value = typed(&value);
            match arguments.map.get_mut(name.as_ref()) {
                Some(Value::Array(items)) => items.push(value),
                Some(present) => *present = Value::Array(vec![present.take(), value]),
                None => put(&mut arguments.map, &name, value),
            }
        }
        if lines {
            for line in body
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.trim_ascii().is_empty())
            {
                arguments
                    .batch
                    .push(serde_json::from_slice(line).map_err(|_| bad_json())?);
            }
        } else if !body.trim_ascii().is_empty() {
            // The web application logs in with the body `null`.
            if let Value::Object(map) = serde_json::from_slice(body).map_err(|_| bad_json())? {
                arguments.map.extend(map);
            }
        }
        Ok(arguments)
    }

    /// A required text.
    pub(crate) fn text(&self, field: &str) -> Result<&str, ApiError> {
        match self.map.get(field) {
            None | Some(Value::Null) => Err(ApiError::field_required(field)),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(ApiError::field_invalid(field, "expected string")),
        }
    }

    /// A text that may be missing.
    pub(crate) fn optional(&self, field: &str) -> Option<&str> {
        self.map.get(field).and_then(Value::as_str)
    }

    /// A switch that is off when missing.
    pub(crate) fn flag(&self, field: &str) -> bool {
        self.map.get(field).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A required list of texts.
    pub(crate) fn texts(&self, field: &str) -> Result<Vec<String>, ApiError> {
        match self.map.get(field) {
            None | Some(Value::Null) => Err(ApiError::field_required(field)),
            value => Ok(crate::collection::texts(value)),
        }
    }
}

/// The server makes numbers and booleans of query values that look like them.
fn typed(text: &str) -> Value {
    match text {
        "true" | "True" => Value::Bool(true),
        "false" | "False" => Value::Bool(false),
        _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => text
            .parse::<u64>()
            .map_or_else(|_| Value::String(text.to_owned()), Value::from),
        _ => Value::String(text.to_owned()),
    }
}

fn bad_json() -> ApiError {
    ApiError::new(
        400,
        0,
        "The browser (or proxy) sent a request that this server could not understand.",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

    use serde_json::json;

    use super::*;

    #[test]
    fn query_values_become_numbers_booleans_lists_and_maps() {
        let arguments = Arguments::read(Some("page=2&enabled=true&types=a&types=b&a.b=c"), b"", false).unwrap();
        assert_eq!(
            Value::Object(arguments.map),
            json!({"page": 2, "enabled": true, "types": ["a", "b"], "a": {"b": "c"}})
        );
    }

    #[test]
    fn a_body_of_null_is_no_arguments() {
        assert!(Arguments::read(None, b"null", false).unwrap().map.is_empty());
        assert_eq!(Arguments::read(None, b"{bad", false).unwrap_err().code, 400);
    }

    #[test]
    fn a_batch_has_one_document_a_line() {
        assert_eq!(
            Arguments::read(None, b"{\"a\":1}\n\n{\"a\":2}\n", true)
                .unwrap()
                .batch
                .len(),
            2
        );
    }
}
