//! `projects`.

use serde_json::{Value, json};

use super::{Endpoint, V1, any};
use crate::{
    call::Call,
    collection::text,
    error::ApiError,
    ids,
    query::{self, Kind, Target},
    state,
};

const KIND: Kind = Kind {
    name: "Project",
    fields: &[
        "id",
        "name",
        "basename",
        "description",
        "company",
        "user",
        "created",
        "last_update",
        "tags",
        "system_tags",
        "path",
        "parent",
        "default_output_destination",
        "featured",
    ],
    lists: &["id", "tags", "system_tags", "user", "parent"],
    dates: &["last_update"],
    equal: &[],
    references: &[
        ("company", Target::Company),
        ("user", Target::User),
        ("parent", Target::Project),
    ],
};

pub(super) fn endpoint(action: &str) -> Option<Endpoint> {
    Some(match action {
        "create" => any(V1, create),
        "get_by_id" => any(V1, get_by_id),
        "get_all_ex" => any(V1, |call| get_all(call, true)),
        "get_all" => any(V1, |call| get_all(call, false)),
        "update" => any(V1, update),
        "get_task_tags" | "get_model_tags" => any((2, 8), |_| Ok(json!({"tags": [], "system_tags": []}))),
        _ => return None,
    })
}

fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (company, user) = (call.company()?, call.user()?);
    let name = call.arguments.text("name")?;
    if by_name(call, name, &company).is_some() {
        return Err(ApiError::new(
            400,
            801,
            format!("Project with the same name already exists: name={name}, company={company}"),
        ));
    }
    let mut project = state::project(
        name,
        call.arguments.optional("description").unwrap_or_default(),
        &company,
        &user,
        call.now,
    );
    for field in ["tags", "system_tags", "default_output_destination"] {
        if let Some(value) = call.arguments.map.get(field).filter(|value| !value.is_null()) {
            project.insert(field.to_owned(), value.clone());
        }
    }
    let id = ids::fresh();
    call.state.projects.insert(&id, project);
    Ok(json!({"id": id}))
}

fn by_name(call: &Call<'_>, name: &str, company: &str) -> Option<String> {
    let found = call
        .state
        .projects
        .iter()
        .find(|project| text(project, "company") == company && text(project, "name") == name);
    found.map(|project| text(project, "id").to_owned())
}

fn get_by_id(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (company, id) = (call.company()?, call.arguments.text("project")?);
    let project = call
        .state
        .projects
        .of(id, &company)
        .ok_or_else(|| unknown(id, &company))?;
    Ok(json!({"project": project}))
}

fn get_all(call: &mut Call<'_>, join: bool) -> Result<Value, ApiError> {
    let company = call.company()?;
    let found = query::find(
        call.state,
        |state| &state.projects,
        &KIND,
        &company,
        &call.arguments.map,
        join,
    )?;
    let mut answer = json!({"projects": found.documents});
    if let Some(scroll) = found.scroll {
        answer["scroll_id"] = json!(scroll);
    }
    Ok(answer)
}

fn update(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let company = call.company()?;
    let id = call.arguments.text("project")?.to_owned();
    let now = call.now.stored();
    let project = call
        .state
        .projects
        .get_mut(&id)
        .filter(|project| text(project, "company") == company);
    let project = project.ok_or_else(|| unknown(&id, &company))?;
    let changes = call
        .arguments
        .map
        .iter()
        .filter(|(field, value)| KIND.fields.contains(&field.as_str()) && !value.is_null());
    let mut fields = json!({});
    for (field, value) in changes.filter(|(field, _)| !matches!(field.as_str(), "id" | "company" | "user")) {
        project.insert(field.clone(), value.clone());
        fields[field] = value.clone();
    }
    project.insert("last_update".to_owned(), json!(now));
    Ok(json!({"updated": 1, "fields": fields}))
}

fn unknown(id: &str, company: &str) -> ApiError {
    ApiError::new(400, 401, format!("Invalid project id: id={id}, company={company}"))
}
