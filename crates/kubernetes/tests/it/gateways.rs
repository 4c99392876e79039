//! Gateways that find each other by their Leases.

use std::sync::Arc;

use http::Method;
use portico_core::{
    clock::{Clock, Timestamp},
    live::{Live, live},
    observe::{ObservedTask, Standing, TaskStatus},
    ownership::{Gateway, owner},
    principal::{CompanyId, UserId},
};
use portico_kubernetes::{GatewayLease, GatewaySettings, Gateways};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::world::{MachineClock, World, task, until};

/// What the chart's Role grants.
fn rights() -> Value {
    json!([
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["list", "watch"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["a", "b"], "verbs": ["get", "update"]},
    ])
}

fn leases(world: &World) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", world.namespace)
}

async fn make(world: &World, name: &str) {
    let lease = json!({"metadata": {"name": name, "labels": {"portico/gateway": name, "app": "portico"}}});
    world.ask(Method::POST, &leases(world), &lease).await;
}

fn run(
    world: &World,
    kube: &portico_kubernetes::Kube,
    name: &str,
    queues: &[&str],
    running: &mut JoinSet<()>,
) -> Live<Gateways> {
    let settings = GatewaySettings {
        namespace: world.namespace.clone(),
        lease: name.to_owned(),
        holder: format!("{name}-pod"),
        own: Gateway {
            name: name.into(),
            url: format!("https://{name}.example").into(),
            streams: None,
            queues: queues.iter().map(|queue| Arc::from(*queue)).collect(),
            publishes: true,
            since: Timestamp::default(),
            heard: Timestamp::default(),
        },
    };
    let (publish, gateways) = live(Gateways::new());
    let lease = GatewayLease::new(kube.clone(), settings, Arc::new(MachineClock));
    running.spawn(lease.run(publish, CancellationToken::new()));
    gateways
}

fn any_task() -> ObservedTask {
    ObservedTask {
        id: task(1),
        name: "a task".into(),
        owner: UserId::new("alice"),
        company: CompanyId::new("c"),
        project: None,
        queue: None,
        status: TaskStatus::InProgress,
        status_since: Timestamp::default(),
        started: None,
        addresses: Vec::new(),
        requests: Vec::new(),
        published: Vec::new(),
        standing: Standing::default(),
    }
}

#[tokio::test]
async fn gateways_of_a_namespace_agree_who_owns_a_task() {
    let world = World::new().await;
    let kube = world.account(rights()).await;
    for name in ["a", "b"] {
        make(&world, name).await;
    }
    let mut running = JoinSet::new();
    let mut first = run(&world, &kube, "b", &[], &mut running);
    until(&mut first, "the older gateway", |all| all.len() == 1).await;
    let mut second = run(&world, &kube, "a", &["gpu queue"], &mut running);
    for seen in [&mut first, &mut second] {
        let all = until(seen, "both gateways", |all| all.len() == 2).await;
        let now = MachineClock.now();
        let of = |queue: Option<&str>| {
            let task = ObservedTask {
                queue: queue.map(Arc::from),
                ..any_task()
            };
            owner(&all, &task, now).map(|owner| owner.name.to_string())
        };
        assert_eq!(
            of(Some("gpu queue")).as_deref(),
            Some("a"),
            "its filter names the queue"
        );
        assert_eq!(of(Some("another")).as_deref(), Some("b"));
        assert_eq!(of(None).as_deref(), Some("b"));
    }
    let lease = world
        .ask(Method::GET, &format!("{}/a", leases(&world)), &Value::Null)
        .await;
    assert_eq!(
        lease["metadata"]["labels"]["app"], "portico",
        "what the chart wrote stays"
    );
    assert_eq!(lease["spec"]["holderIdentity"], "a-pod");
}

#[tokio::test]
async fn a_gateway_that_is_uninstalled_is_no_more() {
    let world = World::new().await;
    make(&world, "a").await;
    make(&world, "b").await;
    let mut running = JoinSet::new();
    let mut seen = run(&world, &world.kube, "a", &[], &mut running);
    let mut other = JoinSet::new();
    run(&world, &world.kube, "b", &[], &mut other);
    until(&mut seen, "both gateways", |all| all.len() == 2).await;
    other.shutdown().await;
    world
        .ask(Method::DELETE, &format!("{}/b", leases(&world)), &json!({}))
        .await;
    until(&mut seen, "the end of one", |all| all.len() == 1).await;
}
