//! The calls that the server knows.

mod auth;
mod events;
mod login;
mod models;
mod organization;
mod projects;
mod queues;
mod server;
mod tasks;
mod users;
mod workers;

use serde_json::Value;

use crate::{call::Call, error::ApiError, seed::Role, settings::FeatureSet};

/// A version of the API.
pub(crate) type Version = (u16, u16);

/// One call that the server knows.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint {
    /// The version that brought it; older requests do not find it.
    pub(crate) since: Version,
    /// Who may call it.
    pub(crate) access: Access,
    /// What it does.
    pub(crate) run: fn(&mut Call<'_>) -> Result<Value, ApiError>,
}

/// Who may call.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// Everybody; credentials are not looked at.
    Open,
    /// Everybody; credentials are tried.
    Optional,
    /// Everybody who is let in.
    Any,
    /// Only these roles, named in refusals in this order.
    Roles(&'static [Role]),
}

/// The call of that name.
pub(crate) fn endpoint(name: &str, features: FeatureSet) -> Option<Endpoint> {
    let (service, action) = name.split_once('.')?;
    match service {
        "auth" => auth::endpoint(action),
        "debug" | "server" => server::endpoint(name),
        "events" => events::endpoint(action),
        "login" => login::endpoint(action),
        "models" => models::endpoint(action),
        "organization" => organization::endpoint(action),
        "projects" => projects::endpoint(action),
        "queues" => queues::endpoint(action),
        "tasks" => tasks::endpoint(action),
        "users" => users::endpoint(action, features),
        "workers" => workers::endpoint(action, features),
        _ => None,
    }
}

/// Whether only the enterprise server has that call, and clients of the open-source server try it all the same: they take
/// "unable to find endpoint" for an answer.
pub(crate) fn is_enterprise(name: &str) -> bool {
    matches!(
        name,
        "users.get_vaults" | "workers.get_runtime_properties" | "workers.set_runtime_properties"
    )
}

/// A call for everybody who is let in.
const fn any(since: Version, run: fn(&mut Call<'_>) -> Result<Value, ApiError>) -> Endpoint {
    Endpoint {
        since,
        access: Access::Any,
        run,
    }
}

/// The first version.
const V1: Version = (1, 0);
