//! The lists and sections inside a task: hyperparameters, configuration, artifacts, models.

use serde_json::{Map, Value, json};

use super::subject;
use crate::{
    call::Call,
    collection::{Document, text, texts},
    error::ApiError,
    state::object,
};

/// Adds parameters to their sections; `replace_hyperparams` says whether others in the section, or everything, go.
pub(super) fn edit_hyper_params(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let given = list(call, "hyperparams")?;
    let replace = call
        .arguments
        .optional("replace_hyperparams")
        .unwrap_or("none")
        .to_owned();
    changed(call, |task| {
        let sections = section(task, "hyperparams");
        if replace == "all" {
            sections.clear();
        } else if replace == "section" {
            for item in &given {
                sections.remove(item["section"].as_str().unwrap_or_default());
            }
        }
        for item in &given {
            let name = item["section"].as_str().unwrap_or_default();
            let parameters = sections.entry(name).or_insert_with(|| json!({}));
            parameters[item["name"].as_str().unwrap_or_default()] = parameter(item);
        }
    })?;
    Ok(json!({"updated": 1}))
}

/// A parameter as it is read back: values are text.
fn parameter(item: &Value) -> Value {
    let mut parameter: Map<String, Value> = item
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let Some(value) = parameter.get_mut("value").filter(|value| !value.is_string()) {
        *value = Value::String(value.to_string());
    }
    Value::Object(parameter)
}

pub(super) fn delete_hyper_params(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let given = list(call, "hyperparams")?;
    changed(call, |task| {
        let sections = section(task, "hyperparams");
        for item in &given {
            let name = item["section"].as_str().unwrap_or_default();
            match (item["name"].as_str(), sections.get_mut(name)) {
                (Some(parameter), Some(Value::Object(parameters))) => {
                    parameters.remove(parameter);
                }
                _ => {
                    sections.remove(name);
                }
            }
        }
    })?;
    Ok(json!({"deleted": 1}))
}

pub(super) fn get_hyper_params(call: &mut Call<'_>) -> Result<Value, ApiError> {
    per_task(call, "params", |task| {
        let sections = task.get("hyperparams").and_then(Value::as_object).into_iter().flatten();
        let parameters = sections.flat_map(|(_, parameters)| {
            parameters
                .as_object()
                .into_iter()
                .flatten()
                .map(|(_, parameter)| parameter.clone())
        });
        json!({"task": task["id"], "hyperparams": parameters.collect::<Vec<_>>()})
    })
}

pub(super) fn edit_configuration(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let given = list(call, "configuration")?;
    let replace = call.arguments.flag("replace_configuration");
    changed(call, |task| {
        let entries = section(task, "configuration");
        if replace {
            entries.clear();
        }
        for item in &given {
            entries.insert(item["name"].as_str().unwrap_or_default().to_owned(), item.clone());
        }
    })?;
    Ok(json!({"updated": 1}))
}

pub(super) fn delete_configuration(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let names = call.arguments.texts("configuration")?;
    changed(call, |task| {
        section(task, "configuration").retain(|name, _| !names.contains(name));
    })?;
    Ok(json!({"deleted": 1}))
}

pub(super) fn get_configurations(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let names = texts(call.arguments.map.get("names"));
    per_task(call, "configurations", |task| {
        let entries = task
            .get("configuration")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let wanted = entries.filter(|(name, _)| names.is_empty() || names.contains(name));
        json!({"task": task["id"], "configuration": wanted.map(|(_, entry)| entry.clone()).collect::<Vec<_>>()})
    })
}

pub(super) fn add_or_update_artifacts(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let given = list(call, "artifacts")?;
    changed(call, |task| {
        let artifacts = artifacts(task);
        for item in given {
            artifacts.retain(|artifact| artifact["key"] != item["key"] || artifact["mode"] != item["mode"]);
            artifacts.push(item);
        }
    })?;
    Ok(json!({"updated": 1}))
}

pub(super) fn delete_artifacts(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let given = list(call, "artifacts")?;
    changed(call, |task| {
        artifacts(task).retain(|artifact| !given.iter().any(|item| item["key"] == artifact["key"]));
    })?;
    Ok(json!({"deleted": 1}))
}

pub(super) fn add_or_update_model(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (name, kind, model) = (
        call.arguments.text("name")?.to_owned(),
        call.arguments.text("type")?.to_owned(),
        call.arguments.text("model")?.to_owned(),
    );
    changed(call, |task| {
        let entries = section(task, "models").entry(kind).or_insert_with(|| json!([]));
        if let Value::Array(entries) = entries {
            entries.retain(|entry| entry["name"] != name.as_str());
            entries.push(json!({"name": name, "model": model}));
        }
    })?;
    Ok(json!({"updated": 1}))
}

fn list(call: &Call<'_>, field: &str) -> Result<Vec<Value>, ApiError> {
    match call.arguments.map.get(field) {
        Some(Value::Array(items)) => Ok(items.clone()),
        None | Some(Value::Null) => Err(ApiError::field_required(field)),
        Some(_) => Err(ApiError::field_invalid(field, "expected list")),
    }
}

/// Changes the call's task unless it has ended.
fn changed(call: &mut Call<'_>, change: impl FnOnce(&mut Document)) -> Result<(), ApiError> {
    let (force, now, user) = (call.arguments.flag("force"), call.now, call.user()?);
    let (_, task) = subject(call)?;
    let status = text(task, "status");
    if !force && !matches!(status, "created" | "queued" | "in_progress") {
        return Err(ApiError::task_status("created", status));
    }
    change(task);
    for (field, value) in [
        ("last_change", json!(now.stored())),
        ("last_update", json!(now.stored())),
        ("last_changed_by", json!(user)),
    ] {
        task.insert(field.to_owned(), value);
    }
    Ok(())
}

fn per_task(call: &mut Call<'_>, answer: &str, part: impl Fn(&Document) -> Value) -> Result<Value, ApiError> {
    let (company, ids) = (call.company()?, call.arguments.texts("tasks")?);
    let tasks = ids.iter().filter_map(|id| call.state.tasks.of(id, &company));
    let parts: Vec<Value> = tasks.map(part).collect();
    Ok(Value::Object(object(json!({answer: parts}))))
}

fn section<'a>(task: &'a mut Document, field: &str) -> &'a mut Map<String, Value> {
    let value = task.entry(field).or_insert_with(|| json!({}));
    as_map(value)
}

fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("just made a map"),
    }
}

fn artifacts(task: &mut Document) -> &mut Vec<Value> {
    let value = section(task, "execution")
        .entry("artifacts")
        .or_insert_with(|| json!([]));
    if !value.is_array() {
        *value = json!([]);
    }
    match value {
        Value::Array(items) => items,
        _ => unreachable!("just made a list"),
    }
}
