//! `tasks`.

mod edit;
mod life;
mod parts;
mod status;

use serde_json::{Value, json};

use super::{Endpoint, V1, any};
use crate::{
    call::Call,
    collection::{Document, text},
    error::ApiError,
    query::{self, Kind, Target},
};

/// Kinds of task that the server accepts.
const TYPES: &[&str] = &[
    "training",
    "testing",
    "inference",
    "data_processing",
    "application",
    "monitor",
    "controller",
    "optimizer",
    "service",
    "qc",
    "custom",
    "report",
];

const KIND: Kind = Kind {
    name: "Task",
    fields: &[
        "id",
        "name",
        "type",
        "company",
        "user",
        "project",
        "parent",
        "status",
        "status_reason",
        "status_message",
        "status_changed",
        "comment",
        "report",
        "report_assets",
        "created",
        "started",
        "completed",
        "published",
        "active_duration",
        "output",
        "execution",
        "tags",
        "system_tags",
        "script",
        "last_update",
        "last_change",
        "last_changed_by",
        "last_iteration",
        "last_metrics",
        "last_worker",
        "last_worker_report",
        "unique_metrics",
        "metric_stats",
        "hyperparams",
        "configuration",
        "runtime",
        "models",
        "container",
        "enqueue_status",
        "input",
        "company_origin",
    ],
    lists: &[
        "id",
        "user",
        "tags",
        "system_tags",
        "type",
        "status",
        "project",
        "parent",
        "hyperparams.*",
        "execution.queue",
        "models.input.model",
    ],
    dates: &["status_changed", "last_update", "last_change"],
    equal: &["runtime.*"],
    references: &[
        ("company", Target::Company),
        ("user", Target::User),
        ("project", Target::Project),
        ("parent", Target::Task),
        ("execution.queue", Target::Queue),
    ],
};

pub(super) fn endpoint(action: &str) -> Option<Endpoint> {
    Some(match action {
        "get_by_id" => any(V1, get_by_id),
        "get_all_ex" => any(V1, |call| get_all(call, true)),
        "get_all" => any(V1, |call| get_all(call, false)),
        "get_types" => any((2, 8), |_| Ok(json!({"types": TYPES}))),
        "create" => any(V1, life::create),
        "validate" => any(V1, |_| Ok(json!({}))),
        "clone" => any(V1, life::clone),
        "reset" => any(V1, life::reset),
        "delete" => any(V1, life::delete),
        "delete_many" => any((2, 13), life::delete_many),
        "archive" => any(V1, |call| life::archive(call, true)),
        "unarchive" => any(V1, |call| life::archive(call, false)),
        "edit" => any(V1, edit::edit),
        "update" => any(V1, edit::update),
        "edit_runtime" => any(V1, edit::edit_runtime),
        "set_requirements" => any((2, 1), edit::set_requirements),
        "edit_hyper_params" => any((2, 9), parts::edit_hyper_params),
        "delete_hyper_params" => any((2, 9), parts::delete_hyper_params),
        "get_hyper_params" => any((2, 9), parts::get_hyper_params),
        "edit_configuration" => any((2, 9), parts::edit_configuration),
        "delete_configuration" => any((2, 9), parts::delete_configuration),
        "get_configurations" => any((2, 9), parts::get_configurations),
        "add_or_update_artifacts" => any((2, 10), parts::add_or_update_artifacts),
        "delete_artifacts" => any((2, 10), parts::delete_artifacts),
        "add_or_update_model" => any((2, 13), parts::add_or_update_model),
        "started" => any(V1, status::started),
        "stop" => any(V1, status::stop),
        "stopped" => any(V1, status::stopped),
        "failed" => any(V1, status::failed),
        "completed" => any((2, 2), status::completed),
        "close" => any(V1, status::close),
        "publish" => any(V1, status::publish),
        "enqueue" => any(V1, status::enqueue),
        "dequeue" => any(V1, status::dequeue),
        "ping" => any(V1, status::ping),
        _ => return None,
    })
}

fn get_by_id(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (company, id) = (call.company()?, call.arguments.text("task")?);
    // `only_fields` is not looked at, and references stay plain ids.
    Ok(json!({"task": call.state.tasks.of(id, &company).ok_or_else(|| ApiError::invalid_task_ids(id))?}))
}

fn get_all(call: &mut Call<'_>, join: bool) -> Result<Value, ApiError> {
    let company = call.company()?;
    let found = query::find(
        call.state,
        |state| &state.tasks,
        &KIND,
        &company,
        &call.arguments.map,
        join,
    )?;
    let mut answer = json!({"tasks": found.documents});
    if let Some(scroll) = found.scroll {
        answer["scroll_id"] = json!(scroll);
    }
    Ok(answer)
}

/// The caller's task that the call is about, for a change. There is no ownership inside a company (observed).
fn subject<'a>(call: &'a mut Call<'_>) -> Result<(String, &'a mut Document), ApiError> {
    let (company, id) = (call.company()?, call.arguments.text("task")?.to_owned());
    let task = call
        .state
        .tasks
        .get_mut(&id)
        .filter(|task| text(task, "company") == company);
    let task = task.ok_or_else(|| ApiError::invalid_task_id(&id, &company))?;
    Ok((id, task))
}
