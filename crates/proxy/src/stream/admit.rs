//! May this visitor come in? A stream carries no credential; there is an address only.

use std::{net::IpAddr, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use portico_auth::client_address::is_trusted;
use portico_core::{
    access::{RuleSource, Who},
    decision::{Decision, Sight, decide},
    endpoint::Endpoint,
    principal::{Principal, User},
    refusal::Refusal,
    routes::Resolved,
    streams::Admission,
};
use tokio::time::timeout;

use super::refusal::StreamRefusal;
use crate::{doors::Doors, settings::StreamSettings, thread::Shared};

/// How long a visitor waits for ClearML's answers about those who are signed in at the address.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one may stay whom nobody may let in any more, while ClearML is asked about others at the address.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Visitors who wait for them at the same time. Those about whom ClearML was asked within the last minute need not wait.
pub(crate) const ASKING: usize = 64;

/// As whom the visitor at `client` is let in to `endpoint`.
pub(super) async fn admit(
    shared: &Shared,
    settings: &StreamSettings,
    client: IpAddr,
    endpoint: &Arc<Endpoint>,
) -> Result<Principal, StreamRefusal> {
    match settings.admission {
        Admission::SignedIn => {
            let mut asking = pin!(signed_in(&shared.doors, client, endpoint));
            if let Some(answer) = asking.as_mut().now_or_never() {
                return answer;
            }
            let Ok(_place) = shared.asking.try_acquire() else {
                return Err(StreamRefusal::Busy);
            };
            timeout(PATIENCE, asking)
                .await
                .unwrap_or(Err(StreamRefusal::ClearmlAway))
        }
        // The table refuses such endpoints; whatever a table says, nobody comes in whom the owner meant to keep out.
        _ if needs_sign_in(endpoint) => Err(StreamRefusal::LogInRequired),
        Admission::Networks if !is_trusted(client, &settings.allowed_sources) => Err(StreamRefusal::SourceNotAllowed),
        Admission::Networks | Admission::Open => Ok(Principal::Nobody),
    }
}

/// True if somebody else who may reach the endpoint is signed in at the address by now, and that can be told at once.
pub(crate) async fn may_stay(shared: &Shared, client: IpAddr, endpoint: &Arc<Endpoint>) -> bool {
    let asking = signed_in(&shared.doors, client, endpoint);
    matches!(timeout(AT_ONCE, asking).await, Ok(Ok(_)))
}

/// True if the task's owner tightened who may reach it, which an address alone cannot show.
pub(crate) fn needs_sign_in(endpoint: &Endpoint) -> bool {
    endpoint.access.source == RuleSource::Task && endpoint.access.who != Who::Public
}

/// The first of those signed in at the address who may reach the endpoint. Somebody has to be signed in there even if the rule is
/// that everybody may.
async fn signed_in(doors: &Doors, client: IpAddr, endpoint: &Arc<Endpoint>) -> Result<Principal, StreamRefusal> {
    let mut why = StreamRefusal::LogInRequired;
    for user in doors.gatekeeper.signed_in_from(client) {
        match may(doors, user, endpoint).await {
            Ok(user) => return Ok(Principal::User(user)),
            Err(Refusal::ClearmlAway | Refusal::Overloaded | Refusal::ShuttingDown | Refusal::Internal) => {
                why = StreamRefusal::ClearmlAway;
            }
            Err(Refusal::LogInRequired | Refusal::CredentialRejected) => {}
            Err(_) if why == StreamRefusal::LogInRequired => why = StreamRefusal::NotAllowed,
            Err(_) => {}
        }
    }
    Err(why)
}

/// The user as of now, if allowed.
async fn may(doors: &Doors, user: Arc<User>, endpoint: &Arc<Endpoint>) -> Result<Arc<User>, Refusal> {
    let resolved = Resolved::Endpoint(endpoint);
    // Many may sit behind one address: whom no answer of ClearML's would let in is not asked about.
    if let Decision::Refuse(refusal) = decide(&Principal::User(user.clone()), &resolved, Sight::Unasked) {
        return Err(refusal);
    }
    let user = doors.gatekeeper.current(&user).await?;
    let principal = Principal::User(user.clone());
    let mut decision = decide(&principal, &resolved, Sight::Unasked);
    if decision == Decision::AskSight {
        let sight = doors.gatekeeper.sight(&user, endpoint.key.task).await;
        decision = decide(&principal, &resolved, sight);
    }
    match decision {
        Decision::Allow => Ok(user),
        Decision::AskSight => Err(Refusal::Internal),
        Decision::Refuse(refusal) => Err(refusal),
    }
}
