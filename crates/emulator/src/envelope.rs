//! The form of every answer: `meta` and `data`.

use serde_json::{Value, json};

use crate::{error::ApiError, ids, services::Version, settings::API_VERSION};

/// The call that an answer belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// `service.action`; empty if the path was none.
    pub(crate) name: String,
    /// The version that the path asked for.
    pub(crate) requested: Version,
    /// The version that answers; none if there is none.
    pub(crate) actual: Option<Version>,
}

impl Named {
    /// Reads `/[v<major>.<minor>/]<service>.<action>`.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let (version, name) = match path.split_once('/') {
            Some((version, name)) => (parse_version(version.strip_prefix('v')?)?, name),
            None => (parse_version(API_VERSION)?, path),
        };
        let (service, action) = name.split_once('.')?;
        let word =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (word(service) && word(action)).then(|| Self {
            name: name.to_owned(),
            requested: version,
            actual: None,
        })
    }

    /// The name for a path that cannot be read.
    pub(crate) const fn unreadable() -> Self {
        Self {
            name: String::new(),
            requested: (1, 0),
            actual: None,
        }
    }
}

fn parse_version(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The version in words.
pub(crate) fn version(version: Version) -> String {
    format!("{}.{}", version.0, version.1)
}

/// The envelope of an answer.
pub(crate) fn envelope(named: &Named, outcome: Result<Value, &ApiError>) -> (u16, Value) {
    let (code, subcode, msg) = match &outcome {
        Ok(_) => (200, 0, "OK"),
        Err(error) => (error.code, error.subcode, error.msg.as_str()),
    };
    // Clients that ask for less than 2.1 get numbers.
    let written = |number: Version| {
        if named.requested < (2, 1) {
            json!(f64::from(number.0) + f64::from(number.1) / 10.0)
        } else {
            json!(version(number))
        }
    };
    let id = ids::fresh();
    let body = json!({
        "meta": {
            "id": id,
            "trx": id,
            "endpoint": {
                "name": named.name,
                "requested_version": written(named.requested),
                "actual_version": named.actual.map(written),
            },
            "result_code": code,
            "result_subcode": subcode,
            "result_msg": msg,
            "error_stack": null,
            "error_data": {},
        },
        "data": outcome.unwrap_or_else(|_| json!({})),
    });
    (code, body)
}
