//! Ways in which the server misbehaves on demand.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the server misbehaves. The default is not at all. Several can be set; `endpoints` narrows all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each fault is a switch of its own")]
pub struct Faults {
    /// Misbehave only in these calls, such as `tasks.get_all_ex`; empty: in all.
    pub endpoints: Vec<String>,
    /// Close each connection without an answer.
    pub unreachable: bool,
    /// Wait so many milliseconds before answering.
    pub slow_millis: Option<u64>,
    /// Answer with this status and the envelope of an error.
    pub status: Option<u16>,
    /// Answer a page of HTML with status 200, as a proxy in between does.
    pub html: bool,
    /// Answer with empty lists where tasks, projects, users, queues or models were asked for.
    pub empty: bool,
    /// Leave out every second item of such a list.
    pub half: bool,
    /// Name a company that the caller does not belong to.
    pub wrong_company: bool,
    /// Answer with an envelope of about so many bytes.
    pub huge_bytes: Option<u64>,
}

/// The company named by [`Faults::wrong_company`].
pub const WRONG_COMPANY: &str = "ffffffffffffffffffffffffffffffff";

impl Faults {
    /// Whether the faults touch that call.
    pub(crate) fn cover(&self, endpoint: &str) -> bool {
        self.endpoints.is_empty() || self.endpoints.iter().any(|name| name == endpoint)
    }

    /// How long to wait.
    pub(crate) fn delay(&self) -> Option<Duration> {
        self.slow_millis.map(Duration::from_millis)
    }

    /// Bends an answer's data.
    pub(crate) fn bend(&self, data: &mut Value, company: Option<&str>) {
        for list in ["tasks", "projects", "users", "queues", "models"] {
            let Some(Value::Array(items)) = data.get_mut(list) else {
                continue;
            };
            if self.empty {
                items.clear();
            }
            if self.half {
                let mut keep = false;
                items.retain(|_| {
                    keep = !keep;
                    keep
                });
            }
        }
        if let Some(company) = company.filter(|_| self.wrong_company) {
            replace(data, company);
        }
    }
}

fn replace(value: &mut Value, company: &str) {
    match value {
        Value::String(text) if text == company => WRONG_COMPANY.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, company)),
        Value::Object(map) => map.values_mut().for_each(|item| replace(item, company)),
        _ => {}
    }
}
