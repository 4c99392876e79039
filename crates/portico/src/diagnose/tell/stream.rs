//! A TCP endpoint's explanation: which port, who may connect, what is behind it.

use std::fmt::Write as _;

use portico_core::{
    decision::{Decision, decide},
    endpoint::{Endpoint, EndpointKey},
    explain::Explanation,
    observe::RequestOrigin,
    refusal::{Fault, Refusal},
    routes::{Resolved, Route},
    streams::{Admission, StreamPolicy},
};

use super::{Findings, World, application, beside, clearml, note, published, say, visitor};
use crate::public_ports::PortCounts;

fn empty() -> Explanation {
    Explanation {
        steps: Vec::new(),
        code: None,
        fault: None,
        answer: "The way is open.".into(),
    }
}

/// Explains what whoever connects to a TCP endpoint gets.
pub fn tell_stream(world: &World, route: &Route, findings: &Findings) -> Explanation {
    let mut told = empty();
    clearml(&mut told, world);
    beside::kubernetes(&mut told, world);
    let Some(routes) = world.table.task(route.key.task) else {
        told.fail("task", &Refusal::NotFound);
        return told;
    };
    let task = &routes.task;
    told.pass("task", format!("{} ({}), owner {}", task.id, task.status, task.owner));
    let is_it = |request: &&portico_core::observe::Request| {
        request.protocol == route.key.protocol && request.name == route.key.name
    };
    let origin = match task.requests.iter().find(is_it).map(|request| request.origin) {
        Some(RequestOrigin::Property) => "its property portico",
        _ => "its runtime keys",
    };
    let name = route
        .key
        .name
        .as_deref()
        .map_or_else(String::new, |name| format!(" {name:?}"));
    told.pass("request", format!("tcp endpoint{name}, asked by {origin}"));
    match (&route.outcome, &world.table.policy().streams) {
        (Ok(endpoint), Some(streams)) => open(&mut told, world, streams, endpoint, findings),
        (Ok(_), None) => told.fail("port", &Refusal::StreamsOff),
        (Err(refusal), _) => {
            told.fail("port", refusal);
            why(&mut told, world, &route.key, refusal);
        }
    }
    let resolved = match &route.outcome {
        Ok(endpoint) => Resolved::Endpoint(endpoint),
        Err(refusal) => Resolved::Refused { task, refusal },
    };
    published(&mut told, world, &resolved);
    told
}

fn open(told: &mut Explanation, world: &World, streams: &StreamPolicy, endpoint: &Endpoint, findings: &Findings) {
    let Some(port) = endpoint.port else {
        return told.fail("port", &Refusal::PortPending);
    };
    let since = world.table.ports().leases.of(&endpoint.key).map(|lease| lease.since);
    let since = since.map_or_else(String::new, |since| format!(", leased since {since:.0}"));
    told.pass(
        "route",
        format!("{}{since} leads to {}", streams.address(port), endpoint.upstream),
    );
    if let Some(error) = world.open_ports.failed.get(&port) {
        told.fail("port", &Refusal::PortTaken { port });
        let remedy = "Portico tries again every second, and gives the endpoint another port if this lasts. End the other program, or \
                      choose a range that nobody else uses (streams.port_range, in the chart streamSession.portRange).";
        told.fault = Some(Fault::Administrator);
        return say(
            told,
            format!("port {port} cannot be opened: another program has it ({error})"),
            remedy,
        );
    }
    match world.open_ports.open.get(&port) {
        Some(holder) if *holder == endpoint.id => told.pass("port", format!("{port} is open")),
        _ => note(told, "port", format!("{port} is being opened")),
    }
    admission(told, streams, endpoint, findings);
    if let Some(traffic) = findings.traffic.as_ref().filter(|_| told.is_passed()) {
        told.pass("traffic", traffic.to_string());
    }
    if endpoint.is_unproven && told.is_passed() {
        told.fail("application", &Refusal::PodsUnproven);
    }
    if let Some(behind) = findings.port.as_ref().filter(|_| told.is_passed()) {
        application(told, endpoint, behind);
    }
}

