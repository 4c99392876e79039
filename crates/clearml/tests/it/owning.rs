//! Gateways beside each other: all lead to a task, one writes it.

use std::{net::SocketAddr, sync::Arc};

use portico_clearml::{Publisher, PublisherStatus};
use portico_core::{
    access::Who,
    access_policy::AccessPolicy,
    dial::DialRules,
    live::{Live, live},
    observe::{Observation, ObservedTask, OwningGateway},
    routes::{Policy, RouteTable},
    site::{Origin, Site},
};
use portico_emulator::NewTask;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{Bench, eventually, task_id},
    publisher::{ROUTER, follow, published, quick, text, url},
    source::{fast, run},
};

fn owned_by(observation: &Observation, owners: &[(String, OwningGateway)]) -> Observation {
    let owned = observation.tasks().iter().map(|task| {
        let mut owned = ObservedTask::clone(task);
        let id = task.id.to_string();
        if let Some((_, owner)) = owners.iter().find(|(other, _)| *other == id) {
            owned.standing.owning_gateway = owner.clone();
        }
        Arc::new(owned)
    });
    Observation::new(owned.collect())
}

#[tokio::test]
async fn a_task_is_written_by_its_owner_alone_although_all_lead_to_it() {
    let bench = Bench::new().await;
    let make = |last: u8| {
        let address = SocketAddr::from(([10, 1, 2, last], 7860));
        bench
            .emulator()
            .create_task(NewTask::asking("alice", "a notebook", address))
    };
    let (theirs, ours) = (make(3), make(4));
    let foreign = format!("https://outside.example.com/service/{theirs}/");
    assert!(bench.emulator().set(&theirs, "runtime.endpoint", json!(foreign)));
    let another = || OwningGateway::Another("outside".into());
    let (publish_owners, owners) = live(vec![(theirs.clone(), another())]);
    let source = run(&bench, fast(), None);
    let policy = Arc::new(Policy {
        queues: Vec::new(),
        dial: DialRules {
            networks: vec!["0.0.0.0/0".parse().unwrap()],
            ..DialRules::default()
        },
        access: AccessPolicy::only(Who::Owner),
        streams: None,
    });
    let (publish_seen, seen) = live(Observation::default());
    let (publish_table, table) = live(RouteTable::empty(policy.clone()));
    let (publish_status, status) = live(PublisherStatus::default());
    let site = Site {
        name: "main".into(),
        router: Origin::parse(ROUTER).unwrap(),
        console: None,
        extra_hosts: Vec::new(),
    };
    let publisher = Publisher::with(bench.clearml.clone(), Arc::new(site), true, quick());
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let mut observed: Live<Observation> = source.observation.clone();
    let mut following = owners.clone();
    tasks.spawn(async move {
        loop {
            publish_seen.publish(owned_by(&observed.get(), &following.get()));
            tokio::select! {
                changed = observed.changed() => if changed.is_none() { return },
                changed = following.changed() => if changed.is_none() { return },
            }
        }
    });
    tasks.spawn(follow(seen.clone(), policy, publish_table));
    tasks.spawn(publisher.run(
        table.clone(),
        seen,
        publish_status,
        source.nudge.clone(),
        shutdown.clone(),
    ));

    published(&bench, &ours, "endpoint", &url(&ours)).await;
    let endpoint = |id: &str| text(&bench.emulator().runtime(id), "endpoint");
    eventually("nothing pending", || (status.get().pending == 0).then_some(())).await;
    assert_eq!(endpoint(&theirs).as_deref(), Some(&*foreign));
    let routes = table.get().task(task_id(&theirs)).cloned().unwrap();
    assert!(routes.routes[0].outcome.is_ok(), "its visitors are served here too");

    // The other one falls silent: its task is ours.
    publish_owners.publish(Vec::new());
    published(&bench, &theirs, "endpoint", &url(&theirs)).await;

    // It is back, and the task ends: what is to be taken out, it takes out.
    publish_owners.publish(vec![(theirs.clone(), another())]);
    for id in [&theirs, &ours] {
        assert!(bench.emulator().set_status(id, "stopped"));
    }
    eventually("ours is withdrawn", || endpoint(&ours).is_none().then_some(())).await;
    assert_eq!(endpoint(&theirs), Some(url(&theirs)));
}
