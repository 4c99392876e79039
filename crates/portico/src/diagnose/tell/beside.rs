//! What Kubernetes and other gateways have to do with it.

use portico_core::{
    endpoint::TaskId,
    explain::Explanation,
    observe::{ObservedTask, OwningGateway},
    ownership::{Gateway, owner},
    refusal::Refusal,
};

use super::{World, note};
use crate::diagnose::world::Namespace;

/// When Kubernetes proved itself last.
pub(super) fn kubernetes(told: &mut Explanation, world: &World) {
    let Some(Namespace { name, health, .. }) = &world.cluster else {
        return;
    };
    let age = health.observed.map(|at| world.now.since(at).as_secs());
    match (&health.failing, age) {
        (Some(failing), _) => note(
            told,
            "Kubernetes",
            format!(
                "away since {} ({}: {}); the pods of the namespace {name} that were seen last count",
                failing.since, failing.reason, failing.detail
            ),
        ),
        (None, Some(age)) => told.pass("Kubernetes", format!("pods of the namespace {name} proven {age} s ago")),
        (None, None) => note(
            told,
            "Kubernetes",
            format!("the pods of the namespace {name} are not known yet"),
        ),
    }
}

/// Who writes the task's address into it.
pub(super) fn owning(told: &mut Explanation, world: &World, task: &ObservedTask) {
    let Some(gateways) = gateways(world) else { return };
    match &task.standing.owning_gateway {
        OwningGateway::This => {
            let is_trial = gateways
                .iter()
                .any(|gateway| *gateway.name == *world.site.name && !gateway.publishes);
            match owner(gateways, task, world.now) {
                Some(other) if is_trial => told.pass(
                    "owner",
                    format!(
                        "{} publishes the task; this one writes nothing (publish: never)",
                        called(other)
                    ),
                ),
                _ if is_trial => told.pass(
                    "owner",
                    "nobody publishes the task; this gateway writes nothing (publish: never)",
                ),
                _ => told.pass("owner", "this gateway publishes the task"),
            }
        }
        OwningGateway::Another(name) => {
            let other = gateways.iter().find(|gateway| gateway.name == *name);
            let called = other.map_or_else(|| format!("the gateway {name:?}"), called);
            told.pass("owner", format!("another gateway's task: {called} publishes it"));
            if told.is_passed() {
                told.answer =
                    format!("The way is open. The address that ClearML shows is another one: {called} owns this task.");
            }
        }
        OwningGateway::Nobody => note(
            told,
            "owner",
            "no gateway that could publish the task has been heard of",
        ),
    }
    if told.code == Some(Refusal::WrongQueue { queue: None }.code())
        && let Some(other) = owner(gateways, task, world.now)
    {
        told.answer = format!(
            "{} It is another gateway's task: {} serves the queue.",
            told.answer,
            called(other)
        );
    }
}

/// Why a task that asks for endpoints is in no table: its pod is not here.
pub(super) fn elsewhere(told: &mut Explanation, world: &World, task: TaskId) {
    let Some(Namespace { name, tasks, .. }) = &world.cluster else {
        return;
    };
    told.answer = match tasks.task(task) {
        Some(task) => format!(
            "The task ({}) asks for an endpoint, but no pod of it has run in the namespace {name}. Either its pod is yet to start, or it \
             is another gateway's task: of the namespace where its pod runs, or of a host.",
            task.status
        ),
        None => format!("{} Does its pod run in the namespace {name}?", told.answer),
    };
}

/// The gateways of the namespace, if there are others than this one.
fn gateways(world: &World) -> Option<&[Gateway]> {
    let gateways = &world.cluster.as_ref()?.gateways;
    let has_others = gateways.iter().any(|gateway| *gateway.name != *world.site.name);
    has_others.then_some(gateways)
}

fn called(gateway: &Gateway) -> String {
    format!("the gateway {:?} ({})", gateway.name, gateway.url)
}

#[cfg(test)]
mod tests;
