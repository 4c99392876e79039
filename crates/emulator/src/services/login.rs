//! `login`: what a log-in page needs to know.

use serde_json::{Value, json};

use super::{Access, Endpoint, V1, auth};
use crate::{call::Call, error::ApiError};

pub(super) fn endpoint(action: &str) -> Option<Endpoint> {
    Some(match action {
        "supported_modes" => Endpoint {
            since: V1,
            access: Access::Optional,
            run: supported_modes,
        },
        "logout" => Endpoint {
            since: (2, 13),
            access: Access::Any,
            run: auth::logout,
        },
        _ => return None,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "every call has this shape")]
fn supported_modes(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let enabled = call.settings.fixed_users;
    Ok(json!({
        "authenticated": call.caller.is_some(),
        "basic": {"enabled": enabled, "guest": auth::guest(enabled)},
        "server_errors": {"es_connection_error": false, "missed_es_upgrade": false},
        "sso": {},
        "sso_providers": [],
    }))
}
