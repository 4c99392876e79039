//! The calls that change a task. None of them is repeated blindly: after a failure the task is read anew.

use std::collections::BTreeMap;

use portico_core::observe::{ObservedTask, RequestOrigin, TaskStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::wanted::{Difference, Place};
use crate::{
    client::{CallError, Clearml},
    facts::ApiVersion,
    reference::Reference,
    source::key,
};

/// `tasks.edit` of a runtime. `force`: the task need not be a draft.
#[derive(Serialize)]
struct Edit<'a> {
    task: String,
    force: bool,
    runtime: &'a RawRuntime,
}

/// A runtime as it is: every value byte for byte.
type RawRuntime = BTreeMap<String, Box<RawValue>>;

/// Writes the differences. Returns how many calls changed something.
pub(super) async fn write(
    clearml: &Clearml,
    task: &ObservedTask,
    differences: &[Difference],
) -> Result<u64, CallError> {
    let (runtime, properties): (Vec<&Difference>, Vec<&Difference>) = differences
        .iter()
        .partition(|difference| matches!(difference.place, Place::Runtime(_)));
    let mut writes = 0;
    if !runtime.is_empty() {
        writes += write_runtime(clearml, task, &runtime).await?;
    }
    writes += write_properties(clearml, task, &properties).await?;
    Ok(writes)
}

async fn write_runtime(clearml: &Clearml, task: &ObservedTask, differences: &[&Difference]) -> Result<u64, CallError> {
    let has_call = clearml
        .facts()
        .get()
        .api_version
        .is_some_and(|version| version >= ApiVersion::EDIT_RUNTIME);
    let is_running = task.status == TaskStatus::InProgress;
    if has_call && is_running && differences.iter().all(|difference| difference.place.is_plain()) {
        match edit_runtime(clearml, task, differences).await {
            // Another server than it says, or the task ended meanwhile.
            Err(
                CallError::Refused { code: 404, .. }
                | CallError::Refused {
                    code: 400,
                    subcode: 110,
                    ..
                },
            ) => {}
            other => return other.map(|()| 1),
        }
    }
    rewrite_runtime(clearml, task, differences).await
}

/// Key by key: nobody else's keys can be lost.
async fn edit_runtime(clearml: &Clearml, task: &ObservedTask, differences: &[&Difference]) -> Result<(), CallError> {
    let set: BTreeMap<&str, &str> = differences
        .iter()
        .filter_map(|difference| Some((difference.place.name(), difference.wanted.as_deref()?)))
        .collect();
    let remove: Vec<&str> = differences
        .iter()
        .filter(|difference| difference.wanted.is_none())
        .map(|difference| difference.place.name())
        .collect();
    let body = json!({"task": task.id.to_string(), "add_or_update": set, "remove": remove});
    clearml.call::<Value>("tasks.edit_runtime", &body).await.map(drop)
}

/// The whole dictionary, read immediately before: the server replaces it.
async fn rewrite_runtime(
    clearml: &Clearml,
    task: &ObservedTask,
    differences: &[&Difference],
) -> Result<u64, CallError> {
    let Some(mut runtime) = read_runtime(clearml, task).await? else {
        return Ok(0);
    };
    let mut is_changed = false;
    for difference in differences {
        let name = difference.place.name();
        let standing = runtime.get(name).and_then(|value| text(value));
        // The task wrote anew since it was observed: that is looked at first.
        if difference.place.is_shared() && standing.as_deref() != difference.found.as_deref() {
            continue;
        }
        match &difference.wanted {
            Some(wanted) if standing.as_deref() != Some(wanted) => {
                let value = serde_json::value::to_raw_value(&**wanted).map_err(|error| unwritable(&error))?;
                runtime.insert(name.to_owned(), value);
                is_changed = true;
            }
            // Only what was seen to be ours is removed; somebody may have written another value since.
            None if standing.is_some() && standing.as_deref() == difference.found.as_deref() => {
                runtime.remove(name);
                is_changed = true;
            }
            _ => {}
        }
    }
    if !is_changed {
        return Ok(0);
    }
    let body = Edit {
        task: task.id.to_string(),
        force: true,
        runtime: &runtime,
    };
    clearml.call::<Value>("tasks.edit", &body).await?;
    Ok(1)
}

/// A value as observations tell it.
fn text(value: &RawValue) -> Option<String> {
    match serde_json::from_str(value.get()).ok()? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The task's whole runtime; `None` if there is no such task any more, or what came cannot be all of it.
async fn read_runtime(clearml: &Clearml, task: &ObservedTask) -> Result<Option<RawRuntime>, CallError> {
    #[derive(Deserialize)]
    struct Tasks {
        tasks: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        id: String,
        company: Reference,
        #[serde(default)]
        runtime: Option<RawRuntime>,
    }
    let id = task.id.to_string();
    let body = json!({
        "id": [id], "only_fields": ["id", "company", "runtime"], "search_hidden": true, "allow_public": false,
    });
    let answer: Tasks = clearml.call("tasks.get_all_ex", &body).await?;
    let Some(row) = answer.tasks.into_iter().find(|row| row.id == id) else {
        return Ok(None);
    };
    if row.company.id() != Some(task.company.as_str()) {
        return Err(CallError::Untrusted("it holds something of another company".to_owned()));
    }
    let runtime = row.runtime.unwrap_or_default();
    // Written back without them, the task's own keys would be gone. A task that was reset is seen as such at the next look.
    let asked = task
        .requests
        .iter()
        .filter(|request| request.origin == RequestOrigin::Runtime);
    let mut ports = asked.map(|request| {
        let base = match request.protocol {
            portico_core::endpoint::Protocol::Http => key::PORT,
            portico_core::endpoint::Protocol::Tcp => key::TCP_PORT,
        };
        request
            .name
            .as_deref()
            .map_or(base.to_owned(), |name| format!("{base}__{name}"))
    });
    // Names that were cut are not found under their cut form.
    let is_whole = ports.all(|port| port.len() > 256 || runtime.contains_key(&port));
    Ok(is_whole.then_some(runtime))
}

async fn write_properties(
    clearml: &Clearml,
    task: &ObservedTask,
    differences: &[&Difference],
) -> Result<u64, CallError> {
    const SECTION: &str = "properties";
    let id = task.id.to_string();
    let set: Vec<Value> = differences
        .iter()
        .filter_map(|difference| {
            let (name, value) = (difference.place.name(), difference.wanted.as_deref()?);
            Some(json!({"section": SECTION, "name": name, "type": "str", "value": value}))
        })
        .collect();
    let remove: Vec<Value> = differences
        .iter()
        .filter(|difference| difference.wanted.is_none())
        .map(|difference| json!({"section": SECTION, "name": difference.place.name()}))
        .collect();
    let mut writes = 0;
    if !set.is_empty() {
        let body = json!({"task": id, "hyperparams": set, "replace_hyperparams": "none", "force": true});
        clearml.call::<Value>("tasks.edit_hyper_params", &body).await?;
        writes += 1;
    }
    if !remove.is_empty() {
        let body = json!({"task": id, "hyperparams": remove, "force": true});
        clearml.call::<Value>("tasks.delete_hyper_params", &body).await?;
        writes += 1;
    }
    Ok(writes)
}

fn unwritable(error: &serde_json::Error) -> CallError {
    CallError::Untrusted(format!("the value cannot be written: {error}"))
}
