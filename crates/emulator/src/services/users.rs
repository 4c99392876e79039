//! `users`.

use serde_json::{Map, Value, json};

use super::{Endpoint, V1, any};
use crate::{
    call::Call,
    collection::text,
    error::ApiError,
    query::{self, Kind, Target},
    settings::FeatureSet,
};

const KIND: Kind = Kind {
    name: "User",
    fields: &[
        "id",
        "company",
        "name",
        "given_name",
        "family_name",
        "avatar",
        "preferences",
        "created",
        "created_in_version",
    ],
    lists: &["id"],
    dates: &[],
    equal: &[],
    references: &[("company", Target::Company)],
};

pub(super) fn endpoint(action: &str, features: FeatureSet) -> Option<Endpoint> {
    Some(match action {
        "get_current_user" => any(V1, get_current_user),
        "get_by_id" => any(V1, get_by_id),
        "get_all_ex" => any((2, 8), |call| get_all(call, true)),
        "get_all" => any(V1, |call| get_all(call, false)),
        "get_preferences" => any(V1, |call| {
            Ok(
                json!({"preferences": call.state.users.get(&call.user()?).and_then(|user| user.get("preferences")).cloned().unwrap_or_else(|| json!({}))}),
            )
        }),
        "set_preferences" => any(V1, set_preferences),
        // Only the enterprise server has vaults, and only with its licence does the SDK ask for them.
        "get_vaults" if features == FeatureSet::Advanced => any((2, 15), |_| Ok(json!({"vaults": []}))),
        _ => return None,
    })
}

fn get_current_user(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let identity = call.identity()?;
    // Service identities have no profile, and a signed token may name a user that was deleted.
    let profile = call
        .state
        .users
        .get(&identity.user)
        .ok_or_else(|| ApiError::new(400, 300, "Invalid user (failed loading user)"))?;
    let mut user: Map<String, Value> = profile.clone();
    user.remove("preferences");
    let company = text(profile, "company");
    user.insert(
        "company".to_owned(),
        json!({"id": company, "name": call.state.company_name(company)}),
    );
    user.insert("role".to_owned(), json!(identity.role.as_str()));
    Ok(json!({
        "user": user,
        "getting_started": {"agentName": "clearml", "configure": "clearml-init", "install": "pip install clearml", "packageName": "clearml"},
        "settings": {"max_download_items": 50_000},
    }))
}

fn get_by_id(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (company, id) = (call.company()?, call.arguments.text("user")?);
    let user = call.state.users.of(id, &company);
    let user = user.ok_or_else(|| ApiError::new(400, 301, format!("Invalid user id: id={id}, company={company}")))?;
    Ok(json!({"user": user}))
}

fn get_all(call: &mut Call<'_>, join: bool) -> Result<Value, ApiError> {
    let company = call.company()?;
    let found = query::find(
        call.state,
        |state| &state.users,
        &KIND,
        &company,
        &call.arguments.map,
        join,
    )?;
    Ok(json!({"users": found.documents}))
}

fn set_preferences(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (id, preferences) = (
        call.user()?,
        call.arguments
            .map
            .get("preferences")
            .cloned()
            .unwrap_or_else(|| json!({})),
    );
    let user = call
        .state
        .users
        .get_mut(&id)
        .ok_or_else(|| ApiError::new(400, 300, "Invalid user (failed loading user)"))?;
    user.insert("preferences".to_owned(), preferences.clone());
    Ok(json!({"updated": 1, "fields": {"preferences": preferences}}))
}
