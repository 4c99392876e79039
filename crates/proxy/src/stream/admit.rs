//! May this visitor come in? A stream carries no credential; there is an address only.

use std::{net::IpAddr, sync::Arc};

use portico_auth::client_address::is_trusted;
use portico_core::{
    access::{RuleSource, Who},
    endpoint::Endpoint,
    principal::Principal,
    streams::Admission,
};

use super::refusal::StreamRefusal;
use crate::{settings::StreamSettings, thread::Shared};

/// As whom the visitor at `client` is let in to `endpoint`.
pub(super) async fn admit(
    _shared: &Shared,
    settings: &StreamSettings,
    client: IpAddr,
    endpoint: &Arc<Endpoint>,
) -> Result<Principal, StreamRefusal> {
    match settings.admission {
        Admission::SignedIn => Err(StreamRefusal::LogInRequired),
        // The table refuses such endpoints; whatever a table says, nobody comes in whom the owner meant to keep out.
        _ if needs_sign_in(endpoint) => Err(StreamRefusal::LogInRequired),
        Admission::Networks if !is_trusted(client, &settings.allowed_sources) => Err(StreamRefusal::SourceNotAllowed),
        Admission::Networks | Admission::Open => Ok(Principal::Nobody),
    }
}

/// True if the task's owner tightened who may reach it, which an address alone cannot show.
pub(crate) fn needs_sign_in(endpoint: &Endpoint) -> bool {
    endpoint.access.source == RuleSource::Task && endpoint.access.who != Who::Public
}
