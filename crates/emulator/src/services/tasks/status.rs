//! A task's way from created to its end. Runtime and tags stay through all of it (observed).

use serde_json::{Map, Value, json};

use super::subject;
use crate::{
    call::Call,
    clock,
    collection::{Document, put, text, texts},
    error::ApiError,
    services::queues,
};

/// Which statuses lead to which without force.
fn may_become(from: &str, to: &str) -> bool {
    match from {
        "created" => matches!(to, "queued" | "in_progress"),
        "queued" => matches!(to, "created" | "in_progress" | "stopped"),
        "in_progress" => matches!(to, "queued" | "stopped" | "failed" | "created" | "completed"),
        "stopped" => matches!(
            to,
            "closed" | "created" | "failed" | "queued" | "in_progress" | "published" | "completed"
        ),
        "closed" => matches!(to, "created" | "failed" | "published" | "in_progress" | "stopped"),
        "failed" => matches!(
            to,
            "created" | "stopped" | "in_progress" | "published" | "queued" | "completed"
        ),
        "completed" => matches!(to, "created" | "published" | "in_progress" | "queued" | "closed"),
        _ => false,
    }
}

/// Moves the call's task to a status and answers the changed fields.
pub(super) fn change(call: &mut Call<'_>, to: &str) -> Result<Map<String, Value>, ApiError> {
    let said = |call: &Call<'_>, field: &str| call.arguments.optional(field).unwrap_or_default().to_owned();
    let (reason, message) = (said(call, "status_reason"), said(call, "status_message"));
    let (force, now, user) = (call.arguments.flag("force"), call.now, call.user()?);
    let (_, task) = subject(call)?;
    let from = text(task, "status").to_owned();
    if !force && !may_become(&from, to) && from != to {
        return Err(ApiError::new(
            400,
            110,
            format!("Invalid task status (Task status cannot be changed): current_status={from}, new_status={to}"),
        ));
    }
    let mut fields = Map::new();
    let mut set = |task: &mut Document, field: &str, kept: String, answered: String| {
        task.insert(field.to_owned(), Value::String(kept));
        fields.insert(field.to_owned(), Value::String(answered));
    };
    for (field, value) in [
        ("status", to.to_owned()),
        ("status_reason", reason),
        ("status_message", message),
        ("last_changed_by", user),
    ] {
        set(task, field, value.clone(), value);
    }
    for field in ["status_changed", "last_update", "last_change"] {
        set(task, field, now.stored(), now.precise());
    }
    match to {
        "in_progress" if from != "in_progress" => set(task, "started", now.stored(), now.precise()),
        "stopped" | "completed" | "failed" if from != to => set(task, "completed", now.stored(), now.precise()),
        _ => {}
    }
    Ok(fields)
}

pub(super) fn started(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let fields = change(call, "in_progress")?;
    if let Ok(id) = call.arguments.text("task").map(str::to_owned) {
        call.state.dequeue(&id);
    }
    Ok(json!({"updated": 1, "started": 1, "fields": fields}))
}

/// Seconds without news after which the server no longer believes that a worker runs the task.
const WORKER_SECS: i64 = 600;

/// A task that a worker runs is only told to stop: the worker sees the message and reports the end by itself. What waits
/// in a queue, runs on somebody's own machine, or has a worker without news stops at once.
pub(super) fn stop(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (now, stopper) = (call.now, call.identity()?.user_name.clone());
    let (_, task) = subject(call)?;
    let status = text(task, "status").to_owned();
    let has_news =
        clock::parse(text(task, "last_update")).is_some_and(|update| now.secs() - update.secs() < WORKER_SECS);
    let is_development = texts(task.get("system_tags")).iter().any(|tag| tag == "development");
    let is_run_by_worker = task.contains_key("last_worker") && has_news;
    let (to, message) = if status == "queued" || is_development || !is_run_by_worker {
        ("stopped", format!("Stopped by {stopper}"))
    } else {
        (status.as_str(), "stopping".to_owned())
    };
    // The caller gives the reason; the message is the server's own.
    call.arguments.map.insert("status_message".to_owned(), json!(message));
    let outcome = ended(call, to)?;
    if status == "queued" {
        let id = call.arguments.text("task")?.to_owned();
        call.state.dequeue(&id);
    }
    Ok(outcome)
}

