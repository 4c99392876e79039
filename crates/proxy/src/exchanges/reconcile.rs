//! Open exchanges are decided again, with the same decision as at their start: every second, and when the table changes.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use portico_core::{
    access::Who,
    audit::{AuditEvent, AuditKind},
    decision::{Decision, Sight, decide},
    endpoint::{Endpoint, EndpointId, EndpointKey, Protocol, TaskId},
    live::Live,
    observe::{ObservedTask, Request},
    principal::{Method, Principal, SessionId, User, UserId},
    refusal::Refusal,
    routes::{Resolved, RouteTable},
    secret::Secret,
    streams::Admission,
};
use tokio::time::timeout;

use super::{CutReason, Exchange, Exchanges};
use crate::{
    doors::Doors,
    record::Kind,
    stream::{may_stay, needs_sign_in},
    thread::Shared,
};

const EVERY: Duration = Duration::from_secs(1);
/// Longer than anything in here may take: what ClearML does not answer is asked again in the next round.
const PATIENCE: Duration = Duration::from_secs(2);
/// Decisions under way at once.
const AT_ONCE: usize = 64;

/// Exchanges that are decided alike.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Group {
    /// By token too: of two log-ins of one user, one may have ended.
    user: Option<(UserId, Method, Option<SessionId>, Secret)>,
    /// Of a stream that a user let in: somebody else may be signed in there.
    address: Option<IpAddr>,
    endpoint: EndpointId,
    upstream: SocketAddr,
}

impl Exchanges {
    /// Decides again for ever, and cuts what is no longer allowed.
    pub(crate) async fn reconcile(self: Arc<Self>, shared: &Shared) {
        let doors = &shared.doors;
        let mut tables = doors.table.clone();
        let mut is_live = true;
        let mut seen: Option<Arc<RouteTable>> = None;
        loop {
            let table = doors.table.get();
            if !seen.is_some_and(|seen| Arc::ptr_eq(&seen, &table)) {
                shared.upstreams.retain(&table);
            }
            self.cut_gone(doors, &table);
            let mut is_behind = false;
            {
                let mut deciding = pin!(self.decide_again(shared, &table));
                loop {
                    tokio::select! {
                        biased;
                        () = &mut deciding => break,
                        () = change(&mut tables, &mut is_live) => {
                            self.cut_gone(doors, &doors.table.get());
                            is_behind = true;
                        }
                    }
                }
            }
            self.rounds.fetch_add(1, Ordering::Relaxed);
            seen = Some(table);
            if !is_behind {
                tokio::select! {
                    () = change(&mut tables, &mut is_live) => {}
                    () = tokio::time::sleep(EVERY) => {}
                }
            }
        }
    }

    /// Cuts what the table alone says is gone. That waits for nobody: ClearML's answers may take long, and the address may be
    /// somebody else's soon.
    fn cut_gone(&self, doors: &Doors, table: &RouteTable) {
        for exchange in self.snapshot() {
            if let Some(refusal) = gone(table, &exchange.endpoint) {
                cut(doors, &exchange, CutReason::Ended, &refusal);
            }
        }
    }

    async fn decide_again(&self, shared: &Shared, table: &RouteTable) {
        let doors = &shared.doors;
        let mut groups: HashMap<Group, Vec<Arc<Exchange>>> = HashMap::new();
        for exchange in self.snapshot() {
            if exchange.cut.reason().is_none() {
                groups.entry(group(&exchange)).or_default().push(exchange);
            }
        }
        stream::iter(groups.into_values())
            .for_each_concurrent(AT_ONCE, async |exchanges| {
                let Some(first) = exchanges.first() else { return };
                if let Ok(Err((reason, refusal))) = timeout(PATIENCE, judge(shared, table, first)).await {
                    for exchange in &exchanges {
                        cut(doors, exchange, reason, &refusal);
                    }
                }
            })
            .await;
    }
}

/// Waits for another table.
async fn change(tables: &mut Live<RouteTable>, is_live: &mut bool) {
    if !*is_live || tables.changed().await.is_none() {
        *is_live = false;
        std::future::pending::<()>().await;
    }
}

fn cut(doors: &Doors, exchange: &Exchange, reason: CutReason, refusal: &Refusal) {
    if exchange.cut.reason().is_none() {
        exchange.cut(reason);
        doors.audit.record(event(doors, exchange, reason, refusal));
    }
}

fn group(exchange: &Exchange) -> Group {
    Group {
        user: match &exchange.principal {
            Principal::Nobody => None,
            Principal::User(user) => Some((user.id.clone(), user.method, user.session.clone(), user.token.clone())),
        },
        address: admitted_as_user(exchange).then_some(exchange.client),
        endpoint: exchange.endpoint.id,
        upstream: exchange.endpoint.upstream,
    }
}

/// True for a stream that was let in because somebody is signed in at its address.
fn admitted_as_user(exchange: &Exchange) -> bool {
    exchange.kind() == Kind::Tcp && exchange.principal != Principal::Nobody
}

/// Why nobody can reach the endpoint any more where it was, if so. The table alone tells.
fn gone(table: &RouteTable, endpoint: &Endpoint) -> Option<Refusal> {
    match of_key(table, &endpoint.key) {
        // What is at the old address now may be somebody else's.
        Resolved::Endpoint(now) => (now.upstream != endpoint.upstream).then_some(Refusal::NoEndpoint),
        resolved @ Resolved::Refused { refusal, .. } => {
            let stays = under_another_owner(table, &resolved, endpoint).is_some();
            (!stays).then(|| refusal.clone())
        }
        Resolved::Nothing(_) | Resolved::Outside => Some(Refusal::NoEndpoint),
    }
}

