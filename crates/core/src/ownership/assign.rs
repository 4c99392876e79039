//! The observation of tasks, seen beside other gateways.

use std::sync::Arc;

use super::{Gateway, owner};
use crate::{
    clock::Timestamp,
    observe::{Ask, Observation, ObservedTask, OwningGateway},
};

/// The same tasks, each with the gateway that owns it, as `own` sees it among all `gateways`.
///
/// * Where `own` publishes nothing, it owns all: nobody else gives ports in its place, and what it does harms nobody.
/// * Where no gateway is able to own a task – ourselves included –, what was said in `previous` stays: the API server is away, and the
///   others think the same.
/// * A public address of another gateway that stands in a task is not the task's own: what stands beside it tells where the task is.
///
/// Tasks that have not changed since `previous`, the last result, are handed on as the same `Arc`.
pub fn assign(
    observation: &Observation,
    gateways: &[Gateway],
    own: &str,
    previous: &Observation,
    now: Timestamp,
) -> Observation {
    let others: Vec<&Gateway> = gateways.iter().filter(|gateway| *gateway.name != *own).collect();
    let publishes = gateways
        .iter()
        .all(|gateway| *gateway.name != *own || gateway.publishes);
    let owning = |task: &ObservedTask| {
        if others.is_empty() || !publishes {
            return OwningGateway::This;
        }
        match owner(gateways, task, now) {
            Some(owner) if *owner.name == *own => OwningGateway::This,
            Some(owner) => OwningGateway::Another(owner.name.clone()),
            None => previous
                .task(task.id)
                .map_or(OwningGateway::Nobody, |before| before.standing.owning_gateway.clone()),
        }
    };
    let assigned = observation.tasks().iter().map(|task| {
        let owning_gateway = owning(task);
        let is_claimed = |ask: &Ask| is_anothers(ask, &others).then(|| task_port(ask)).flatten();
        let mut asks = task.requests.iter().filter_map(|request| request.ask.as_ref().ok());
        let is_same = task.standing.owning_gateway == owning_gateway && asks.find_map(is_claimed).is_none();
        let assigned = if is_same {
            task.clone()
        } else {
            let mut assigned = ObservedTask::clone(task);
            assigned.standing.owning_gateway = owning_gateway;
            for ask in assigned
                .requests
                .iter_mut()
                .filter_map(|request| request.ask.as_mut().ok())
            {
                if let Some(port) = is_claimed(ask) {
                    ask.port = port;
                    (ask.stream.host, ask.stream.port) = (None, Some(port));
                }
            }
            Arc::new(assigned)
        };
        match previous.task(task.id) {
            Some(before) if *before == assigned => before.clone(),
            _ => assigned,
        }
    });
    Observation::new(assigned.collect())
}

/// True if another gateway's public address stands in the task.
fn is_anothers(ask: &Ask, others: &[&Gateway]) -> bool {
    let (Some(host), Some(port)) = (&ask.stream.host, ask.stream.port) else {
        return false;
    };
    let mut places = others.iter().filter_map(|other| other.streams.as_ref());
    places.any(|place| place.holds(host, port))
}

/// The task's own port, where another gateway's stands in its place.
fn task_port(ask: &Ask) -> Option<u16> {
    ask.stream.noted_port.or(ask.stream.upstream_port)
}