pub(super) fn stopped(call: &mut Call<'_>) -> Result<Value, ApiError> {
    ended(call, "stopped")
}

pub(super) fn failed(call: &mut Call<'_>) -> Result<Value, ApiError> {
    ended(call, "failed")
}

pub(super) fn close(call: &mut Call<'_>) -> Result<Value, ApiError> {
    ended(call, "closed")
}

fn ended(call: &mut Call<'_>, to: &str) -> Result<Value, ApiError> {
    let fields = change(call, to)?;
    Ok(json!({"updated": 1, "fields": fields}))
}

pub(super) fn completed(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let fields = change(call, "completed")?;
    Ok(json!({"updated": 1, "published": 0, "fields": fields}))
}

pub(super) fn publish(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let fields = change(call, "published")?;
    Ok(json!({"updated": 1, "committed_versions_results": [], "fields": fields}))
}

pub(super) fn enqueue(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let company = call.company()?;
    let queue = match (call.arguments.optional("queue"), call.arguments.optional("queue_name")) {
        (Some(id), _) => call
            .state
            .queues
            .of(id, &company)
            .map(|_| id.to_owned())
            .ok_or_else(|| queues::unknown(id, &company))?,
        // A queue asked for by name is made if it is missing.
        (None, Some(name)) => {
            let name = name.to_owned();
            queues::by_name(call, &name, &company).unwrap_or_else(|| queues::add(call, &name, &company, &[]))
        }
        (None, None) => queues::by_name(call, "default", &company).ok_or_else(|| ApiError::field_required("queue"))?,
    };
    let from = subject(call).map(|(_, task)| text(task, "status").to_owned())?;
    // An agent that passes a task on to its own queue leaves the task the queue that it came from.
    let is_kept = call.arguments.map.get("update_execution_queue") == Some(&json!(false));
    let mut fields = change(call, "queued")?;
    fields.insert("enqueue_status".to_owned(), json!(from));
    let added = json!(call.now.stored());
    let (id, task) = subject(call)?;
    task.insert("enqueue_status".to_owned(), json!(from));
    if !is_kept {
        fields.insert("execution.queue".to_owned(), json!(queue));
        put(task, "execution.queue", json!(queue));
    }
    if let Some(document) = call.state.queues.get_mut(&queue) {
        if let Some(Value::Array(entries)) = document.get_mut("entries") {
            entries.push(json!({"task": id, "added": added}));
        }
        document.insert("last_update".to_owned(), added);
    }
    Ok(json!({"updated": 1, "queued": 1, "fields": fields}))
}

/// Takes the task out of its queue and leaves it with the status that it had before, or the one that is given. A task
/// that neither waits nor runs stays as it is, and that is no error.
pub(super) fn dequeue(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (id, task) = subject(call)?;
    let (status, before) = (text(task, "status").to_owned(), text(task, "enqueue_status").to_owned());
    call.state.dequeue(&id);
    if !matches!(status.as_str(), "queued" | "in_progress") {
        return Ok(json!({"dequeued": 1, "updated": 0}));
    }
    let to = match call.arguments.optional("new_status") {
        Some(given) => given.to_owned(),
        None if before.is_empty() => "created".to_owned(),
        None => before,
    };
    call.arguments.map.insert("force".to_owned(), json!(true));
    let mut fields = change(call, &to)?;
    fields.insert("enqueue_status".to_owned(), Value::Null);
    subject(call)?.1.remove("enqueue_status");
    Ok(json!({"dequeued": 1, "updated": 1, "fields": fields}))
}

pub(super) fn ping(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let now = call.now.stored();
    let (_, task) = subject(call)?;
    task.insert("last_update".to_owned(), json!(now));
    Ok(json!({}))
}
