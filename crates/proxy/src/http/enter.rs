//! Who asks, for what, and may they: the way to an endpoint, or to a refusal.

use std::sync::{Arc, atomic::Ordering};

use http::{HeaderMap, Method, Response, header::COOKIE, header::UPGRADE, request::Parts};
use portico_auth::foreign;
use portico_core::{
    access::Who,
    audit::{AuditEvent, AuditKind},
    decision::{Decision, Sight, decide},
    endpoint::Endpoint,
    principal::Principal,
    refusal::Refusal,
    routes::{Location, Resolved, RouteTable, locate},
};

use super::{Turn, respond};
use crate::thread::Shared;

/// Somebody who was let through, and to what.
pub(super) struct Entry {
    pub(super) principal: Principal,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) table: Arc<RouteTable>,
    /// True if the path ends with the endpoint's name: a slash is missing.
    pub(super) is_without_slash: bool,
}

impl Turn {
    /// Identifies the visitor and decides.
    pub(super) async fn enter(&mut self, parts: &Parts) -> Result<Entry, Refusal> {
        let thread = self.thread.clone();
        let path = parts.uri.path();
        let identified = thread.shared.doors.gatekeeper.identify(&parts.headers).await;
        let table = thread.table();
        let location = locate(path);
        let is_public = is_public(&resolve(&table, location.as_ref()));
        let (principal, session) = match identified {
            Ok(identified) => {
                self.cookies = identified.set_cookies;
                (identified.principal, identified.session)
            }
            // Who need not be known need not wait until ClearML is back.
            Err(Refusal::ClearmlAway | Refusal::Overloaded) if is_public => (Principal::Nobody, None),
            Err(refusal) => return Err(refusal),
        };
        self.log.is_of(&principal);
        if !is_public {
            let site = &thread.shared.settings.site;
            let asked = foreign::Asked {
                method: &parts.method,
                headers: &parts.headers,
                is_upgrade: parts.headers.contains_key(UPGRADE),
                own: &site.router,
                extra_hosts: &site.extra_hosts,
            };
            foreign::guard(&principal, &asked)?;
            if thread.shared.notes_addresses() {
                // A link that was followed passes the guard, but does not sign its visitor in: the link may be anybody's.
                let is_own_doing = foreign::is_own_doing(&parts.headers, asked.own, asked.extra_hosts);
                let gatekeeper = &thread.shared.doors.gatekeeper;
                gatekeeper.note(&principal, session.as_deref(), self.log.client, is_own_doing);
            }
        }
        let decided = self.decide(&principal, table, location.as_ref()).await;
        self.audit(&principal, location.as_ref(), &decided);
        let (endpoint, table) = decided?;
        Ok(Entry {
            principal,
            endpoint,
            table,
            is_without_slash: location.is_some_and(|location| location.rest.is_empty()),
        })
    }

    /// Decides; asks ClearML and waits for a task to appear where that can change the decision.
    ///
    /// What is hidden is answered as late as what does not exist, so that the time does not tell them apart.
    async fn decide(
        &self,
        principal: &Principal,
        mut table: Arc<RouteTable>,
        location: Option<&Location<'_>>,
    ) -> Result<(Arc<Endpoint>, Arc<RouteTable>), Refusal> {
        let shared = &self.thread.shared;
        let mut sight = Sight::Unasked;
        let mut may_wait = matches!(principal, Principal::User(_));
        loop {
            let resolved = resolve(&table, location);
            if may_wait && matches!(resolved, Resolved::Nothing(_)) {
                may_wait = false;
                if let Some(newer) = Box::pin(appearance(shared, location)).await {
                    table = newer;
                }
                continue;
            }
            match (decide(principal, &resolved, sight), principal, resolved.task()) {
                (Decision::Allow, _, _) => {
                    let Resolved::Endpoint(endpoint) = resolved else {
                        return Err(Refusal::Internal);
                    };
                    return Ok((endpoint.clone(), table.clone()));
                }
                (Decision::AskSight, Principal::User(user), Some(task)) if sight == Sight::Unasked => {
                    sight = shared.doors.gatekeeper.sight(user, task).await;
                }
                (Decision::AskSight, _, _) => return Err(Refusal::Internal),
                (Decision::Refuse(Refusal::NotFound), _, Some(_)) if may_wait => {
                    Box::pin(disappointment(shared)).await;
                    return Err(Refusal::NotFound);
                }
                (Decision::Refuse(refusal), _, _) => return Err(refusal),
            }
        }
    }

