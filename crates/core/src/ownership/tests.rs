#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;
use crate::{
    endpoint::{Prefix, Protocol, TaskId},
    observe::{Ask, Observation, OwningGateway, Request, RequestOrigin, Standing, StreamClaims, TaskStatus},
    principal::{CompanyId, UserId},
};

fn gateway(name: &str, since: i64, queues: &[&str]) -> Gateway {
    Gateway {
        name: name.into(),
        url: format!("https://{name}.example").into(),
        streams: None,
        queues: queues.iter().map(|queue| Arc::from(*queue)).collect(),
        publishes: true,
        since: Timestamp::from_secs(since),
        heard: Timestamp::from_secs(1000),
    }
}

fn task(named: Option<&str>, queue: Option<&str>) -> ObservedTask {
    ObservedTask {
        id: TaskId::parse(&"a".repeat(32)).unwrap(),
        name: "a task".into(),
        owner: UserId::new("alice"),
        company: CompanyId::new("c"),
        project: None,
        queue: queue.map(Arc::from),
        status: TaskStatus::InProgress,
        status_since: Timestamp::from_secs(1),
        started: None,
        addresses: Vec::new(),
        requests: Vec::new(),
        published: Vec::new(),
        standing: Standing {
            named_gateway: named.map(Arc::from),
            ..Standing::default()
        },
    }
}

fn name(gateways: &[Gateway], named: Option<&str>, queue: Option<&str>) -> Option<String> {
    owner(gateways, &task(named, queue), Timestamp::from_secs(1010)).map(|owner| owner.name.to_string())
}

#[test]
fn the_older_gateway_owns_then_the_name_decides() {
    let two = [gateway("b", 1, &[]), gateway("a", 2, &[])];
    assert_eq!(name(&two, None, None).as_deref(), Some("b"));
    let same_age = [gateway("b", 1, &[]), gateway("a", 1, &[])];
    assert_eq!(name(&same_age, None, Some("q")).as_deref(), Some("a"));
}

#[test]
fn a_filter_that_names_the_queue_comes_before_none() {
    let two = [gateway("old", 1, &[]), gateway("gpu", 2, &["gpu"])];
    assert_eq!(name(&two, None, Some("gpu")).as_deref(), Some("gpu"));
    assert_eq!(name(&two, None, Some("cpu")).as_deref(), Some("old"));
    assert_eq!(name(&two[1..], None, Some("cpu")), None, "nobody serves it");
    assert_eq!(name(&two[1..], None, None), None, "a filter serves no unknown queue");
}

#[test]
fn the_task_may_name_its_gateway_if_it_serves_the_task() {
    let two = [
        gateway("old", 1, &[]),
        gateway("new", 2, &[]),
        gateway("gpu", 3, &["gpu"]),
    ];
    assert_eq!(name(&two, Some("new"), Some("gpu")).as_deref(), Some("new"));
    assert_eq!(name(&two, Some("gpu"), Some("cpu")).as_deref(), Some("old"));
    assert_eq!(name(&two, Some("nobody"), None).as_deref(), Some("old"));
}

#[test]
fn silent_gateways_and_trials_own_nothing() {
    let mut trial = gateway("trial", 1, &[]);
    trial.publishes = false;
    let mut silent = gateway("silent", 2, &[]);
    silent.heard = Timestamp::from_secs(950);
    let young = gateway("young", 3, &[]);
    let all = [trial, silent, young];
    assert_eq!(name(&all, Some("trial"), None).as_deref(), Some("young"));
    assert_eq!(name(&all[..2], None, None), None);
}

#[test]
fn a_gateway_is_silent_after_a_minute_not_before() {
    let one = gateway("a", 1, &[]);
    assert!(one.is_heard(Timestamp::from_secs(1059)));
    assert!(!one.is_heard(Timestamp::from_secs(1060)));
}

#[test]
fn a_filter_names_a_queue_of_which_only_the_label_is_known() {
    let two = [gateway("old", 1, &[]), gateway("gpu", 2, &["GPU queue"])];
    let mut labelled = task(None, Some("gpu-queue"));
    let owner_of =
        |task: &ObservedTask| owner(&two, task, Timestamp::from_secs(1010)).map(|owner| owner.name.to_string());
    assert_eq!(owner_of(&labelled).as_deref(), Some("old"), "a queue that is named so");
    labelled.standing.is_queue_label = true;
    assert_eq!(owner_of(&labelled).as_deref(), Some("gpu"));
}

#[test]
fn a_public_address_is_a_host_and_a_port_of_the_range() {
    let place = |address: &str| StreamPlace {
        address: address.into(),
        first: 30000,
        last: 30010,
    };
    assert!(place("Streams.example").holds(" streams.EXAMPLE ", 30010));
    assert!(
        place("streams.example").holds("streams.example.", 30010),
        "the root's dot"
    );
    assert!(place("10.0.0.1").holds("::ffff:10.0.0.1", 30000));
    assert!(place("fd00::1").holds("[fd00::1]", 30000));
    assert!(
        !place("10.0.0.1").holds("10.0.0.1", 30011),
        "another gateway may share the host"
    );
    assert!(!place("10.0.0.1").holds("streams.example", 30000));
    assert!(!place("streams.example").holds("streams.example.evil", 30000));
}

