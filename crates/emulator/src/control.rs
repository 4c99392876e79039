//! The controls over HTTP, for tests in other languages. Below a path that the real server does not have.

use http::{Method, Response, Uri};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{
    emulator::{Emulator, NewTask},
    faults::Faults,
    server::answer::{Body, json as answer_json},
};

/// Where the controls are.
pub(crate) const PREFIX: &str = "/_emulator/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfTask {
    task: String,
    #[serde(default)]
    runtime: Map<String, Value>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    system_tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfUser {
    user: String,
    lifetime_sec: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfClock {
    advance_sec: i64,
}

/// Answers a control call: 200 and what it says, 400 and `error` for a body that does not fit, 404 for what does not exist.
pub(crate) fn answer(emulator: &Emulator, method: &Method, uri: &Uri, body: &[u8]) -> Response<Body> {
    let action = uri.path().strip_prefix(PREFIX).unwrap_or_default();
    match perform(emulator, method, action, uri.query(), body) {
        Ok(Some(value)) => answer_json(200, &value),
        Ok(None) => answer_json(404, &json!({"error": "no such task, user or control"})),
        Err(error) => answer_json(400, &json!({"error": error.to_string()})),
    }
}

fn perform(
    emulator: &Emulator,
    method: &Method,
    action: &str,
    query: Option<&str>,
    body: &[u8],
) -> Result<Option<Value>, serde_json::Error> {
    let done = |found: bool| found.then(|| json!({}));
    if method == Method::GET {
        let named = |wanted: &str| {
            url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        return Ok(match action {
            "actors" => Some(json!({"companies": emulator.seed().companies, "actors": emulator.seed().actors})),
            "calls" => Some(json!({"calls": emulator.calls()})),
            "unknown_calls" => Some(
                json!({"unknown_calls": emulator.unknown_calls().into_iter().collect::<std::collections::BTreeMap<_, _>>()}),
            ),
            "clock" => Some(json!({"now": emulator.now()})),
            "faults" => Some(serde_json::to_value(emulator.faults())?),
            "writes" => Some(json!({"writes": emulator.writes(named("task").as_deref())})),
            "task" => named("id")
                .and_then(|id| emulator.task(&id))
                .map(|task| json!({"task": task})),
            _ => None,
        });
    }
    Ok(match action {
        "task" => Some(json!({"id": emulator.create_task(read::<NewTask>(body)?)})),
        "runtime" => {
            let given: OfTask = read(body)?;
            done(emulator.set_runtime(&given.task, given.runtime))
        }
        "status" => {
            let given: OfTask = read(body)?;
            done(emulator.set_status(&given.task, &given.status))
        }
        "system_tags" => {
            let given: OfTask = read(body)?;
            done(emulator.set_system_tags(
                &given.task,
                &given.system_tags.iter().map(String::as_str).collect::<Vec<_>>(),
            ))
        }
        "delete_task" => done(emulator.delete_task(&read::<OfTask>(body)?.task)),
        "delete_user" => done(emulator.delete_user(&read::<OfUser>(body)?.user)),
        "token" => {
            let given: OfUser = read(body)?;
            let token = emulator.token_for(&given.user, given.lifetime_sec.unwrap_or(crate::settings::TOKEN_SECS));
            token.map(|token| json!({"token": token}))
        }
        "sign" => emulator
            .sign(&read::<Value>(body)?)
            .map(|token| json!({"token": token})),
        "faults" => {
            emulator.set_faults(read::<Faults>(body)?);
            Some(json!({}))
        }
        "clock" => {
            emulator.advance(read::<OfClock>(body)?.advance_sec);
            Some(json!({"now": emulator.now()}))
        }
        "forget_calls" => {
            emulator.forget_calls();
            Some(json!({}))
        }
        _ => None,
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(if body.trim_ascii().is_empty() { b"{}" } else { body })
}