/// A stream's endpoint where it was and under the rule that holds now, if nothing but the gateway that gives its port is another:
/// what is open stays open. `None` if the table does not tell so.
fn under_another_owner(table: &RouteTable, resolved: &Resolved<'_>, endpoint: &Endpoint) -> Option<Arc<Endpoint>> {
    let Resolved::Refused {
        task,
        refusal: Refusal::AnotherGatewaysTask { .. },
    } = resolved
    else {
        return None;
    };
    let upstream = endpoint.upstream;
    let is_there = |address: &IpAddr| address.to_canonical() == upstream.ip().to_canonical();
    let asked = |request: &&Request| request.protocol == endpoint.key.protocol && request.name == endpoint.key.name;
    let ask = task.requests.iter().find(asked)?.ask.as_ref().ok()?;
    let is_for_some = ask.access.as_ref().is_some_and(|who| *who != Who::Public);
    let is_judged = table.policy().streams.as_ref()?.admission == Admission::SignedIn || !is_for_some;
    if !task.addresses.iter().any(is_there) || !is_judged || asks_http(task, upstream.port()) {
        return None;
    }
    Some(Arc::new(Endpoint {
        owner: task.owner.clone(),
        company: task.company.clone(),
        access: table.policy().access.rule_for(task, ask.access.as_ref()),
        ..endpoint.clone()
    }))
}

/// True if an HTTP endpoint of the task is at this port: its rule is not walked around.
fn asks_http(task: &ObservedTask, port: u16) -> bool {
    let is_http = |request: &Request| {
        request.protocol == Protocol::Http && request.ask.as_ref().is_ok_and(|ask| ask.port == port)
    };
    task.requests.iter().any(is_http)
}

/// May it go on, at an endpoint that is where it was?
async fn judge(shared: &Shared, table: &RouteTable, exchange: &Exchange) -> Result<(), (CutReason, Refusal)> {
    let endpoint = &exchange.endpoint;
    let resolved = of_key(table, &endpoint.key);
    let as_it_was = under_another_owner(table, &resolved, endpoint);
    let resolved = as_it_was.as_ref().map_or(resolved, Resolved::Endpoint);
    let Resolved::Endpoint(now) = resolved else {
        return Ok(());
    };
    match &exchange.principal {
        Principal::User(user) if admitted_as_user(exchange) => {
            let judged = judge_user(&shared.doors, user, &resolved, endpoint.key.task).await;
            if judged.is_err() && may_stay(shared, exchange.client, now).await {
                return Ok(());
            }
            judged
        }
        _ if now.access.who == Who::Public => Ok(()),
        Principal::User(user) => judge_user(&shared.doors, user, &resolved, endpoint.key.task).await,
        // Let in for its address, not as a user.
        Principal::Nobody if exchange.kind() == Kind::Tcp && !needs_sign_in(now) => Ok(()),
        Principal::Nobody => verdict(Refusal::LogInRequired),
    }
}

/// Only an answer replaces an answer: while ClearML cannot be asked, what is open stays open.
async fn judge_user(
    doors: &Doors,
    user: &Arc<User>,
    resolved: &Resolved<'_>,
    task: TaskId,
) -> Result<(), (CutReason, Refusal)> {
    // As whom ClearML knows the user now: rights may have gone since the exchange was opened.
    let user = match doors.gatekeeper.current(user).await {
        Ok(user) => user,
        Err(refusal) => return verdict(refusal),
    };
    let principal = Principal::User(user.clone());
    let mut decision = decide(&principal, resolved, Sight::Unasked);
    if decision == Decision::AskSight {
        let sight = doors.gatekeeper.sight(&user, task).await;
        decision = decide(&principal, resolved, sight);
    }
    match decision {
        Decision::Allow | Decision::AskSight => Ok(()),
        Decision::Refuse(refusal) => verdict(refusal),
    }
}

/// What an endpoint is now. By its key: an HTTP and a TCP endpoint of one task may share a name.
pub(crate) fn of_key<'t>(table: &'t RouteTable, key: &EndpointKey) -> Resolved<'t> {
    let (Some(routes), Some(route)) = (table.task(key.task), table.route(key)) else {
        return Resolved::Nothing(key.task);
    };
    match &route.outcome {
        Ok(endpoint) => Resolved::Endpoint(endpoint),
        Err(refusal) => Resolved::Refused {
            task: &routes.task,
            refusal,
        },
    }
}

fn verdict(refusal: Refusal) -> Result<(), (CutReason, Refusal)> {
    match refusal {
        Refusal::ClearmlAway | Refusal::Overloaded | Refusal::ShuttingDown | Refusal::Internal => Ok(()),
        Refusal::LogInRequired | Refusal::CredentialRejected => Err((CutReason::SignedOut, refusal)),
        refusal => Err((CutReason::NotAllowed, refusal)),
    }
}

fn event(doors: &Doors, exchange: &Exchange, reason: CutReason, refusal: &Refusal) -> AuditEvent {
    let mut event = AuditEvent::new(doors.clock.now(), AuditKind::ExchangeCut);
    if let Principal::User(user) = &exchange.principal {
        event.actor = Some(user.id.clone());
        event.method = Some(user.method);
        event.session.clone_from(&user.session);
    }
    event.address = Some(exchange.client);
    event.task = Some(exchange.endpoint.key.task);
    event.owner = Some(exchange.endpoint.owner.clone());
    event.endpoint = Some(exchange.endpoint.prefix.clone());
    event.request_id = Some(exchange.request_id.to_string());
    event.detail = Some(format!("{} ({})", reason.word(), refusal.code()));
    event
}