/// A task that asks for a TCP endpoint, and what stands in it.
fn stream(host: &str, port: u16, upstream: Option<u16>) -> ObservedTask {
    let ask = Ask {
        claimed: None,
        port,
        prefix: Prefix::Auto,
        access: None,
        stream: StreamClaims {
            host: Some(host.into()),
            port: Some(port),
            upstream_port: upstream,
            ..StreamClaims::default()
        },
    };
    ObservedTask {
        requests: vec![Request {
            protocol: Protocol::Tcp,
            name: None,
            origin: RequestOrigin::Runtime,
            ask: Ok(ask),
        }],
        ..task(None, None)
    }
}

/// What `main` makes of a task beside these gateways.
fn assigned(task: ObservedTask, gateways: &[Gateway]) -> ObservedTask {
    let now = Timestamp::from_secs(1010);
    let seen = |task| Arc::new(Observation::new(vec![task]));
    let (task, twin) = (Arc::new(task.clone()), Arc::new(task));
    let assigned = Assigned::default().next(seen(task.clone()), Some(gateways), "main", now);
    let owned = assigned.observation().tasks()[0].clone();
    for task in [task, twin] {
        let again = assigned.next(seen(task), Some(gateways), "main", now);
        assert!(
            Arc::ptr_eq(&owned, &again.observation().tasks()[0]),
            "what has not changed is the same value"
        );
    }
    ObservedTask::clone(&owned)
}

#[test]
fn every_task_is_seen_and_one_gateway_owns_it() {
    let owning = |gateways: &[Gateway]| assigned(task(None, None), gateways).standing.owning_gateway;
    let (main, other) = (gateway("main", 2, &[]), gateway("other", 1, &[]));
    assert_eq!(owning(&[]), OwningGateway::This);
    assert_eq!(owning(std::slice::from_ref(&main)), OwningGateway::This);
    assert_eq!(
        owning(&[main.clone(), other.clone()]),
        OwningGateway::Another("other".into())
    );
    let mut trial = other.clone();
    trial.publishes = false;
    assert_eq!(owning(&[main.clone(), trial]), OwningGateway::This);
    let mut trial = main.clone();
    trial.publishes = false;
    assert_eq!(
        owning(&[trial, other.clone()]),
        OwningGateway::This,
        "a trial gives ports of its own"
    );
    let mut gpu = other;
    gpu.queues = vec!["gpu".into()];
    let mut cpu = main;
    cpu.queues = vec!["cpu".into()];
    assert_eq!(owning(&[cpu, gpu]), OwningGateway::Nobody);
}

#[test]
fn while_nobody_is_heard_the_owner_stays() {
    let gateways = [gateway("main", 2, &[]), gateway("other", 1, &[])];
    let seen = Arc::new(Observation::new(vec![Arc::new(task(None, None))]));
    let at =
        |seconds, before: &Assigned| before.next(seen.clone(), Some(&gateways), "main", Timestamp::from_secs(seconds));
    let owner = |assigned: &Assigned| assigned.observation().tasks()[0].standing.owning_gateway.clone();
    let before = at(1010, &Assigned::default());
    let after = at(2000, &before);
    assert_eq!(owner(&after), OwningGateway::Another("other".into()));
    assert_eq!(owner(&at(2000, &Assigned::default())), OwningGateway::Nobody);
}

#[test]
fn while_it_is_not_known_who_else_is_there_nothing_is_taken() {
    let seen = Arc::new(Observation::new(vec![Arc::new(task(None, None))]));
    let now = Timestamp::from_secs(1010);
    let owner = |assigned: &Assigned| assigned.observation().tasks()[0].standing.owning_gateway.clone();
    let unknown = Assigned::default().next(seen.clone(), None, "main", now);
    assert_eq!(owner(&unknown), OwningGateway::Nobody);
    let alone = unknown.next(seen.clone(), Some(&[]), "main", now);
    assert_eq!(owner(&alone), OwningGateway::This);
    assert_eq!(owner(&alone.next(seen, None, "main", now)), OwningGateway::This);
}

