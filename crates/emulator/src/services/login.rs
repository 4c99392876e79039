//! `login`: what a log-in page needs to know.

use serde_json::{Value, json};

use super::{Access, Endpoint, V1};
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
            run: super::auth::logout,
        },
        _ => return None,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "every call has this shape")]
fn supported_modes(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let enabled = call.settings.fixed_users;
    Ok(json!({
        "authenticated": call.caller.is_some(),
        "basic": {"enabled": enabled, "guest": guest(enabled)},
        "server_errors": {"es_connection_error": false, "missed_es_upgrade": false},
        "sso": {},
        "sso_providers": [],
    }))
}

/// The guest's password is no secret: the log-in page offers it.
pub(super) fn guest(enabled: bool) -> Value {
    if enabled {
        json!({"enabled": true, "name": "Guest", "username": "guest", "password": "guest"})
    } else {
        json!({"enabled": false})
    }
}
