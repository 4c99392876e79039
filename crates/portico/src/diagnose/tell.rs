//! From values to an explanation. Pure.

use std::{net::IpAddr, sync::Arc};

use portico_auth::session::SessionFault;
use portico_core::{
    decision::Sight,
    endpoint::{Endpoint, Prefix, Protocol},
    explain::Explanation,
    principal::{CompanyId, Method, Principal, User, UserId},
    refusal::Refusal,
    routes::{Resolved, RouteTable},
    secret::Secret,
};
use portico_proxy::Probe;

use super::world::{Findings, Port, Visitor, World};

mod beside;
mod stream;

pub use stream::{nobodys_port, tell_stream};

/// Explains what `findings.visitor` gets at `resolved`.
pub fn tell(world: &World, resolved: &Resolved<'_>, findings: &Findings) -> Explanation {
    let mut told = Explanation {
        steps: Vec::new(),
        code: None,
        fault: None,
        answer: "The way is open.".into(),
    };
    clearml(&mut told, world);
    beside::kubernetes(&mut told, world);
    let principal = visitor(&mut told, resolved, &findings.visitor);
    if told.is_passed() {
        way(&mut told, &world.table, resolved, &principal, findings.sight);
    }
    if let Resolved::Endpoint(endpoint) = resolved
        && told.is_passed()
        && endpoint.is_unproven
    {
        told.fail("application", &Refusal::PodsUnproven);
    }
    if let Resolved::Endpoint(endpoint) = resolved
        && told.is_passed()
        && let Some(port) = &findings.port
    {
        application(&mut told, endpoint, port);
    }
    if matches!(resolved, Resolved::Nothing(_)) {
        unseen(&mut told, world, resolved);
    }
    hidden(&mut told, findings, &principal);
    published(&mut told, world, resolved);
    told
}

/// Something that is not as it should be, but does not stop this visitor.
fn note(told: &mut Explanation, what: &'static str, found: impl Into<String>) {
    told.pass(what, format!("note: {}", found.into()));
}

fn clearml(told: &mut Explanation, world: &World) {
    let age = world
        .health
        .observed
        .map(|observed| world.now.since(observed).as_secs());
    match (&world.health.failing, age) {
        (Some(failing), _) => {
            let seen = match age {
                Some(age) => format!("what was seen {age} s ago still holds"),
                None => "nothing was ever seen".to_owned(),
            };
            note(
                told,
                "ClearML",
                format!(
                    "away since {} ({}: {}); {seen}",
                    failing.since, failing.reason, failing.detail
                ),
            );
        }
        (None, Some(age)) => told.pass("ClearML", format!("read {age} s ago")),
        (None, None) => note(told, "ClearML", "not read yet"),
    }
    if let Some(words) = &world.own_key_refused {
        note(told, "own key", format!("ClearML rejects it: {words}"));
    }
}

/// Who it is, or why that is not known.
fn visitor(told: &mut Explanation, resolved: &Resolved<'_>, visitor: &Visitor) -> Principal {
    match visitor {
        Visitor::Owner => {
            let owner = match resolved {
                Resolved::Endpoint(endpoint) => Some((&endpoint.owner, &endpoint.company)),
                Resolved::Refused { task, .. } => Some((&task.owner, &task.company)),
                Resolved::Nothing(_) | Resolved::Outside => None,
            };
            let Some((owner, company)) = owner else {
                return Principal::Nobody;
            };
            told.pass("visitor", format!("{owner}, the task's owner; name others by --user"));
            stand_in(owner, company)
        }
        Visitor::Named(user) => {
            told.pass("visitor", format!("{} ({})", user.id, user.name));
            Principal::User(user.clone())
        }
        Visitor::Unknown(text) => {
            let found =
                format!("{text:?} is no user of this gateway's company: another company's, or a typing mistake");
            told.fail("visitor", &Refusal::NotFound);
            let remedy = "ClearML shows tasks to users of their own company only. Users go by the id or the name that ClearML shows, \
                          not by the name with which they log in.";
            say(told, found, remedy);
            Principal::Nobody
        }
        Visitor::Ambiguous(text, ids) => {
            let ids: Vec<&str> = ids.iter().map(UserId::as_str).collect();
            told.fail("visitor", &Refusal::NotFound);
            say(
                told,
                format!("several users are named {text:?}"),
                &format!("Ask by id: {}.", ids.join(", ")),
            );
            Principal::Nobody
        }
        Visitor::Unasked(text) => {
            told.fail("visitor", &Refusal::ClearmlAway);
            say(
                told,
                format!("who {text:?} is cannot be found out now"),
                "Ask again when ClearML answers.",
            );
            Principal::Nobody
        }
        Visitor::Cookies { outcome, faults } => cookies(told, outcome, faults),
    }
}

