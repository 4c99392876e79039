//! Pods as they come, change and go.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use portico_core::{
    live::{Live, Nudge, live},
    observe::SourceHealth,
    pods::{PodRules, Pods},
};
use portico_kubernetes::{Kube, PodSettings, PodSource, announce};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::world::{MARKER, MachineClock, PATIENCE, World, logged, task, until};

struct Watched {
    pods: Live<Pods>,
    health: Live<SourceHealth>,
    nudge: Nudge,
    _running: JoinSet<()>,
}

fn watch(kube: Kube, namespace: &str) -> Watched {
    let (publish_pods, pods) = live(Pods::default());
    let (publish_health, health) = live(SourceHealth::default());
    let nudge = Nudge::default();
    let source = PodSource::new(kube, PodSettings::of(namespace), Arc::new(MachineClock), []);
    let mut running = JoinSet::new();
    running.spawn(source.run(publish_pods, publish_health, nudge.clone(), CancellationToken::new()));
    Watched {
        pods,
        health,
        nudge,
        _running: running,
    }
}

/// What the chart's Role grants for pods and events, and nothing else.
fn rights() -> Value {
    json!([
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
    ])
}

#[tokio::test]
async fn pods_are_seen_from_their_address_to_their_end() {
    let world = World::new().await;
    let kube = world.account(rights()).await;
    world.run_pod(&format!("clearml-id-{}", task(1)), "10.1.0.1").await;
    let mut seen = watch(kube, &world.namespace);
    until(&mut seen.pods, "the pod that was there", |pods| {
        pods.of(task(1)).len() == 1
    })
    .await;

    let second = format!("clearml-id-{}", task(2));
    world
        .make_pod(&second, &json!({"portico/endpoints": "ui=http:7860"}))
        .await;
    world.give_address(&second, "10.1.0.2").await;
    let pods = until(&mut seen.pods, "the pod that came", |pods| pods.of(task(2)).len() == 1).await;
    let pod = &pods.of(task(2))[0];
    assert_eq!(pod.addresses, ["10.1.0.2".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(pod.queue_label.as_deref(), Some("gpu-queue"));
    assert_eq!(pod.requests.len(), 1);
    tokio::time::timeout(PATIENCE, seen.nudge.nudged())
        .await
        .expect("a look at the tasks is asked for");

    world.remove_pod(&second).await;
    let pods = until(&mut seen.pods, "the pod that went", |pods| pods.of(task(2)).is_empty()).await;
    assert!(pods.is_gone(task(2)) && !pods.is_gone(task(1)));

    let ended = json!({"status": {"phase": "Succeeded"}});
    let first = format!("pods/clearml-id-{}/status", task(1));
    world.ask(Method::PATCH, &world.core(&first), &ended).await;
    until(&mut seen.pods, "the pod that ended", |pods| pods.is_gone(task(1))).await;
}

#[tokio::test]
async fn a_pod_of_another_namespace_is_never_seen() {
    let (own, other) = (World::new().await, World::new().await);
    other.run_pod(&format!("clearml-id-{}", task(1)), "10.1.0.1").await;
    let mut seen = watch(own.account(rights()).await, &own.namespace);
    own.run_pod(&format!("clearml-id-{}", task(2)), "10.1.0.2").await;
    let pods = until(&mut seen.pods, "the own pod", |pods| !pods.of(task(2)).is_empty()).await;
    assert_eq!(pods.live().len(), 1);
}

#[tokio::test]
async fn the_list_is_proven_every_ten_seconds() {
    let world = World::new().await;
    let mut seen = watch(world.account(rights()).await, &world.namespace);
    let first = until(&mut seen.health, "the first list", |health| health.observed.is_some()).await;
    let mut last = first.observed.unwrap();
    for _ in 0..3 {
        let next = until(&mut seen.health, "a proof", |health| health.observed > Some(last)).await;
        let now = next.observed.unwrap();
        assert!(
            now.since(last) <= Duration::from_secs(20),
            "{now} comes long after {last}"
        );
        assert!(next.failing.is_none());
        last = now;
    }
}

#[tokio::test]
async fn an_account_without_rights_is_told_and_nothing_is_published() {
    let world = World::new().await;
    world.run_pod(&format!("clearml-id-{}", task(1)), "10.1.0.1").await;
    let mut seen = watch(world.account(json!([])).await, &world.namespace);
    let health = until(&mut seen.health, "the failure", |health| health.failing.is_some()).await;
    let failing = health.failing.as_ref().unwrap();
    assert_eq!(failing.reason, "refused");
    assert!(failing.detail.contains("Forbidden"), "{}", failing.detail);
    assert_eq!(health.observed, None);
    assert_eq!(*seen.pods.get(), Pods::default());
}

#[tokio::test]
async fn refused_pods_have_an_event_once() {
    let world = World::new().await;
    let kube = world.account(rights()).await;
    let copies = [format!("clearml-id-{}", task(1)), format!("clearml-id-{}-0", task(1))];
    for (at, name) in copies.iter().enumerate() {
        world.run_pod(name, &format!("10.1.0.{at}")).await;
    }
    let seen = watch(kube.clone(), &world.namespace);
    for round in 0..2 {
        // The second is one that starts anew. It comes to the last pod after those that have their events.
        let last = format!("clearml-id-{}-last{round}", task(1));
        world.run_pod(&last, &format!("10.1.1.{round}")).await;
        let (stop, namespace) = (CancellationToken::new(), world.namespace.clone());
        let clock = Arc::new(MachineClock);
        let tell = announce(
            kube.clone(),
            namespace,
            "gate".into(),
            PodRules::default(),
            clock,
            seen.pods.clone(),
            stop.clone(),
        );
        let mut telling = JoinSet::new();
        telling.spawn(tell);
        let wait = async {
            while events(&world).await.len() < 3 + round {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("an event for each");
        stop.cancel();
        telling.join_all().await;
    }
    let events = events(&world).await;
    assert_eq!(events.len(), 4, "{events:?}");
    let message = events[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("the gateway gate does not lead to this pod: the pod clearml-id-"),
        "{message}"
    );
}

async fn events(world: &World) -> Vec<Value> {
    let list = world.ask(Method::GET, &world.core("events"), &Value::Null).await;
    list["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn no_secret_of_a_pod_is_anywhere() {
    let world = World::new().await;
    world.run_pod(&format!("clearml-id-{}", task(1)), "10.1.0.1").await;
    let mut seen = watch(world.account(rights()).await, &world.namespace);
    until(&mut seen.pods, "the pod", |pods| !pods.live().is_empty()).await;
    world.run_pod(&format!("clearml-id-{}", task(2)), "10.1.0.2").await;
    let pods = until(&mut seen.pods, "the other pod", |pods| pods.live().len() == 2).await;
    assert!(!format!("{pods:?} {:?}", seen.health.get()).contains(MARKER));
    let text = logged().text();
    let asked = format!("/namespaces/{}/pods?labelSelector=CLEARML", world.namespace);
    assert!(
        text.contains(&asked),
        "the search would find what is logged of these requests"
    );
    assert!(!text.contains(MARKER));
}