#[test]
fn another_gateways_address_in_a_task_is_not_the_tasks_own() {
    let mut other = gateway("other", 1, &[]);
    other.streams = Some(StreamPlace {
        address: "10.0.0.1".into(),
        first: 30000,
        last: 30010,
    });
    let all = [gateway("main", 2, &[]), other];
    let claims = |task: ObservedTask| {
        let task = assigned(task, &all);
        let ask = task.requests[0].ask.clone().unwrap();
        (ask.port, ask.stream.host.is_some(), ask.stream.port)
    };
    assert_eq!(claims(stream("10.0.0.1", 30005, Some(22))), (22, false, Some(22)));
    assert_eq!(
        claims(stream("10.0.0.1", 30011, Some(22))),
        (30011, true, Some(30011)),
        "no port of it"
    );
    assert_eq!(
        claims(stream("10.0.0.1", 30005, None)),
        (30005, true, Some(30005)),
        "nothing tells the task's port"
    );
}

fn at(host: &str, first: u16) -> StreamPlace {
    StreamPlace {
        address: host.into(),
        first,
        last: first + 9,
    }
}

fn with_streams(gateway: Gateway, place: StreamPlace) -> Gateway {
    Gateway {
        streams: Some(place),
        ..gateway
    }
}

/// `main` at 10.0.0.1, ports 30100 to 30109, sees this task beside each of these lists of others in turn: whose it is, and what it
/// asks in the end.
fn seen_beside(task: ObservedTask, others: &[Option<Vec<Gateway>>]) -> (OwningGateway, u16, Option<Arc<str>>) {
    let main = with_streams(gateway("main", 2, &[]), at("10.0.0.1", 30100));
    let seen = Arc::new(Observation::new(vec![Arc::new(task)]));
    let beside = |assigned: Assigned, others: &Option<Vec<Gateway>>| {
        let all = others
            .as_ref()
            .map(|others| [vec![main.clone()], others.clone()].concat());
        assigned.next(seen.clone(), all.as_deref(), "main", Timestamp::from_secs(1010))
    };
    let assigned = others.iter().fold(Assigned::default(), beside);
    let task = assigned.observation().tasks()[0].clone();
    let ask = task.requests[0].ask.clone().unwrap();
    (task.standing.owning_gateway.clone(), ask.port, ask.stream.host)
}

#[test]
fn the_address_of_a_gateway_that_left_is_still_not_the_tasks_own() {
    for host in ["10.0.0.1", "other.example"] {
        let other = || Some(vec![with_streams(gateway("other", 1, &[]), at(host, 30000))]);
        let asked = |others: &[_]| seen_beside(stream(host, 30005, Some(22)), others);
        assert_eq!(asked(&[other()]), (OwningGateway::Another("other".into()), 22, None));
        let taken_over = (OwningGateway::This, 22, None);
        assert_eq!(asked(&[other(), Some(vec![])]), taken_over);
        assert_eq!(asked(&[other(), None, Some(vec![]), Some(vec![])]), taken_over);
        let third = with_streams(gateway("third", 3, &[]), at("third.example", 30000));
        assert_eq!(asked(&[other(), Some(vec![third]), Some(vec![])]), taken_over);
        let unheard_of = (OwningGateway::This, 30005, Some(host.into()));
        assert_eq!(asked(&[Some(vec![])]), unheard_of, "nothing tells of it");
    }
}

#[test]
fn an_address_of_ours_is_ours_whoever_had_it_before() {
    let other = with_streams(gateway("other", 1, &[]), at("10.0.0.1", 30095));
    let asked = seen_beside(stream("10.0.0.1", 30102, Some(22)), &[Some(vec![other]), Some(vec![])]);
    assert_eq!(asked, (OwningGateway::This, 30102, Some("10.0.0.1".into())));
}

#[test]
fn no_more_than_64_gateways_that_left_are_remembered() {
    let left = |number: u16| {
        let name = format!("g{number}");
        Some(vec![with_streams(
            gateway(&name, 1, &[]),
            at("10.0.0.2", 20000 + 10 * number),
        )])
    };
    let all: Vec<_> = (0..65).map(left).chain([Some(vec![])]).collect();
    let asked = |number: u16| seen_beside(stream("10.0.0.2", 20000 + 10 * number, Some(22)), &all).1;
    assert_eq!((asked(0), asked(1), asked(64)), (20000, 22, 22));
}

proptest! {
    #[test]
    fn everybody_comes_to_the_same_owner_in_whatever_order_they_see_the_gateways(
        facts in proptest::collection::vec((0..3_i64, 0..3_usize, any::<bool>()), 0..6),
        rotation in 0..6_usize,
    ) {
        let mut gateways: Vec<Gateway> = facts
            .iter()
            .enumerate()
            .map(|(at, (since, filter, publishes))| {
                let queues: &[&str] = [&[][..], &["q"], &["other"]][*filter];
                Gateway { publishes: *publishes, ..gateway(&format!("g{at}"), *since, queues) }
            })
            .collect();
        let one = name(&gateways, Some("g1"), Some("q"));
        if !gateways.is_empty() {
            let by = rotation % gateways.len();
            gateways.rotate_left(by);
        }
        prop_assert_eq!(one, name(&gateways, Some("g1"), Some("q")));
    }
}
