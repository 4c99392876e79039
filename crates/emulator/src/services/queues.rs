//! `queues`.

use serde_json::{Value, json};

use super::{Endpoint, V1, any};
use crate::{
    call::Call,
    collection::{Document, text},
    error::ApiError,
    ids,
    query::{self, Kind},
    state,
};

const KIND: Kind = Kind {
    name: "Queue",
    fields: &[
        "id",
        "name",
        "company",
        "created",
        "tags",
        "system_tags",
        "entries",
        "last_update",
        "metadata",
        "workers",
    ],
    lists: &["id", "tags", "system_tags"],
    dates: &[],
    equal: &[],
    references: &[],
};

pub(super) fn endpoint(action: &str) -> Option<Endpoint> {
    Some(match action {
        "get_default" => any((2, 4), get_default),
        "create" => any((2, 4), create),
        "get_all_ex" => any((2, 4), get_all_ex),
        "get_all" => any((2, 4), get_all),
        "get_by_id" => any((2, 4), get_by_id),
        "get_next_task" => any(V1, get_next_task),
        "remove_task" => any((2, 4), remove_task),
        _ => return None,
    })
}

fn get_default(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let company = call.company()?;
    let is_default = |queue: &&Document| {
        text(queue, "company") == company
            && crate::collection::texts(queue.get("system_tags"))
                .iter()
                .any(|tag| tag == "default")
    };
    let queue = call
        .state
        .queues
        .iter()
        .find(is_default)
        .ok_or_else(|| ApiError::new(400, 703, "No default queue exists"))?;
    Ok(json!({"id": queue["id"], "name": queue["name"]}))
}

fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (company, name) = (call.company()?, call.arguments.text("name")?.to_owned());
    if by_name(call, &name, &company).is_some() {
        return Err(ApiError::new(
            400,
            704,
            format!("Queue with the same name already exists: name={name}, company={company}"),
        ));
    }
    let tags = crate::collection::texts(call.arguments.map.get("tags"));
    Ok(json!({"id": add(call, &name, &company, &tags)}))
}

/// Adds a queue.
pub(super) fn add(call: &mut Call<'_>, name: &str, company: &str, tags: &[String]) -> String {
    let id = ids::fresh();
    let queue = state::queue(name, company, tags, call.now);
    call.state.queues.insert(&id, queue);
    id
}

/// The id of the company's queue of that name.
pub(super) fn by_name(call: &Call<'_>, name: &str, company: &str) -> Option<String> {
    let found = call
        .state
        .queues
        .iter()
        .find(|queue| text(queue, "company") == company && text(queue, "name") == name);
    found.map(|queue| text(queue, "id").to_owned())
}

/// Answers whole queues whatever `only_fields` says, with the names of the waiting tasks and the workers (observed).
fn get_all_ex(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let company = call.company()?;
    let mut arguments = call.arguments.map.clone();
    arguments.remove("only_fields");
    let mut queues = query::find(call.state, |state| &state.queues, &KIND, &company, &arguments, false)?.documents;
    for queue in &mut queues {
        queue["company"] = json!({"id": company});
        for entry in queue["entries"].as_array_mut().into_iter().flatten() {
            let id = entry["task"].as_str().unwrap_or_default().to_owned();
            let name = call.state.tasks.get(&id).map(|task| text(task, "name"));
            entry["task"] = json!({"id": id, "name": name});
        }
        let id = queue["id"].as_str().unwrap_or_default();
        let serving = call.state.workers.values().filter(|worker| {
            crate::collection::texts(worker.get("queues"))
                .iter()
                .any(|queue| queue == id)
        });
        let workers: Vec<Value> = serving
            .map(|worker| json!({"name": text(worker, "id"), "ip": worker["ip"]}))
            .collect();
        queue["workers"] = json!(workers);
    }
    Ok(json!({"queues": queues}))
}

fn get_all(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let company = call.company()?;
    let found = query::find(
        call.state,
        |state| &state.queues,
        &KIND,
        &company,
        &call.arguments.map,
        false,
    )?;
    Ok(json!({"queues": found.documents}))
}

fn get_by_id(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (company, id) = (call.company()?, call.arguments.text("queue")?);
    Ok(json!({"queue": call.state.queues.of(id, &company).ok_or_else(|| unknown(id, &company))?}))
}

fn get_next_task(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (company, id) = (call.company()?, call.arguments.text("queue")?.to_owned());
    let now = call.now.stored();
    let queue = call
        .state
        .queues
        .get_mut(&id)
        .filter(|queue| text(queue, "company") == company)
        .ok_or_else(|| unknown(&id, &company))?;
    match queue.get_mut("entries") {
        Some(Value::Array(entries)) if !entries.is_empty() => {
            let entry = entries.remove(0);
            queue.insert("last_update".to_owned(), json!(now));
            Ok(json!({"entry": entry}))
        }
        _ => Ok(json!({})),
    }
}

/// Takes a task out of that queue alone. The task's status is its own affair. From the server's source (`remove_task`).
fn remove_task(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let company = call.company()?;
    let (id, task) = (
        call.arguments.text("queue")?.to_owned(),
        call.arguments.text("task")?.to_owned(),
    );
    let now = call.now.stored();
    let queue = call.state.queues.get_mut(&id);
    if let Some(queue) = queue.filter(|queue| text(queue, "company") == company)
        && let Some(Value::Array(entries)) = queue.get_mut("entries")
    {
        let before = entries.len();
        entries.retain(|entry| entry["task"] != task.as_str());
        let removed = before - entries.len();
        if removed > 0 {
            queue.insert("last_update".to_owned(), json!(now));
            return Ok(json!({"removed": removed}));
        }
    }
    let why = format!("Invalid queue id or task not in queue: task={task}, id={id}, company={company}");
    Err(ApiError::new(400, 703, why))
}

/// The refusal for a queue that the caller cannot see.
pub(super) fn unknown(id: &str, company: &str) -> ApiError {
    ApiError::new(400, 701, format!("Invalid queue id: id={id}, company={company}"))
}
