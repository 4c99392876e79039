//! Changing a task's own fields.

use serde_json::{Map, Value, json};

use super::{KIND, subject};
use crate::{
    call::Call,
    collection::{put, text},
    error::ApiError,
    escape::escape,
};

/// Fields that users edit by hand; changing one of them is no sign that the task lives, so `last_update` stays.
const BY_HAND: &[&str] = &[
    "name",
    "comment",
    "tags",
    "system_tags",
    "report",
    "report_assets",
    "project",
    "parent",
    "output_dest",
];
/// Fields that no caller sets.
const FIXED: &[&str] = &[
    "id",
    "company",
    "user",
    "status",
    "status_reason",
    "status_message",
    "status_changed",
    "created",
    "started",
    "completed",
    "last_update",
    "last_change",
    "last_changed_by",
    "last_worker",
    "last_worker_report",
];

/// Replaces each given field as a whole: a `runtime` given here is the runtime from then on. Null leaves a field alone.
pub(super) fn edit(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let force = call.arguments.flag("force");
    let mut fields = given(&call.arguments.map);
    let (now, user) = (call.now, call.user()?);
    let (_, task) = subject(call)?;
    let status = text(task, "status");
    if status != "created" && !force {
        return Err(ApiError::task_status("created", status));
    }
    if fields.is_empty() {
        return Ok(json!({"updated": 0, "fields": {}}));
    }
    for (field, value) in &fields {
        let merged = match (task.get_mut(field), value) {
            // Structured fields keep what is not named; runtime, hyperparams and configuration are plain maps.
            (Some(Value::Object(present)), Value::Object(changes))
                if matches!(field.as_str(), "execution" | "script" | "output" | "models") =>
            {
                present.extend(changes.clone());
                continue;
            }
            _ => value.clone(),
        };
        task.insert(field.clone(), merged);
    }
    let alive = fields.keys().any(|field| !BY_HAND.contains(&field.as_str()));
    task.insert("last_change".to_owned(), json!(now.stored()));
    task.insert("last_changed_by".to_owned(), json!(user));
    fields.insert("last_change".to_owned(), json!(now.precise()));
    fields.insert("last_changed_by".to_owned(), json!(user));
    if alive {
        task.insert("last_update".to_owned(), json!(now.stored()));
        fields.insert("last_update".to_owned(), json!(now.precise()));
    }
    Ok(json!({"updated": 1, "fields": fields}))
}

/// As [`edit`], but only fields edited by hand, and in every status; `runtime` is ignored.
pub(super) fn update(call: &mut Call<'_>) -> Result<Value, ApiError> {
    call.arguments
        .map
        .retain(|field, _| BY_HAND.contains(&field.as_str()) || field == "task");
    call.arguments.map.insert("force".to_owned(), Value::Bool(true));
    edit(call)
}

fn given(arguments: &Map<String, Value>) -> Map<String, Value> {
    let settable = |field: &str| KIND.fields.contains(&field) && !FIXED.contains(&field);
    arguments
        .iter()
        .filter(|(field, value)| settable(field) && !value.is_null())
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect()
}

/// Sets and removes single keys of the runtime, without force in the statuses before the end. Names are escaped on the way in and on
/// no way out, so `remove: ["_ADDRESS"]` looks for `%_ADDRESS`, finds nothing and says `updated: 1` (observed).
pub(super) fn edit_runtime(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let additions: Vec<(String, Value)> = match call.arguments.map.get("add_or_update") {
        Some(Value::Object(map)) => map.iter().map(|(name, value)| (escape(name), value.clone())).collect(),
        _ => Vec::new(),
    };
    let removals: Vec<String> = crate::collection::texts(call.arguments.map.get("remove"))
        .iter()
        .map(|name| escape(name))
        .collect();
    let (now, user) = (call.now, call.user()?);
    let (_, task) = subject(call)?;
    let status = text(task, "status");
    if !matches!(status, "created" | "queued" | "in_progress") {
        return Err(ApiError::task_status("created", status));
    }
    if additions.is_empty() && removals.is_empty() {
        return Ok(json!({"updated": 0}));
    }
    if let Some(Value::Object(runtime)) = task.get_mut("runtime") {
        runtime.extend(additions);
        for name in &removals {
            runtime.remove(name);
        }
    }
    for (field, value) in [
        ("last_change", json!(now.stored())),
        ("last_update", json!(now.stored())),
        ("last_changed_by", json!(user)),
    ] {
        task.insert(field.to_owned(), value);
    }
    Ok(json!({"updated": 1}))
}

pub(super) fn set_requirements(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let requirements = call
        .arguments
        .map
        .get("requirements")
        .cloned()
        .ok_or_else(|| ApiError::field_required("requirements"))?;
    let now = call.now;
    let (_, task) = subject(call)?;
    put(task, "script.requirements", requirements);
    task.insert("last_update".to_owned(), json!(now.stored()));
    Ok(json!({"updated": 1, "fields": {}}))
}
