//! `organization`.

use serde_json::{Value, json};

use super::{Endpoint, V1, any};
use crate::{call::Call, collection::text, error::ApiError};

pub(super) fn endpoint(action: &str) -> Option<Endpoint> {
    Some(match action {
        "get_user_companies" => any(V1, get_user_companies),
        "get_tags" => any((2, 8), |_| Ok(json!({"tags": [], "system_tags": []}))),
        _ => return None,
    })
}

fn get_user_companies(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let company = call.company()?;
    let members = call.state.users.iter().filter(|user| text(user, "company") == company);
    let mut owners: Vec<Value> = members
        .map(|user| json!({"id": user["id"], "name": text(user, "name"), "avatar": null}))
        .collect();
    owners.sort_by_key(|owner| owner["name"].as_str().unwrap_or_default().to_owned());
    Ok(json!({"companies": [{
        "id": company,
        "name": call.state.company_name(&company),
        "allocated": owners.len(),
        "owners": owners,
    }]}))
}
