//! Golden answers where pods are the truth and gateways stand beside each other.

use std::{fmt::Write as _, sync::Arc};

use portico_core::{
    access::Who,
    decision::Sight,
    observe::{Failing, Observation, SourceHealth, Workload},
    pods::PodFault,
};
use portico_proxy::Probe;

use super::*;
use crate::diagnose::{
    tell::{
        tell,
        tests::{ID, OTHER, at, id, open_port, task, world_of},
    },
    world::{Findings, Visitor},
};

fn gateway(name: &str) -> Gateway {
    Gateway {
        name: name.into(),
        url: format!("https://{name}.example.com").into(),
        streams: None,
        queues: Vec::new(),
        publishes: true,
        since: at(-5000),
        heard: at(-3),
    }
}

/// What `main` tells of a task beside these gateways.
fn told_beside(task: &ObservedTask, gateways: Vec<Gateway>) -> String {
    let mut world = world_of(vec![task.clone()], Who::Visible);
    world.cluster = Some(Namespace {
        name: "workloads".into(),
        gateways: Arc::new(gateways),
        tasks: Arc::new(Observation::new(vec![Arc::new(task.clone())])),
        health: SourceHealth {
            observed: Some(at(-4)),
            failing: None,
        },
    });
    told(&world, ID)
}

fn told(world: &World, task: &str) -> String {
    let findings = Findings {
        visitor: Visitor::Owner,
        sight: Sight::Visible,
        port: Some(open_port(Probe::Listening, None)),
        traffic: None,
    };
    let told = tell(world, &world.table.at(id(task), None), &findings);
    let mut text = String::new();
    for step in &told.steps {
        let mark = if step.is_passed { '+' } else { '-' };
        let _ = writeln!(text, "{mark} {}: {}", step.what, step.found);
    }
    let code = told.code.unwrap_or("open");
    let _ = write!(text, "{code} {:?}: {}", told.fault, told.answer);
    text
}

#[test]
fn alone_in_the_namespace() {
    insta::assert_snapshot!(told_beside(&task(), vec![gateway("main")]));
}

#[test]
fn pod_gone() {
    let mut gone = task();
    gone.addresses.clear();
    gone.standing.workload = Workload::Gone;
    insta::assert_snapshot!(told_beside(&gone, Vec::new()));
}

#[test]
fn pod_refused() {
    let mut refused = task();
    refused.addresses.clear();
    refused.standing.workload = Workload::Refused(PodFault::HostNetwork.brief().into());
    insta::assert_snapshot!(told_beside(&refused, Vec::new()));
}

#[test]
fn another_gateways_task() {
    let mut others = task();
    others.standing.owning_gateway = OwningGateway::Another("outside".into());
    insta::assert_snapshot!(told_beside(&others, vec![gateway("main"), gateway("outside")]));
}

#[test]
fn own_task_beside_another_gateway() {
    insta::assert_snapshot!(told_beside(&task(), vec![gateway("main"), gateway("outside")]));
}

#[test]
fn a_trial_beside_another_gateway() {
    let trial = Gateway {
        publishes: false,
        ..gateway("main")
    };
    insta::assert_snapshot!(told_beside(&task(), vec![trial, gateway("outside")]));
}

#[test]
fn no_gateway_is_heard() {
    let mut nobodys = task();
    nobodys.standing.owning_gateway = OwningGateway::Nobody;
    insta::assert_snapshot!(told_beside(&nobodys, vec![gateway("main"), gateway("outside")]));
}

#[test]
fn a_queue_of_another_gateway() {
    let mut others = task();
    others.queue = Some("cpu".into());
    others.standing.owning_gateway = OwningGateway::Another("outside".into());
    let mut outside = gateway("outside");
    outside.queues = vec!["cpu".into()];
    let mut main = gateway("main");
    main.queues = vec!["gpu".into()];
    insta::assert_snapshot!(told_beside(&others, vec![main, outside]));
}

#[test]
fn the_pod_is_elsewhere() {
    let mut world = world_of(Vec::new(), Who::Visible);
    let mut elsewhere = task();
    elsewhere.id = id(OTHER);
    world.cluster = Some(Namespace {
        name: "workloads".into(),
        gateways: Arc::default(),
        tasks: Arc::new(Observation::new(vec![Arc::new(elsewhere)])),
        health: SourceHealth {
            observed: Some(at(-4)),
            failing: None,
        },
    });
    insta::assert_snapshot!("the_pod_is_elsewhere", told(&world, OTHER));
    insta::assert_snapshot!("no_such_task_in_kubernetes", told(&world, ID));
}

#[test]
fn kubernetes_away() {
    insta::assert_snapshot!(told_away(task()));
}

#[test]
fn kubernetes_away_for_too_long() {
    let mut unproven = task();
    unproven.standing.workload = Workload::Unproven;
    insta::assert_snapshot!(told_away(unproven));
}

fn told_away(task: ObservedTask) -> String {
    let mut world = world_of(vec![task], Who::Visible);
    world.cluster = Some(Namespace {
        name: "workloads".into(),
        gateways: Arc::default(),
        tasks: Arc::default(),
        health: SourceHealth {
            observed: Some(at(-95)),
            failing: Some(Failing {
                since: at(-90),
                reason: "unreachable",
                detail: "the API server cannot be reached".into(),
            }),
        },
    });
    told(&world, ID)
}
