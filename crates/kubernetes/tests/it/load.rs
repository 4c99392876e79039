//! How soon a pod is seen.
#![expect(clippy::disallowed_macros, reason = "a measurement is printed")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use portico_core::{
    live::{Nudge, live},
    observe::SourceHealth,
    pods::Pods,
};
use portico_kubernetes::{PodSettings, PodSource};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::world::{MachineClock, World, task, until};

/// Promised is 100 ms, of which building routes takes a part. What it took is printed; what is far from it on every machine fails.
const SOON: Duration = Duration::from_secs(2);
const PODS: u32 = 50;

#[tokio::test]
async fn a_pod_is_seen_soon_after_it_has_its_address() {
    let world = World::new().await;
    let (publish, mut pods) = live(Pods::default());
    let (health, _) = live(SourceHealth::default());
    let source = PodSource::new(
        world.kube.clone(),
        PodSettings::of(&world.namespace),
        Arc::new(MachineClock),
        [],
    );
    let mut running = JoinSet::new();
    running.spawn(source.run(publish, health, Nudge::default(), CancellationToken::new()));
    let mut times = Vec::new();
    for number in 1..=PODS {
        let name = format!("clearml-id-{}", task(number));
        world.make_pod(&name, &serde_json::json!({})).await;
        let begun = Instant::now();
        world.give_address(&name, &format!("10.1.0.{number}")).await;
        until(&mut pods, "the pod", |pods| !pods.of(task(number)).is_empty()).await;
        times.push(begun.elapsed());
    }
    times.sort();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("from the write of a pod's address to its publication: median {median:?}, worst {worst:?} of {PODS}");
    assert!(median <= SOON, "{times:?}");
}