fn cookies(told: &mut Explanation, outcome: &Result<Principal, Refusal>, faults: &[SessionFault]) -> Principal {
    for fault in faults {
        let whose = match fault {
            SessionFault::Unreadable => None,
            SessionFault::Idle(session) | SessionFault::Over(session) | SessionFault::Revoked(session) => Some(session),
        };
        let whose = whose.map_or_else(String::new, |session| {
            format!(" (session {} of {})", session.id, session.user)
        });
        note(told, "session", format!("{fault}{whose}"));
    }
    match outcome {
        Ok(Principal::User(user)) => {
            told.pass("visitor", format!("{} ({}), by {}", user.id, user.name, user.method));
            Principal::User(user.clone())
        }
        Ok(Principal::Nobody) => {
            told.fail("visitor", &Refusal::LogInRequired);
            let why = match faults.first() {
                Some(SessionFault::Over(_) | SessionFault::Idle(_)) => "the session has expired",
                Some(SessionFault::Revoked(_)) => "the session was ended",
                Some(SessionFault::Unreadable) => "the session cookie is not this gateway's",
                None => "none of the cookies counts",
            };
            say(
                told,
                why.to_owned(),
                "A browser is led to the log-in; after it the same address opens.",
            );
            Principal::Nobody
        }
        Err(refusal) => {
            told.fail("visitor", refusal);
            Principal::Nobody
        }
    }
}

fn way(told: &mut Explanation, table: &RouteTable, resolved: &Resolved<'_>, principal: &Principal, sight: Sight) {
    let core = table.explain(resolved, principal, sight);
    told.steps.extend(core.steps);
    (told.code, told.fault) = (core.code, core.fault);
    if core.code.is_some() {
        told.answer = core.answer;
    }
}

/// A task that is in no table: nobody knows of it, or nobody could look.
fn unseen(told: &mut Explanation, world: &World, resolved: &Resolved<'_>) {
    let Resolved::Nothing(task) = resolved else { return };
    if world.table.task(*task).is_some() {
        let routes = world.table.task(*task).map(|task| &task.routes).into_iter().flatten();
        let names: Vec<String> = routes
            .map(|route| name_of(route.slug.as_ref().map(ToString::to_string)))
            .collect();
        told.answer = format!("{} It asks for: {}.", told.answer, names.join(", "));
        return;
    }
    if told.code != Some(Refusal::NotFound.code()) || told.steps.last().is_some_and(|step| step.what != "task") {
        return;
    }
    if world.own_key_refused.is_some() {
        told.steps.pop();
        return told.fail("task", &Refusal::OwnKeyRejected);
    }
    if let Some(failing) = &world.health.failing {
        told.steps.pop();
        told.fail("task", &Refusal::ClearmlAway);
        told.answer = format!(
            "The task is not known, and ClearML is away since {} ({}: {}). If it asked for an endpoint after that, it is found as \
             soon as ClearML answers.",
            failing.since, failing.reason, failing.detail
        );
        return;
    }
    told.answer = format!(
        "No task {task} asks for an endpoint. Is the id right? Has the task called request_external_endpoint, or a property \
         portico? Is it of the company of this gateway's key?"
    );
    beside::elsewhere(told, world, *task);
}

