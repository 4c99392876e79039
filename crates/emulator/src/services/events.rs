//! `events`: counted and, if they are log lines, kept.

use serde_json::{Value, json};

use super::{Endpoint, V1, any};
use crate::{call::Call, error::ApiError, ids};

/// Log lines kept for one task.
const KEPT: usize = 1000;

pub(super) fn endpoint(action: &str) -> Option<Endpoint> {
    Some(match action {
        "add" => any(V1, add),
        "add_batch" => any(V1, add_batch),
        "get_task_events" => any(V1, get_task_events),
        "get_task_log" => any((2, 9), get_task_log),
        _ => return None,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "every call has this shape")]
fn add(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let event = Value::Object(call.arguments.map.clone());
    keep(call, event);
    Ok(json!({"added": 1, "errors": 0, "errors_info": {}}))
}

#[expect(clippy::unnecessary_wraps, reason = "every call has this shape")]
fn add_batch(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let events = std::mem::take(&mut call.arguments.batch);
    let added = events.len();
    for event in events {
        keep(call, event);
    }
    Ok(json!({"added": added, "errors": 0, "errors_info": {}}))
}

fn keep(call: &mut Call<'_>, event: Value) {
    let Some(task) = event["task"].as_str().map(str::to_owned) else {
        return;
    };
    // Reporting shows that the task lives.
    if let Some(document) = call.state.tasks.get_mut(&task) {
        document.insert("last_update".to_owned(), json!(call.now.stored()));
    }
    if event["type"] == "log" {
        let lines = call.state.logs.entry(task).or_default();
        if lines.len() < KEPT {
            lines.push(event);
        }
    }
}

/// Only log lines are kept, so a task has no events of other types. All come at once; a scroll finds nothing more.
fn get_task_events(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let is_kept = call.arguments.optional("event_type").is_none_or(|kind| kind == "log");
    let scroll = call.arguments.optional("scroll_id").map(str::to_owned);
    let mut events = lines(call)?;
    let total = if is_kept { events.len() } else { 0 };
    if !is_kept || scroll.is_some() {
        events.clear();
    }
    let scroll = scroll.unwrap_or_else(ids::fresh);
    Ok(json!({"events": events, "returned": events.len(), "total": total, "scroll_id": scroll}))
}

fn lines(call: &Call<'_>) -> Result<Vec<Value>, ApiError> {
    let (company, task) = (call.company()?, call.arguments.text("task")?);
    call.state
        .tasks
        .of(task, &company)
        .ok_or_else(|| ApiError::invalid_task_id(task, &company))?;
    Ok(call.state.logs.get(task).cloned().unwrap_or_default())
}

fn get_task_log(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let lines = lines(call)?;
    Ok(json!({"returned": lines.len(), "total": lines.len(), "events": lines}))
}
