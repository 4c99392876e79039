//! `models`: as much as the SDK touches without anybody training.

use serde_json::{Value, json};

use super::{Endpoint, V1, any};
use crate::{
    call::Call,
    collection::text,
    error::ApiError,
    ids,
    query::{self, Kind, Target},
    state::object,
};

const KIND: Kind = Kind {
    name: "Model",
    fields: &[
        "id",
        "name",
        "company",
        "user",
        "created",
        "last_update",
        "task",
        "parent",
        "project",
        "comment",
        "tags",
        "system_tags",
        "framework",
        "design",
        "labels",
        "uri",
        "ready",
        "metadata",
    ],
    lists: &[
        "id",
        "user",
        "tags",
        "system_tags",
        "project",
        "task",
        "parent",
        "framework",
    ],
    dates: &["last_update"],
    equal: &["uri", "ready"],
    references: &[
        ("company", Target::Company),
        ("user", Target::User),
        ("project", Target::Project),
        ("task", Target::Task),
        ("parent", Target::Model),
    ],
};

pub(super) fn endpoint(action: &str) -> Option<Endpoint> {
    Some(match action {
        "create" => any(V1, create),
        "edit" | "update" => any(V1, edit),
        "get_by_id" => any(V1, get_by_id),
        "get_all_ex" => any(V1, |call| get_all(call, true)),
        "get_all" => any(V1, |call| get_all(call, false)),
        _ => return None,
    })
}

fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    call.arguments.text("uri")?;
    let name = call.arguments.text("name")?;
    let mut model = object(json!({
        "name": name, "company": call.company()?, "user": call.user()?, "created": call.now.stored(), "last_update": call.now.stored(),
        "tags": [], "system_tags": [], "design": {}, "labels": {}, "ready": true, "metadata": {},
    }));
    model.extend(changes(call));
    let id = ids::fresh();
    call.state.models.insert(&id, model);
    Ok(json!({"id": id, "created": true}))
}

fn edit(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (company, id, changes) = (call.company()?, call.arguments.text("model")?.to_owned(), changes(call));
    let model = call
        .state
        .models
        .get_mut(&id)
        .filter(|model| text(model, "company") == company)
        .ok_or_else(|| unknown(&id, &company))?;
    model.extend(changes.clone());
    model.insert("last_update".to_owned(), json!(call.now.stored()));
    Ok(json!({"updated": 1, "fields": changes}))
}

/// The given values of fields that a caller may set.
fn changes(call: &Call<'_>) -> crate::collection::Document {
    let settable =
        |field: &str| KIND.fields.contains(&field) && !matches!(field, "id" | "company" | "user" | "created");
    call.arguments
        .map
        .iter()
        .filter(|(field, value)| settable(field) && !value.is_null())
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect()
}

fn get_by_id(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (company, id) = (call.company()?, call.arguments.text("model")?);
    Ok(json!({"model": call.state.models.of(id, &company).ok_or_else(|| unknown(id, &company))?}))
}

fn get_all(call: &mut Call<'_>, join: bool) -> Result<Value, ApiError> {
    let company = call.company()?;
    let found = query::find(
        call.state,
        |state| &state.models,
        &KIND,
        &company,
        &call.arguments.map,
        join,
    )?;
    let mut answer = json!({"models": found.documents});
    if let Some(scroll) = found.scroll {
        answer["scroll_id"] = json!(scroll);
    }
    Ok(answer)
}

fn unknown(id: &str, company: &str) -> ApiError {
    ApiError::new(400, 201, format!("Invalid model id: id={id}, company={company}"))
}
