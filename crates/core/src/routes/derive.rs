//! From one task to its routes, before anybody looks at the other tasks.

use std::{net::SocketAddr, sync::Arc};

use super::Policy;
use crate::{
    access::Who,
    endpoint::{EndpointKey, Protocol, Slug},
    observe::{Ask, ObservedTask, OwningGateway, Request, Workload},
    ports::{Lease, Leases, PortBook},
    refusal::Refusal,
    streams::{Admission, StreamPolicy, Target, target},
};

/// One endpoint of a task: where it would lead, or why it cannot.
pub(super) struct Candidate<'t> {
    pub(super) key: EndpointKey,
    pub(super) slug: Option<Slug>,
    pub(super) outcome: Result<Way<'t>, Refusal>,
}

/// Where an endpoint would lead.
pub(super) struct Way<'t> {
    pub(super) upstream: SocketAddr,
    pub(super) ask: &'t Ask,
    /// For a stream endpoint: how its task's keys were understood.
    pub(super) target: Option<Box<Target>>,
    /// For a stream endpoint that has one: its public port.
    pub(super) port: Option<u16>,
}

/// The candidates of a task, one for each request, with their public ports. One without the port that it needs leads nowhere, and
/// claims no address.
pub(super) fn candidates<'t>(task: &'t ObservedTask, policy: &Policy, ports: &PortBook) -> Vec<Candidate<'t>> {
    let mut candidates = portless(task, policy, &ports.leases);
    let streams = candidates
        .iter_mut()
        .filter(|candidate| candidate.key.protocol == Protocol::Tcp);
    for candidate in streams {
        if let Ok(way) = &mut candidate.outcome {
            match ports.port(&candidate.key) {
                Ok(port) => way.port = Some(port),
                Err(refusal) => candidate.outcome = Err(refusal),
            }
        }
    }
    candidates
}

/// The candidates of a task, one for each request, before ports are given.
pub(super) fn portless<'t>(task: &'t ObservedTask, policy: &Policy, leases: &Leases) -> Vec<Candidate<'t>> {
    let slugs: Vec<Option<Slug>> = task
        .requests
        .iter()
        .map(|request| request.name.as_deref().map(Slug::of))
        .collect();
    let is_shared = |at: usize, request: &Request| {
        let twins = task.requests.iter().zip(&slugs).enumerate();
        twins
            .filter(|(other, _)| *other != at)
            .any(|(_, (other, slug))| other.protocol == request.protocol && *slug == slugs[at])
    };
    let of_task = whole_task(task, policy).err();
    let candidate = |(at, request): (usize, &'t Request)| {
        let key = EndpointKey {
            task: task.id,
            protocol: request.protocol,
            name: request.name.clone(),
        };
        let outcome = match (&of_task, &request.ask) {
            (Some(refusal), _) => Err(refusal.clone()),
            (None, Err(fault)) => Err(Refusal::BadRequestOfTask(fault.clone())),
            (None, Ok(ask)) if request.protocol == Protocol::Tcp => match (&policy.streams, owner_of(task)) {
                // Its port would be found nowhere: the other one's stands in the task.
                (_, Err(refusal)) => Err(refusal),
                (Some(streams), Ok(())) => stream(task, ask, leases.of(&key), policy, streams),
                (None, Ok(())) => Err(Refusal::StreamsOff),
            },
            (None, Ok(ask)) => match &slugs[at] {
                Some(slug) if is_shared(at, request) => Err(Refusal::SlugCollision { slug: slug.clone() }),
                _ => policy
                    .dial
                    .judge(ask.claimed, ask.port, &task.addresses)
                    .map(|upstream| Way {
                        upstream,
                        ask,
                        target: None,
                        port: None,
                    })
                    .map_err(|(address, why)| Refusal::AddressRefused { address, why }),
            },
        };
        Candidate {
            key,
            slug: slugs[at].clone(),
            outcome,
        }
    };
    task.requests.iter().enumerate().map(candidate).collect()
}

/// Where a stream endpoint would lead. Its name is in no path, so two names may look alike.
fn stream<'t>(
    task: &ObservedTask,
    ask: &'t Ask,
    lease: Option<&Lease>,
    policy: &Policy,
    streams: &StreamPolicy,
) -> Result<Way<'t>, Refusal> {
    // A port tells nobody apart: an endpoint that is not for everybody must not stand open.
    let is_for_some = ask.access.as_ref().is_some_and(|who| *who != Who::Public);
    if is_for_some && streams.admission != Admission::SignedIn {
        return Err(Refusal::NeedsSignIn);
    }
    let target = target(ask, lease, streams)?;
    // A task's machine may have several addresses: behind the same port of any of them is the same application.
    let is_http = |request: &Request| {
        let http = request.ask.as_ref().ok().filter(|_| request.protocol == Protocol::Http);
        http.is_some_and(|http| http.port == target.upstream.port)
    };
    if task.requests.iter().any(is_http) {
        return Err(Refusal::AddressOfHttp { task: task.id });
    }
    Ok(Way {
        upstream: target.judge(&policy.dial, &task.addresses)?,
        ask,
        target: Some(Box::new(target)),
        port: None,
    })
}

/// What holds for all endpoints of a task.
fn whole_task(task: &ObservedTask, policy: &Policy) -> Result<(), Refusal> {
    if task.status.is_ended() {
        return Err(Refusal::Ended {
            status: task.status,
            at: task.status_since,
        });
    }
    if task.status != crate::observe::TaskStatus::InProgress {
        return Err(Refusal::NotRunning { status: task.status });
    }
    let is_served = policy.queues.is_empty() || policy.queues.iter().any(|served| task.is_from(served));
    if !is_served {
        return Err(Refusal::WrongQueue {
            queue: task.queue.clone().map(bounded),
        });
    }
    match &task.standing.workload {
        Workload::Known | Workload::Unproven => Ok(()),
        Workload::Gone => Err(Refusal::PodGone),
        Workload::Refused(why) => Err(Refusal::PodRefused {
            why: bounded(why.clone()),
        }),
    }
}

/// Whether ports are this gateway's to give.
fn owner_of(task: &ObservedTask) -> Result<(), Refusal> {
    let gateway = match &task.standing.owning_gateway {
        OwningGateway::This => return Ok(()),
        OwningGateway::Another(name) => Some(bounded(name.clone())),
        OwningGateway::Nobody => None,
    };
    Err(Refusal::AnotherGatewaysTask { gateway })
}

fn bounded(queue: Arc<str>) -> Arc<str> {
    if queue.chars().count() <= 64 {
        queue
    } else {
        crate::foreign_text::cut(&queue).into()
    }
}