    fn audit(
        &self,
        principal: &Principal,
        location: Option<&Location<'_>>,
        decided: &Result<(Arc<Endpoint>, Arc<RouteTable>), Refusal>,
    ) {
        let Principal::User(user) = principal else { return };
        let event = |kind| {
            let mut event = AuditEvent::new(self.log.time, kind);
            event.actor = Some(user.id.clone());
            event.method = Some(user.method);
            event.session.clone_from(&user.session);
            event.address = Some(self.log.client);
            event.request_id = Some(self.log.request_id.to_string());
            event
        };
        match decided {
            Ok((endpoint, _)) => self.thread.grant(user, endpoint, |kind| {
                let mut event = event(kind);
                event.task = Some(endpoint.key.task);
                event.owner = Some(endpoint.owner.clone());
                event.endpoint = Some(endpoint.prefix.clone());
                event.rule = Some(endpoint.access.who.to_string());
                event.rule_source = Some(endpoint.access.source.to_string());
                event
            }),
            Err(refusal @ (Refusal::NotAllowed { .. } | Refusal::NotFound | Refusal::NoEndpoint)) => {
                let mut event = event(AuditKind::AccessRefused);
                event.task = location.map(|location| location.task);
                event.detail = Some(refusal.code().to_owned());
                self.thread.shared.doors.audit.record(event);
            }
            Err(_) => {}
        }
    }

    /// The page that stands before somebody else's endpoint: its scripts act on the origin that all share.
    pub(super) fn warning(&self, parts: &Parts, entry: &Entry) -> Option<Response<bytes::Bytes>> {
        let settings = &self.thread.shared.settings;
        let Principal::User(user) = &entry.principal else {
            return None;
        };
        let is_warned = !settings.path_warning
            || user.id == entry.endpoint.owner
            || parts.method != Method::GET
            || !respond::is_navigation(parts)
            || has_seen(&parts.headers, self.thread.shared.names.mark(), entry.endpoint.id.0);
        (!is_warned).then(|| respond::warning(parts))
    }
}

/// What a path leads to; it is read once, and may be looked up in several tables.
fn resolve<'t>(table: &'t RouteTable, location: Option<&Location<'_>>) -> Resolved<'t> {
    location.map_or(Resolved::Outside, |location| table.at(location.task, location.slug))
}

fn is_public(resolved: &Resolved<'_>) -> bool {
    matches!(resolved, Resolved::Endpoint(endpoint) if endpoint.access.who == Who::Public)
}

/// True if the visitor's browser says that the warning page was read.
fn has_seen(headers: &HeaderMap, mark: &str, endpoint: u64) -> bool {
    let name = format!("portico-seen-{mark}-{endpoint:016x}");
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .any(|pair| pair.trim_ascii_start().split(|byte| *byte == b'=').next() == Some(name.as_bytes()))
}

/// The table in which `location` names something, if one comes in time. Only so many wait at once.
async fn appearance(shared: &Shared, location: Option<&Location<'_>>) -> Option<Arc<RouteTable>> {
    let _place = Place::take(shared)?;
    shared.doors.source.nudge();
    let mut tables = shared.doors.table.clone();
    let appears = async {
        let mut table = tables.get();
        while matches!(resolve(&table, location), Resolved::Nothing(_)) {
            table = tables.changed().await?;
        }
        Some(table)
    };
    let limit = shared.settings.timeouts.appearance;
    tokio::time::timeout(limit, appears).await.ok().flatten()
}

/// As long as it takes until nothing has appeared.
async fn disappointment(shared: &Shared) {
    if let Some(_place) = Place::take(shared) {
        shared.doors.source.nudge();
        tokio::time::sleep(shared.settings.timeouts.appearance).await;
    }
}

/// A place among those who wait.
struct Place<'s>(&'s Shared);

impl<'s> Place<'s> {
    fn take(shared: &'s Shared) -> Option<Self> {
        let place = Self(shared);
        let before = shared.waiting.fetch_add(1, Ordering::Relaxed);
        (before < shared.settings.limits.waiting).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
