//! What is seen through pods and beside other gateways.

use portico_core::{
    clock::ManualClock,
    endpoint::TaskId,
    live::live,
    observe::{Failing, ObservedTask, OwningGateway, Standing, TaskStatus, Workload},
    ownership::Gateway,
    pods::Pod,
    principal::{CompanyId, UserId},
};

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + seconds)
}

fn id(number: u8) -> TaskId {
    TaskId::parse(&format!("{number:02x}").repeat(16)).expect("an id")
}

fn task(number: u8) -> Arc<ObservedTask> {
    Arc::new(ObservedTask {
        id: id(number),
        name: "a task".into(),
        owner: UserId::new("alice"),
        company: CompanyId::new("company"),
        project: None,
        queue: Some("gpu".into()),
        status: TaskStatus::InProgress,
        status_since: at(0),
        started: None,
        addresses: Vec::new(),
        requests: Vec::new(),
        published: Vec::new(),
        standing: Standing::default(),
    })
}

fn pod(number: u8) -> Arc<Pod> {
    Arc::new(Pod {
        task: id(number),
        rank: 0,
        queue_label: None,
        addresses: vec![[10, 0, 0, number].into()],
        has_host_network: false,
        requests: Vec::new(),
        gateway: None,
        uid: format!("uid-{number}").into(),
        name: format!("pod-{number}").into(),
    })
}

fn gateway(name: &str, queues: &[&str], heard: Timestamp) -> Gateway {
    Gateway {
        name: name.into(),
        url: format!("https://{name}.example.com").into(),
        streams: None,
        queues: queues.iter().map(|queue| (*queue).into()).collect(),
        publishes: true,
        since: at(-1000),
        heard,
    }
}

fn well() -> SourceHealth {
    SourceHealth {
        observed: Some(at(0)),
        failing: None,
    }
}

/// A gateway named `main` that sees these tasks and pods.
fn joining(tasks: &[u8], pods: &[u8], gateways: Gateways) -> Joining {
    Joining {
        tasks: Live::fixed(Observation::new(tasks.iter().map(|number| task(*number)).collect())),
        task_health: Live::fixed(well()),
        pods: Live::fixed(Pods::new(pods.iter().map(|number| pod(*number)).collect(), Vec::new())),
        pod_health: Live::fixed(well()),
        gateways: Live::fixed(gateways),
        gateway_health: Live::fixed(well()),
        waits_until: None,
        name: "main".into(),
        rules: PodRules::default(),
        stale: Duration::from_mins(10),
        was_stale: false,
        joined: Joined::default(),
        assigned: Assigned::default(),
        clock: Arc::new(ManualClock::at(at(0))),
        observation: live(Observation::default()).0,
        health: live(SourceHealth::default()).0,
    }
}

fn seen(joining: &mut Joining) -> Vec<TaskId> {
    joining.step();
    joining.observation.get().tasks().iter().map(|task| task.id).collect()
}

#[test]
fn tasks_are_seen_where_their_pods_are() {
    let mut joining = joining(&[1, 2], &[1], Vec::new());
    assert_eq!(seen(&mut joining), [id(1)]);
    let observation = joining.observation.get();
    assert_eq!(
        observation.tasks()[0].addresses[..],
        [std::net::IpAddr::from([10, 0, 0, 1])]
    );
    assert_eq!(*joining.health.get(), well());
}

#[test]
fn half_a_view_is_none() {
    let mut blind = joining(&[1], &[], Vec::new());
    blind.pod_health = Live::fixed(SourceHealth::default());
    assert_eq!(seen(&mut blind), []);
    assert_eq!(blind.health.get().observed, None);
    let mut failing = joining(&[1], &[1], Vec::new());
    failing.pod_health = Live::fixed(SourceHealth {
        observed: Some(at(-7)),
        failing: Some(Failing {
            since: at(-3),
            reason: "unreachable",
            detail: "no route".into(),
        }),
    });
    assert_eq!(seen(&mut failing), [id(1)], "what was seen still holds");
    let health = failing.health.get();
    assert_eq!(health.observed, Some(at(-7)));
    assert_eq!(
        health.failing.as_ref().map(|failing| failing.reason),
        Some("unreachable")
    );
}

fn owning(joining: &mut Joining) -> Vec<OwningGateway> {
    joining.step();
    let observation = joining.observation.get();
    let tasks = observation.tasks().iter();
    tasks.map(|task| task.standing.owning_gateway.clone()).collect()
}

fn another(name: &str) -> OwningGateway {
    OwningGateway::Another(name.into())
}

#[test]
fn a_task_is_served_by_all_gateways_and_owned_by_one() {
    let ours = gateway("main", &[], at(0));
    let both = vec![ours.clone(), gateway("gpu", &["gpu"], at(0))];
    let mut beside = joining(&[1], &[1], both.clone());
    assert_eq!(seen(&mut beside), [id(1)]);
    assert_eq!(owning(&mut beside), [another("gpu")], "the other names its queue");
    let silent = vec![ours.clone(), gateway("gpu", &["gpu"], at(-61))];
    assert_eq!(owning(&mut joining(&[1], &[1], silent)), [OwningGateway::This]);
    let trial = Gateway {
        publishes: false,
        ..ours
    };
    let mut trial = joining(&[1], &[1], vec![trial, both[1].clone()]);
    assert_eq!(
        owning(&mut trial),
        [OwningGateway::This],
        "a trial gives ports of its own"
    );
}

