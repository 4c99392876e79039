//! Making, copying, resetting, archiving and deleting tasks.

use serde_json::{Map, Value, json};

use super::{TYPES, status, subject};
use crate::{
    call::Call,
    collection::{Document, text, texts},
    error::ApiError,
    ids, state,
};

pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (company, user) = (call.company()?, call.user()?);
    let (name, kind) = (call.arguments.text("name")?, call.arguments.text("type")?);
    if name.chars().count() < 3 {
        return Err(ApiError::new(
            400,
            800,
            "Data validation error: name=String value is too short",
        ));
    }
    if !TYPES.contains(&kind) {
        return Err(ApiError::field_invalid("type", &format!("invalid value {kind}")));
    }
    let mut task = state::task(name, kind, &company, &user, call.now);
    for field in [
        "project",
        "parent",
        "comment",
        "tags",
        "system_tags",
        "container",
        "hyperparams",
        "configuration",
        "execution",
        "script",
        "output_dest",
        "runtime",
        "models",
    ] {
        match (task.get_mut(field), call.arguments.map.get(field)) {
            (_, None | Some(Value::Null)) => {}
            (Some(Value::Object(present)), Some(Value::Object(given))) => present.extend(given.clone()),
            (_, Some(given)) => {
                task.insert(field.to_owned(), given.clone());
            }
        }
    }
    let id = ids::fresh();
    call.state.tasks.insert(&id, task);
    Ok(json!({"id": id}))
}

/// A copy keeps tags and starts with an empty runtime (observed).
pub(super) fn clone(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (company, user, id) = (call.company()?, call.user()?, call.arguments.text("task")?);
    let original = call
        .state
        .tasks
        .of(id, &company)
        .ok_or_else(|| ApiError::invalid_task_id(id, &company))?;
    let name = call
        .arguments
        .optional("new_task_name")
        .unwrap_or_else(|| text(original, "name"));
    let mut copy = state::task(name, text(original, "type"), &company, &user, call.now);
    for field in [
        "project",
        "tags",
        "system_tags",
        "script",
        "hyperparams",
        "configuration",
        "container",
        "comment",
    ] {
        if let Some(value) = original.get(field) {
            copy.insert(field.to_owned(), value.clone());
        }
    }
    copy.insert(
        "parent".to_owned(),
        original.get("parent").cloned().unwrap_or_else(|| json!(id)),
    );
    if let Some(project) = call
        .arguments
        .map
        .get("new_task_project")
        .filter(|project| !project.is_null())
    {
        copy.insert("project".to_owned(), project.clone());
    }
    let copy_id = ids::fresh();
    call.state.tasks.insert(&copy_id, copy);
    Ok(json!({"id": copy_id}))
}

/// Back to the start: the runtime is emptied, the tags stay (observed).
pub(super) fn reset(call: &mut Call<'_>) -> Result<Value, ApiError> {
    for field in ["status_reason", "status_message"] {
        call.arguments.map.insert(field.to_owned(), json!("reset"));
    }
    let fields = status::change(call, "created")?;
    let (id, task) = subject(call)?;
    task.insert("runtime".to_owned(), json!({}));
    for field in [
        "started",
        "completed",
        "last_worker",
        "last_worker_report",
        "enqueue_status",
    ] {
        task.remove(field);
    }
    call.state.dequeue(&id);
    call.state.logs.remove(&id);
    Ok(json!({"updated": 1, "fields": fields, "deleted_models": 0, "dequeued": {}, "events": {}, "urls": {}}))
}

pub(super) fn archive(call: &mut Call<'_>, into: bool) -> Result<Value, ApiError> {
    let (company, ids) = (call.company()?, call.arguments.texts("tasks")?);
    let mut changed = 0;
    for id in ids {
        let Some(task) = call
            .state
            .tasks
            .get_mut(&id)
            .filter(|task| text(task, "company") == company)
        else {
            continue;
        };
        let mut tags = texts(task.get("system_tags"));
        tags.retain(|tag| tag != "archived");
        if into {
            tags.insert(0, "archived".to_owned());
        }
        task.insert("system_tags".to_owned(), json!(tags));
        task.insert("last_change".to_owned(), json!(call.now.stored()));
        changed += 1;
    }
    Ok(if into {
        json!({"archived": changed})
    } else {
        json!({"unarchived": changed})
    })
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let force = call.arguments.flag("force");
    let (id, task) = subject(call)?;
    if let Some(refusal) = keeps(&id, task).filter(|_| !force) {
        return Err(refusal);
    }
    let children = remove(call, &id);
    Ok(json!({"deleted": true, "updated_children": children, "updated_models": 0, "deleted_models": 0, "urls": null}))
}

pub(super) fn delete_many(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (company, ids, force) = (
        call.company()?,
        call.arguments.texts("ids")?,
        call.arguments.flag("force"),
    );
    let (mut succeeded, mut failed) = (Vec::new(), Vec::new());
    for id in ids {
        let refusal = match call.state.tasks.of(&id, &company) {
            None => Some(ApiError::invalid_task_id(&id, &company)),
            Some(task) => keeps(&id, task).filter(|_| !force),
        };
        if let Some(error) = refusal {
            failed
                .push(json!({"id": id, "error": {"codes": [error.code, error.subcode], "msg": error.msg, "data": {}}}));
        } else {
            let children = remove(call, &id);
            succeeded.push(json!({"id": id, "deleted": true, "updated_children": children, "updated_models": 0, "deleted_models": 0, "urls": null}));
        }
    }
    Ok(json!({"succeeded": succeeded, "failed": failed}))
}

/// Why the task is not deleted without force: it is neither new nor archived.
fn keeps(id: &str, task: &Document) -> Option<ApiError> {
    let status = text(task, "status");
    if status == "created" || texts(task.get("system_tags")).iter().any(|tag| tag == "archived") {
        return None;
    }
    let why = format!("due to status, use force=True): task={id}, expected=created, current={status}");
    Some(ApiError::new(400, 123, format!("Task cannot be deleted ({why}")))
}

/// Removes a task and what hangs on it; says how many children lost their parent.
fn remove(call: &mut Call<'_>, id: &str) -> usize {
    call.state.tasks.remove(id);
    call.state.dequeue(id);
    call.state.logs.remove(id);
    let orphans = call.state.tasks.iter_mut().filter(|task| text(task, "parent") == id);
    orphans
        .map(|task: &mut Map<String, Value>| task.insert("parent".to_owned(), json!(format!("__DELETED__{id}"))))
        .count()
}