fn admission(told: &mut Explanation, streams: &StreamPolicy, endpoint: &Endpoint, findings: &Findings) {
    match streams.admission {
        Admission::Open => told.pass("admission", "open: whoever reaches the port gets to the application"),
        Admission::Networks => told.pass("admission", "networks: only from streams.allowed_sources"),
        Admission::SignedIn => {
            let endpoint = std::sync::Arc::new(endpoint.clone());
            let resolved = Resolved::Endpoint(&endpoint);
            let principal = visitor(told, &resolved, &findings.visitor);
            if !told.is_passed() {
                return;
            }
            let (who, source) = (&endpoint.access.who, &endpoint.access.source);
            told.pass("access rule", format!("{who} (from: {source})"));
            match decide(&principal, &resolved, findings.sight) {
                Decision::Allow => told.pass(
                    "admission",
                    "signed-in: from the addresses where the visitor is logged in",
                ),
                Decision::AskSight => told.pass(
                    "admission",
                    "signed-in: ClearML would be asked whether the visitor sees the task",
                ),
                Decision::Refuse(refusal) => told.fail("admission", &refusal),
            }
        }
    }
}

/// What the operator may know besides.
fn why(told: &mut Explanation, world: &World, key: &EndpointKey, refusal: &Refusal) {
    let leases = &world.table.ports().leases;
    match refusal {
        Refusal::NoPortFree { .. } => {
            let counts = PortCounts::of(&world.table, &world.open_ports);
            let _ = write!(
                told.answer,
                " Now {} are leased, {} cool down, and {} cannot be opened.",
                counts.leased, counts.cooling, counts.failed
            );
            if let Some(next) = leases.next_end() {
                let _ = write!(told.answer, " The next one becomes free at {next:.0}.");
            }
        }
        Refusal::PortTaken { port } | Refusal::CopiedAddress { port } => match leases.holder(*port) {
            Some(holder) if holder != key => {
                let _ = write!(told.answer, " It belongs to {}.", words(holder));
            }
            _ => {}
        },
        Refusal::Ended { .. } => {
            let lease = leases.of(key);
            if let Some((lease, until)) = lease.and_then(|lease| Some((lease, lease.cooling_until?))) {
                let _ = write!(told.answer, " Port {} is kept for it until {until:.0}.", lease.port);
            }
        }
        Refusal::PortPending => {
            if let Some((since, detail)) = &world.recording.failing {
                let _ = write!(told.answer, " It cannot be since {since:.0}: {detail}.");
            }
        }
        _ => {}
    }
}

fn words(key: &EndpointKey) -> String {
    let name = key
        .name
        .as_deref()
        .map_or_else(String::new, |name| format!(", endpoint {name:?}"));
    format!("task {}{name}", key.task)
}

/// Explains a host and port that lead to no endpoint.
pub fn nobodys_port(world: &World, host: &str, port: u16) -> Explanation {
    let mut told = empty();
    clearml(&mut told, world);
    let Some(streams) = &world.table.policy().streams else {
        told.fail("port", &Refusal::StreamsOff);
        told.answer =
            "This gateway serves no TCP endpoints: streams.external_url and streams.port_range are not set.".into();
        return told;
    };
    if !streams.is_own(host) {
        told.fail("address", &Refusal::UnknownHost);
        told.answer = format!(
            "{host} is not the address of this gateway's TCP endpoints: that is {} (streams.external_url), ports {}.",
            streams.host, streams.range
        );
        return told;
    }
    let range = streams.range;
    if !range.contains(port) {
        told.fail("port", &Refusal::PortOutsideRange { port, range });
        told.answer = format!("Port {port} is none of this gateway's TCP endpoints': those are {range}.");
        return told;
    }
    told.fail("port", &Refusal::NotFound);
    let leases = &world.table.ports().leases;
    let lease = leases.holder(port).and_then(|key| leases.of(key));
    let found = match lease {
        None => match leases.resting().get(&port) {
            Some(until) => format!(
                "port {port} is closed: nobody gets it until {until:.0}, since it was moved away from or fought for"
            ),
            None => format!("port {port} is free: no endpoint has it, and it is closed"),
        },
        Some(lease) => match lease.cooling_until {
            Some(until) => format!(
                "port {port} is closed: it was {}'s, and is kept for it until {until:.0}",
                words(&lease.key)
            ),
            None => format!(
                "port {port} is leased to {}, which asks for it no more",
                words(&lease.key)
            ),
        },
    };
    say(
        &mut told,
        found,
        "The task shows its address as external_address and external_tcp_port.",
    );
    told
}

#[cfg(test)]
mod tests;
