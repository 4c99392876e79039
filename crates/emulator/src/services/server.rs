//! `debug` and `server`.

use serde_json::json;

use super::{Access, Endpoint, V1, any};
use crate::{
    seed::Role,
    settings::{API_VERSION, SERVER_VERSION},
};

pub(super) fn endpoint(name: &str) -> Option<Endpoint> {
    let restricted = Access::Roles(&[Role::Root, Role::System]);
    Some(match name {
        "debug.ping" => Endpoint {
            since: V1,
            access: Access::Open,
            run: |_| Ok(json!({"msg": "ClearML server"})),
        },
        "server.info" => any((2, 12), |_| {
            Ok(json!({"version": SERVER_VERSION, "build": "", "commit": "", "api_version": API_VERSION}))
        }),
        "server.config" | "server.endpoints" => Endpoint {
            since: V1,
            access: restricted,
            run: |_| Ok(json!({})),
        },
        _ => return None,
    })
}
