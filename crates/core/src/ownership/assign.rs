//! The observation of tasks, seen beside other gateways.

use std::sync::Arc;

use super::{Gateway, StreamPlace, owner};
use crate::{
    abreast::Abreast,
    clock::Timestamp,
    observe::{Ask, Observation, ObservedTask, OwningGateway},
};

/// The most places of gateways that left that are remembered: tasks hold their addresses for as long as they run.
const LEFT_MAX: usize = 64;

/// An observation with owners, and what it was made of: what did not change since is not made anew.
#[derive(Debug, Default)]
pub struct Assigned {
    tasks: Arc<Observation>,
    /// Where the other gateways' streams are found: of those that are there, then of those that left, the last one first.
    places: Vec<StreamPlace>,
    observation: Arc<Observation>,
}

impl Assigned {
    /// The tasks, each with the gateway that owns it, as one of the gateways (`own` below) sees it among all.
    ///
    /// * Where `own` publishes nothing, it owns all: nobody else gives ports in its place, and what it does harms nobody.
    /// * Where no gateway is able to own a task – ourselves included –, what was said before stays: the API server is away, and the
    ///   others think the same.
    /// * A public address of another gateway that stands in a task is not the task's own: what stands beside it tells where the task
    ///   is. That goes for one that left, too: whoever takes its tasks over finds its addresses there.
    pub fn observation(&self) -> &Arc<Observation> {
        &self.observation
    }

    /// The same for these tasks and gateways. Tasks that look as before are handed on as the same `Arc`. `gateways` is `None` while
    /// nobody knows whether there are others: then no task gets an owner that it did not have.
    #[must_use]
    pub fn next(&self, tasks: Arc<Observation>, gateways: Option<&[Gateway]>, own: &str, now: Timestamp) -> Self {
        let (are_known, gateways) = (gateways.is_some(), gateways.unwrap_or_default());
        let others = || gateways.iter().filter(|gateway| *gateway.name != *own);
        let ours = gateways.iter().find(|gateway| *gateway.name == *own);
        let ours = ours.and_then(|own| own.streams.as_ref());
        let places = with_left(
            others().filter_map(|other| other.streams.clone()).collect(),
            &self.places,
            ours,
        );
        let publishes = gateways
            .iter()
            .all(|gateway| *gateway.name != *own || gateway.publishes);
        let is_alone = are_known && (!publishes || others().next().is_none());
        let owning = |task: &ObservedTask, before: Option<&Arc<ObservedTask>>| {
            if is_alone {
                return OwningGateway::This;
            }
            match owner(gateways, task, now) {
                Some(owner) if *owner.name == *own => OwningGateway::This,
                Some(owner) => OwningGateway::Another(owner.name.clone()),
                None => before.map_or(OwningGateway::Nobody, |before| before.standing.owning_gateway.clone()),
            }
        };
        let is_same_ground = places == self.places;
        let of_task = |task: &Arc<ObservedTask>| task.id;
        let mut known = Abreast::new(self.tasks.tasks(), of_task);
        let mut assigned_last = Abreast::new(self.observation.tasks(), of_task);
        let assigned = tasks.tasks().iter().map(|task| {
            let before = assigned_last.of(task.id).first();
            let is_known = known.of(task.id).first().is_some_and(|known| Arc::ptr_eq(known, task));
            let owning_gateway = owning(task, before);
            let is_same = |before: &&Arc<ObservedTask>| {
                is_same_ground && before.standing.owning_gateway == owning_gateway && is_known
            };
            if let Some(before) = before.filter(is_same) {
                return before.clone();
            }
            let assigned = with_owner(task, &owning_gateway, &places);
            before
                .filter(|before| **before == assigned)
                .cloned()
                .unwrap_or(assigned)
        });
        let observation = Arc::new(Observation::new(assigned.collect()));
        Self {
            tasks,
            places,
            observation,
        }
    }
}

/// The places of the others, and those that were known before; not those that are ours now.
fn with_left(mut places: Vec<StreamPlace>, before: &[StreamPlace], ours: Option<&StreamPlace>) -> Vec<StreamPlace> {
    let most = places.len() + LEFT_MAX;
    let is_ours = |place: &StreamPlace| {
        ours.is_some_and(|ours| ours.holds(&place.address, place.first) || place.holds(&ours.address, ours.first))
    };
    for place in before.iter().filter(|place| !is_ours(place)) {
        if places.len() < most && !places.contains(place) {
            places.push(place.clone());
        }
    }
    places
}

/// The task itself where nothing about it is to be said.
fn with_owner(task: &Arc<ObservedTask>, owner: &OwningGateway, places: &[StreamPlace]) -> Arc<ObservedTask> {
    let is_claimed = |ask: &Ask| is_anothers(ask, places).then(|| task_port(ask)).flatten();
    let mut asks = task.requests.iter().filter_map(|request| request.ask.as_ref().ok());
    if task.standing.owning_gateway == *owner && asks.find_map(is_claimed).is_none() {
        return task.clone();
    }
    let mut assigned = ObservedTask::clone(task);
    assigned.standing.owning_gateway = owner.clone();
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
}

/// True if another gateway's public address stands in the task.
fn is_anothers(ask: &Ask, places: &[StreamPlace]) -> bool {
    let (Some(host), Some(port)) = (&ask.stream.host, ask.stream.port) else {
        return false;
    };
    places.iter().any(|place| place.holds(host, port))
}

/// The task's own port, where another gateway's stands in its place.
fn task_port(ask: &Ask) -> Option<u16> {
    ask.stream.noted_port.or(ask.stream.upstream_port)
}