#[test]
fn a_task_names_its_gateway_by_its_property_and_its_pod_by_its_annotation() {
    let both = vec![
        gateway("main", &[], at(0)),
        gateway("gpu", &["gpu"], at(0)),
        gateway("x", &[], at(0)),
    ];
    let naming = |by_task: Option<&str>, by_pod: Option<&str>| {
        let mut joining = joining(&[], &[], both.clone());
        let mut task = ObservedTask::clone(&task(1));
        task.standing.named_gateway = by_task.map(Arc::from);
        let mut pod = Pod::clone(&pod(1));
        pod.gateway = by_pod.map(Arc::from);
        joining.tasks = Live::fixed(Observation::new(vec![Arc::new(task)]));
        joining.pods = Live::fixed(Pods::new(vec![Arc::new(pod)], Vec::new()));
        owning(&mut joining)
    };
    assert_eq!(naming(None, None), [another("gpu")]);
    assert_eq!(naming(Some("main"), None), [OwningGateway::This]);
    assert_eq!(
        naming(Some("main"), Some("x")),
        [another("x")],
        "a pod is not edited by colleagues"
    );
    assert_eq!(naming(Some("nobody"), None), [another("gpu")]);
}

#[test]
fn while_no_gateway_is_heard_everybody_keeps_what_it_has() {
    let mut joining = joining(
        &[1],
        &[1],
        vec![gateway("main", &[], at(0)), gateway("other", &["cpu"], at(0))],
    );
    assert_eq!(owning(&mut joining), [OwningGateway::This]);
    joining.gateways = Live::fixed(vec![gateway("main", &[], at(-61)), gateway("other", &["cpu"], at(-61))]);
    joining.tasks = Live::fixed(Observation::new(vec![task(1), task(2)]));
    joining.pods = Live::fixed(Pods::new(vec![pod(1), pod(2)], Vec::new()));
    assert_eq!(owning(&mut joining), [OwningGateway::This, OwningGateway::Nobody]);
}

#[test]
fn addresses_of_pods_are_not_believed_for_ever() {
    let mut silent = joining(&[1, 2], &[1], Vec::new());
    let clock = ManualClock::at(at(0));
    silent.clock = Arc::new(clock.clone());
    silent.pods = Live::fixed(Pods::new(vec![pod(1)], vec![id(2)]));
    let workloads = |joining: &mut Joining| -> Vec<Workload> {
        joining.step();
        let observation = joining.observation.get();
        let tasks = observation.tasks().iter();
        tasks.map(|task| task.standing.workload.clone()).collect()
    };
    // The API server is away.
    silent.pod_health = Live::fixed(SourceHealth {
        observed: Some(at(0)),
        failing: Some(Failing {
            since: at(3),
            reason: "unreachable",
            detail: "no route".into(),
        }),
    });
    clock.advance(Duration::from_secs(599));
    assert_eq!(
        workloads(&mut silent),
        [Workload::Known, Workload::Gone],
        "no route is lost by a restart"
    );
    clock.advance(Duration::from_secs(1));
    assert_eq!(workloads(&mut silent), [Workload::Unproven, Workload::Gone]);
    assert_eq!(
        silent.observation.get().tasks()[0].addresses.len(),
        1,
        "what is open goes on: it is where it was"
    );
    let seen = silent.observation.get();
    silent.step();
    assert!(Arc::ptr_eq(&seen.tasks()[0], &silent.observation.get().tasks()[0]));
    // It is back.
    silent.pod_health = Live::fixed(SourceHealth {
        observed: Some(at(600)),
        failing: None,
    });
    assert_eq!(workloads(&mut silent), [Workload::Known, Workload::Gone]);
}

#[test]
fn nothing_is_served_before_the_other_gateways_are_known() {
    let mut joining = joining(&[1], &[1], Vec::new());
    joining.waits_until = Some(at(30));
    assert_eq!(seen(&mut joining), []);
    assert_eq!(joining.health.get().observed, None);
    joining.gateways = Live::fixed(vec![gateway("main", &[], at(0))]);
    assert_eq!(seen(&mut joining), [id(1)]);
    joining.gateways = Live::fixed(vec![gateway("other", &[], at(0)), gateway("main", &[], at(-61))]);
    joining.health = live(SourceHealth::default()).0;
    joining.step();
    assert_eq!(
        joining.health.get().observed,
        None,
        "it stands there as another run left it"
    );
}

#[test]
fn without_a_list_of_gateways_tasks_are_served_and_nobody_owns_them() {
    let mut blind = joining(&[1], &[1], Vec::new());
    let clock = ManualClock::at(at(0));
    (blind.clock, blind.waits_until) = (Arc::new(clock.clone()), Some(at(30)));
    blind.gateway_health = Live::fixed(SourceHealth::default());
    assert_eq!(seen(&mut blind), []);
    clock.advance(Duration::from_secs(30));
    assert_eq!(seen(&mut blind), [id(1)]);
    assert_eq!(owning(&mut blind), [OwningGateway::Nobody]);
    blind.gateway_health = Live::fixed(well());
    assert_eq!(owning(&mut blind), [OwningGateway::This], "it is alone for certain");
}

#[test]
fn an_outage_of_the_api_server_is_no_gateways_silence() {
    let both = vec![gateway("main", &[], at(-10)), gateway("other", &[], at(0))];
    let mut joining = joining(&[1], &[1], both);
    let clock = ManualClock::at(at(0));
    (joining.clock, joining.waits_until) = (Arc::new(clock.clone()), Some(at(0)));
    assert_eq!(owning(&mut joining), [OwningGateway::This]);
    // The one that was heard a moment later does not outlive the other.
    for _ in 0..30 {
        clock.advance(Duration::from_secs(5));
        assert_eq!(owning(&mut joining), [OwningGateway::This]);
    }
}