fn name_of(slug: Option<String>) -> String {
    slug.unwrap_or_else(|| "the unnamed endpoint".to_owned())
}

/// A refusal as "not found" has a reason that the visitor is not told, but the operator is.
fn hidden(told: &mut Explanation, findings: &Findings, principal: &Principal) {
    let Principal::User(user) = principal else { return };
    if findings.sight == Sight::Hidden && told.code == Some(Refusal::NotFound.code()) {
        told.answer = format!(
            "ClearML does not show this task to {} ({}), who therefore gets the same answer as for a task that does not exist.",
            user.id, user.name
        );
    }
}

fn application(told: &mut Explanation, endpoint: &Endpoint, port: &Port) {
    let address = endpoint.upstream;
    match port.probe {
        Probe::Listening => {
            let prefix = match port.status.map(|status| status.prefix) {
                _ if endpoint.key.protocol == Protocol::Tcp => "",
                Some(Prefix::Cut) => "; its prefix is cut",
                Some(Prefix::Keep) => "; its prefix is kept",
                Some(Prefix::Auto) | None => "; whether its prefix is cut is decided at the first request",
            };
            told.pass("application", format!("{address} accepts connections{prefix}"));
        }
        Probe::Unreachable => told.fail("application", &Refusal::Unreachable),
        Probe::Refused => {
            let number = address.port();
            told.fail("application", &Refusal::NotListening { port: number });
            let here = port.listening_here.as_deref().unwrap_or_default();
            let loopback: Vec<&IpAddr> = here.iter().filter(|ip| ip.to_canonical().is_loopback()).collect();
            if let Some(ip) = loopback.first() {
                let found = format!("it listens on {ip} only, which other addresses than loopback do not reach");
                let remedy =
                    format!("Start it so that it listens on 0.0.0.0:{number} (often --ip 0.0.0.0 or --host 0.0.0.0).");
                say(told, found, &remedy);
            } else if endpoint.key.protocol == Protocol::Http && !port.status.is_some_and(|status| status.has_accepted)
            {
                told.answer.push_str(
                    " It has not accepted a connection yet; visitors of a young task are told that it is starting.",
                );
            }
        }
    }
}

fn published(told: &mut Explanation, world: &World, resolved: &Resolved<'_>) {
    let Some(task) = resolved.task() else { return };
    if let Some(routes) = world.table.task(task) {
        beside::owning(told, world, &routes.task);
    }
    let keys: Vec<&str> = world
        .contested
        .iter()
        .filter(|contested| contested.task == task)
        .map(|contested| contested.key.as_str())
        .collect();
    if keys.is_empty() {
        return;
    }
    note(
        told,
        "publishing",
        format!(
            "contested: somebody else keeps overwriting {} in the task; Portico has stopped writing it",
            keys.join(", ")
        ),
    );
    if told.is_passed() {
        "The way is open, but ClearML may show another address: another gateway, or a copy of this one, publishes for this task too. \
         Give the gateways disjoint queues, or set publish: never in one of them."
            .clone_into(&mut told.answer);
    }
}

/// Replaces what the last step found, and the answer, by something more to the point.
fn say(told: &mut Explanation, found: String, remedy: &str) {
    let mut letters = found.chars();
    let sentence: String = letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default();
    told.answer = format!("{sentence}. {remedy}");
    if let Some(step) = told.steps.last_mut() {
        step.found = found;
    }
}

/// Somebody with this id, for whom no credential is needed: only decisions are asked.
pub(super) fn stand_in(id: &UserId, company: &CompanyId) -> Principal {
    Principal::User(Arc::new(User {
        id: id.clone(),
        company: company.clone(),
        name: id.as_str().into(),
        is_administrator: false,
        method: Method::Session,
        session: None,
        expires: None,
        token: Secret::default(),
    }))
}

#[cfg(test)]
pub(super) mod tests;
