//! The form of every answer: `{"meta": {…}, "data": {…}}`.

use portico_core::foreign_text::one_line;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::error::CallError;

#[derive(Deserialize)]
struct Envelope<'a> {
    meta: Meta,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "result_code")]
    code: u16,
    #[serde(rename = "result_subcode", default)]
    subcode: i64,
    #[serde(rename = "result_msg", default)]
    message: Option<String>,
}

/// Reads an answer. `status` is what HTTP said; proxies in between have words of their own, so the body decides if it can be read.
pub(super) fn open<T: DeserializeOwned>(
    endpoint: &'static str,
    url: &str,
    status: u16,
    body: &[u8],
) -> Result<T, CallError> {
    let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(body) else {
        return Err(stranger(endpoint, url, status, body));
    };
    let meta = envelope.meta;
    if meta.code != 200 {
        return Err(CallError::Refused {
            endpoint,
            code: meta.code,
            subcode: meta.subcode,
            message: one_line(meta.message.as_deref().unwrap_or_default()),
        });
    }
    let data = envelope.data.map_or("{}", RawValue::get);
    // serde's text could quote the answer, and the answer holds secrets: only the place is told.
    serde_json::from_str(data).map_err(|error| CallError::BadAnswer {
        url: url.to_owned(),
        detail: format!(
            "data of an unknown form (line {}, column {})",
            error.line(),
            error.column()
        ),
    })
}

/// An answer that is not ClearML's.
fn stranger(endpoint: &'static str, url: &str, status: u16, body: &[u8]) -> CallError {
    if let 429 | 502 | 503 | 504 | 509 = status {
        let message = "from a proxy in front of the server".to_owned();
        let code = if status == 504 { 503 } else { status };
        return CallError::Refused {
            endpoint,
            code,
            subcode: 0,
            message,
        };
    }
    let start = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let what = match start {
        None => "an empty page",
        Some(b'<') => "a web page",
        Some(_) => "something that is not the ClearML API's",
    };
    CallError::BadAnswer {
        url: url.to_owned(),
        detail: format!("{what} (HTTP status {status})"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn read(status: u16, body: &str) -> Result<Value, CallError> {
        open(
            "tasks.get_all_ex",
            "http://server/tasks.get_all_ex",
            status,
            body.as_bytes(),
        )
    }

    #[test]
    fn the_body_says_whether_the_call_succeeded() {
        let good = r#"{"meta":{"result_code":200,"result_subcode":0},"data":{"token":"x"}}"#;
        assert_eq!(read(200, good).unwrap()["token"], "x");
        let bad = r#"{"meta":{"result_code":401,"result_subcode":22,"result_msg":"no\nway"},"data":{}}"#;
        let error = read(401, bad).unwrap_err();
        assert_eq!(error.to_string(), "tasks.get_all_ex answered 401/22: no way");
    }

    #[test]
    fn a_web_page_is_named_with_its_address_and_a_hint() {
        let error = read(200, " <html>").unwrap_err().to_string();
        assert!(
            error.contains("http://server/tasks.get_all_ex answered a web page"),
            "{error}"
        );
        assert!(error.contains("8008"), "{error}");
    }

    #[test]
    fn a_proxy_that_finds_no_server_is_a_passing_failure() {
        assert!(read(502, "<html>").unwrap_err().is_passing());
        assert!(read(504, "").unwrap_err().is_passing());
        assert!(!read(500, "").unwrap_err().is_passing());
    }

    #[test]
    fn data_of_another_form_is_not_quoted() {
        let body = r#"{"meta":{"result_code":200},"data":{"token":{"hunter2":1}}}"#;
        let error =
            open::<std::collections::BTreeMap<String, String>>("auth.login", "http://server", 200, body.as_bytes());
        let error = error.unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200), status in 100u16..600) {
            let _ = open::<Value>("x", "http://server", status, &body);
        }
    }
}
