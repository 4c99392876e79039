//! `workers`: agents that report themselves. What they report is kept so that tests can read it back.

use serde_json::{Value, json};

use super::{Endpoint, any};
use crate::{
    call::Call,
    collection::{text, texts},
    error::ApiError,
    settings::FeatureSet,
    state::object,
};

pub(super) fn endpoint(action: &str, features: FeatureSet) -> Option<Endpoint> {
    Some(match action {
        "register" => any((2, 4), register),
        "unregister" => any((2, 4), unregister),
        "status_report" => any((2, 4), status_report),
        "get_all" => any((2, 4), get_all),
        "get_stats" => any((2, 4), |_| Ok(json!({"workers": []}))),
        // Only the enterprise server keeps properties of workers (its published reference).
        "get_runtime_properties" if features == FeatureSet::Advanced => any((2, 13), get_runtime_properties),
        "set_runtime_properties" if features == FeatureSet::Advanced => any((2, 13), set_runtime_properties),
        _ => return None,
    })
}

fn key(call: &Call<'_>) -> Result<String, ApiError> {
    Ok(format!(
        "worker_{}_{}_{}",
        call.company()?,
        call.user()?,
        call.arguments.text("worker")?
    ))
}

fn register(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (key, name) = (key(call)?, call.arguments.text("worker")?);
    let list = |field: &str| texts(call.arguments.map.get(field));
    let worker = object(json!({
        "key": key, "id": name, "company": call.company()?, "user": call.user()?, "ip": call.peer,
        "queues": list("queues"), "tags": list("tags"), "system_tags": list("system_tags"),
        "register_time": call.now.precise(), "register_timeout": call.arguments.map.get("timeout").cloned().unwrap_or(json!(600)),
        "last_activity_time": call.now.precise(), "last_report_time": call.now.precise(),
    }));
    call.state.workers.insert(key, worker);
    Ok(json!({}))
}

fn unregister(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let key = key(call)?;
    call.state.workers.remove(&key);
    Ok(json!({}))
}

fn status_report(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let key = key(call)?;
    if !call.state.workers.contains_key(&key) {
        register(call)?;
    }
    if let Some(worker) = call.state.workers.get_mut(&key) {
        worker.insert("last_activity_time".to_owned(), json!(call.now.precise()));
        worker.insert("last_report_time".to_owned(), json!(call.now.precise()));
        // A report without tags takes the tags away (observed).
        worker.insert("tags".to_owned(), json!(texts(call.arguments.map.get("tags"))));
        if let Some(queues) = call.arguments.map.get("queues") {
            worker.insert("queues".to_owned(), queues.clone());
        }
    }
    let task = call.arguments.optional("task").map(str::to_owned);
    if let Some(document) = task.and_then(|task| call.state.tasks.get_mut(&task)) {
        document.insert("last_worker".to_owned(), json!(call.arguments.optional("worker")));
        document.insert("last_worker_report".to_owned(), json!(call.now.stored()));
    }
    Ok(json!({}))
}

fn get_all(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let company = call.company()?;
    let state = &call.state;
    let workers = state
        .workers
        .values()
        .filter(|worker| text(worker, "company") == company)
        .map(|worker| {
            let mut answer = Value::Object(worker.clone());
            let user = text(worker, "user");
            answer["company"] = json!({"id": company, "name": state.company_name(&company)});
            answer["user"] =
                json!({"id": user, "name": state.identities.get(user).map(|identity| &identity.user_name)});
            let queues = texts(worker.get("queues")).into_iter().filter_map(|id| {
                let queue = state.queues.of(&id, &company)?;
                let entries = queue
                    .get("entries")
                    .and_then(Value::as_array)
                    .map(Vec::as_slice)
                    .unwrap_or_default();
                let mut answer = json!({"id": id, "name": queue["name"], "num_tasks": entries.len()});
                if let Some(next) = entries
                    .first()
                    .and_then(|entry| state.tasks.get(entry["task"].as_str()?))
                {
                    answer["next_task"] = json!({"id": next["id"], "name": next["name"]});
                }
                Some(answer)
            });
            answer["queues"] = queues.collect();
            answer
        });
    Ok(json!({"workers": workers.collect::<Vec<_>>()}))
}

fn get_runtime_properties(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let key = key(call)?;
    let kept = call
        .state
        .workers
        .get(&key)
        .and_then(|worker| worker.get("runtime_properties"));
    Ok(json!({"runtime_properties": kept.cloned().unwrap_or_else(|| json!([]))}))
}

/// An expiry of 0 takes a property away.
fn set_runtime_properties(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let key = key(call)?;
    let given = call.arguments.map.get("runtime_properties").and_then(Value::as_array);
    let given = given
        .cloned()
        .ok_or_else(|| ApiError::field_required("runtime_properties"))?;
    let worker = call.state.workers.entry(key).or_default();
    let kept = worker.entry("runtime_properties").or_insert_with(|| json!([]));
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    if let Some(kept) = kept.as_array_mut() {
        for property in given {
            kept.retain(|known| known["key"] != property["key"]);
            if property["expiry"] == 0 {
                removed.push(property["key"].clone());
            } else {
                added.push(property["key"].clone());
                kept.push(property);
            }
        }
    }
    Ok(json!({"added": added, "removed": removed, "errors": []}))
}
