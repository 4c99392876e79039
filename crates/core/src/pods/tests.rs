#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;
use crate::{
    access::{AccessRule, RuleSource, Who},
    access_policy::AccessPolicy,
    clock::Timestamp,
    dial::{DialRules, Undialable},
    endpoint::{Prefix, Protocol},
    notation,
    observe::{
        Ask, Observation, ObservedTask, RequestFault, RequestOrigin, Standing, StreamClaims, TaskStatus, Workload,
    },
    principal::{CompanyId, UserId},
};

const DIALS: PodRules = PodRules {
    allows_host_network: false,
};

fn id(digit: char) -> TaskId {
    TaskId::parse(&digit.to_string().repeat(32)).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn task(digit: char, claimed: Option<&str>) -> ObservedTask {
    let ask = Ask {
        claimed: claimed.map(ip),
        port: 80,
        prefix: Prefix::Auto,
        access: None,
        stream: StreamClaims::default(),
    };
    ObservedTask {
        id: id(digit),
        name: "a task".into(),
        owner: UserId::new("alice"),
        company: CompanyId::new("c"),
        project: None,
        queue: Some("gpu queue".into()),
        status: TaskStatus::InProgress,
        status_since: Timestamp::from_secs(1),
        started: None,
        addresses: vec![ip("192.0.2.99")],
        requests: vec![Request {
            protocol: Protocol::Http,
            name: None,
            origin: RequestOrigin::Runtime,
            ask: Ok(ask),
        }],
        published: vec![],
        standing: Standing::default(),
    }
}

fn pod(digit: char, rank: u16, address: &str) -> Pod {
    Pod {
        task: id(digit),
        rank,
        queue_label: Some("gpu-queue".into()),
        addresses: vec![ip(address)],
        has_host_network: false,
        requests: vec![],
        gateway: None,
        uid: format!("uid-{digit}-{rank}-{address}").into(),
        name: format!("pod-{digit}-{rank}-{address}").into(),
    }
}

fn pods(live: impl IntoIterator<Item = Pod>) -> Pods {
    Pods::new(live.into_iter().map(Arc::new).collect(), vec![])
}

fn joined(tasks: impl IntoIterator<Item = ObservedTask>, pods: &Pods) -> Observation {
    join(Observation::new(tasks.into_iter().map(Arc::new).collect()), pods, DIALS)
}

fn join(seen: Observation, pods: &Pods, rules: PodRules) -> Observation {
    let joined = Joined::default().next(Arc::new(seen), Arc::new(pods.clone()), rules);
    Observation::clone(joined.observation())
}

/// Where the first request of a task leads, even if the operator allowed every network.
fn dialed(observation: &Observation, digit: char) -> Result<String, Undialable> {
    let rules = DialRules {
        networks: vec!["0.0.0.0/0".parse().unwrap()],
        ..DialRules::default()
    };
    let task = observation.task(id(digit)).unwrap();
    let ask = task.requests[0].ask.as_ref().unwrap();
    let judged = rules.judge(ask.claimed, ask.port, &task.addresses);
    judged.map(|target| target.to_string()).map_err(|(_, why)| why)
}

#[test]
fn a_task_is_dialed_at_its_pod_whatever_it_claims() {
    let pods = pods([pod('a', 0, "10.0.0.1"), pod('b', 0, "10.0.0.2")]);
    for claimed in [
        None,
        Some("10.0.0.1"),
        Some("10.0.0.2"),
        Some("10.9.9.9"),
        Some("169.254.169.254"),
        Some("127.0.0.1"),
        Some("192.0.2.99"),
        Some("::ffff:10.0.0.1"),
    ] {
        let seen = joined([task('a', claimed)], &pods);
        assert_eq!(dialed(&seen, 'a').as_deref(), Ok("10.0.0.1:80"), "{claimed:?}");
    }
}

#[test]
fn a_claim_chooses_among_the_pods_of_the_task() {
    let pods = pods([pod('a', 1, "10.0.0.2"), pod('a', 0, "10.0.0.1")]);
    let seen = |claimed| dialed(&joined([task('a', claimed)], &pods), 'a').unwrap();
    assert_eq!(seen(Some("10.0.0.2")), "10.0.0.2:80");
    assert_eq!(seen(Some("10.0.0.1")), "10.0.0.1:80");
    assert_eq!(seen(None), "10.0.0.1:80", "the first rank is meant");
    assert_eq!(seen(Some("10.0.0.3")), "10.0.0.1:80", "the first rank is meant");
}

#[test]
fn a_task_whose_pod_is_gone_has_no_address_even_if_every_network_is_allowed() {
    let gone = Pods::new(vec![], vec![id('a')]);
    for claimed in [None, Some("10.0.0.1"), Some("192.0.2.99")] {
        let seen = joined([task('a', claimed)], &gone);
        assert_eq!(dialed(&seen, 'a'), Err(Undialable::Unknown), "{claimed:?}");
    }
}

#[test]
fn a_task_that_never_had_a_pod_here_is_not_here() {
    let seen = joined(
        [task('a', None), task('b', Some("10.0.0.1"))],
        &pods([pod('a', 0, "10.0.0.1")]),
    );
    assert_eq!(seen.tasks().len(), 1);
    assert!(seen.task(id('b')).is_none());
}

#[test]
fn an_address_that_two_tasks_have_leads_to_neither() {
    let pods = pods([
        pod('a', 0, "10.0.0.1"),
        pod('b', 0, "10.0.0.1"),
        pod('c', 0, "10.0.0.3"),
    ]);
    let seen = joined([task('a', None), task('b', None), task('c', None)], &pods);
    assert_eq!(dialed(&seen, 'a'), Err(Undialable::Unknown));
    assert_eq!(dialed(&seen, 'b'), Err(Undialable::Unknown));
    assert_eq!(dialed(&seen, 'c').as_deref(), Ok("10.0.0.3:80"));
    assert_eq!(pods.faults(DIALS).len(), 2);
}

#[test]
fn two_pods_that_say_they_are_one_are_both_refused() {
    let mut copy = pod('a', 0, "10.0.0.2");
    copy.name = "copy".into();
    let pods = pods([pod('a', 0, "10.0.0.1"), copy, pod('a', 1, "10.0.0.3")]);
    let seen = joined([task('a', Some("10.0.0.2"))], &pods);
    assert_eq!(
        dialed(&seen, 'a').as_deref(),
        Ok("10.0.0.3:80"),
        "the other rank is nobody else's"
    );
    let faults: Vec<String> = pods.faults(DIALS).iter().map(|(_, fault)| fault.to_string()).collect();
    assert_eq!(faults.len(), 2);
    assert!(faults[0].starts_with("the pod pod-a-0-10.0.0.1 says"), "{faults:?}");
}

#[test]
fn a_pod_on_the_nodes_network_is_refused_unless_allowed() {
    let mut host = pod('a', 0, "10.0.0.1");
    host.has_host_network = true;
    let pods = pods([host]);
    assert_eq!(dialed(&joined([task('a', None)], &pods), 'a'), Err(Undialable::Unknown));
    assert_eq!(pods.faults(DIALS)[0].1, PodFault::HostNetwork);
    let allowed = PodRules {
        allows_host_network: true,
    };
    assert_eq!(pods.faults(allowed), []);
    let seen = Observation::new(vec![Arc::new(task('a', None))]);
    let seen = join(seen, &pods, allowed);
    assert_eq!(dialed(&seen, 'a').as_deref(), Ok("10.0.0.1:80"));
}

#[test]
fn an_annotation_asks_beside_the_task() {
    let mut annotated = pod('a', 0, "10.0.0.1");
    annotated.requests = notation::parse("http:1; ui=http:7860; db=tcp:5432", RequestOrigin::Annotation);
    let seen = joined([task('a', None)], &pods([annotated]));
    let task = seen.task(id('a')).unwrap();
    let asked: Vec<_> = task
        .requests
        .iter()
        .map(|request| (request.name.as_deref(), request.ask.as_ref().unwrap().port))
        .collect();
    assert_eq!(
        asked,
        [(None, 80), (Some("ui"), 7860), (Some("db"), 5432)],
        "the task's own word comes first"
    );
}

#[test]
fn a_task_does_not_open_what_its_pods_annotation_closes() {
    let asked = |of_task: Option<Who>, annotations: &[&str]| {
        let mut asking = task('a', None);
        asking.requests[0].ask.as_mut().unwrap().access = of_task;
        let annotated = annotations.iter().zip(0..).map(|(annotation, rank)| {
            let mut annotated = pod('a', rank, &format!("10.0.0.{}", rank + 1));
            annotated.requests = notation::parse(annotation, RequestOrigin::Annotation);
            annotated
        });
        let seen = joined([asking], &pods(annotated));
        let requests = &seen.task(id('a')).unwrap().requests;
        assert_eq!(requests.len(), 1);
        requests[0].ask.clone().map(|ask| (ask.port, ask.access))
    };
    let owner = Some(Who::Owner);
    for of_task in [None, Some(Who::Public), Some(Who::Visible), owner.clone()] {
        assert_eq!(
            asked(of_task.clone(), &["http:1,access=owner"]),
            Ok((80, owner.clone()))
        );
        assert_eq!(
            asked(of_task.clone(), &["http:1", "http:1,access=owner"]),
            Ok((80, owner.clone()))
        );
        assert!(matches!(
            asked(of_task.clone(), &["http:1,access=ovner"]),
            Err(RequestFault::Notation(_))
        ));
        assert!(matches!(
            asked(of_task.clone(), &["http:1,access=owner; http:1"]),
            Err(RequestFault::Notation(_))
        ));
        assert!(matches!(
            asked(of_task, &["=http:1,access=owner"]),
            Err(RequestFault::Notation(_))
        ));
    }
    assert_eq!(asked(owner.clone(), &["http:1,access=visible"]), Ok((80, owner)));
    assert_eq!(asked(None, &["http:1"]), Ok((80, None)));
}

#[test]
fn another_name_for_an_annotated_port_opens_it_no_wider() {
    let accesses = |annotation: &str| {
        let mut annotated = pod('a', 0, "10.0.0.1");
        annotated.requests = notation::parse(annotation, RequestOrigin::Annotation);
        let mut asking = task('a', None);
        asking
            .requests
            .extend(notation::parse("x=http:8888; y=http:9", RequestOrigin::Property));
        let seen = joined([asking], &pods([annotated]));
        let requests = &seen.task(id('a')).unwrap().requests;
        let of = |name: &str| {
            let request = requests
                .iter()
                .find(|request| request.name.as_deref() == Some(name))
                .unwrap();
            request.ask.clone().map(|ask| ask.access)
        };
        (of("x"), of("y"))
    };
    assert_eq!(accesses("ui=http:8888,access=owner"), (Ok(Some(Who::Owner)), Ok(None)));
    assert_eq!(accesses("ui=http:7777,access=owner"), (Ok(None), Ok(None)));
    let (same_port, another) = accesses("ui=http:8888,access=ovner");
    assert!(
        same_port.is_err() && another.is_err(),
        "nobody knows which port was meant"
    );
}

#[test]
fn an_entry_that_stands_twice_in_an_annotation_is_a_fault() {
    let mut annotated = pod('a', 0, "10.0.0.1");
    annotated.requests = notation::parse("db=tcp:1; db=tcp:2", RequestOrigin::Annotation);
    let seen = joined([task('a', None)], &pods([annotated]));
    let requests = &seen.task(id('a')).unwrap().requests;
    assert_eq!(requests.len(), 2);
    assert!(matches!(requests[1].ask, Err(RequestFault::Notation(_))));
}

#[test]
fn it_is_told_what_became_of_the_pods() {
    let workload = |pods: &Pods| {
        let seen = joined([task('a', None)], pods);
        seen.task(id('a')).unwrap().standing.workload.clone()
    };
    let mut host = pod('a', 0, "10.0.0.1");
    host.has_host_network = true;
    assert_eq!(workload(&pods([pod('a', 0, "10.0.0.1")])), Workload::Known);
    assert_eq!(workload(&Pods::new(vec![], vec![id('a')])), Workload::Gone);
    assert_eq!(
        workload(&pods([host.clone()])),
        Workload::Refused("it shares the node's network (allow_host_network)".into())
    );
    let mut back = task('a', None);
    back.standing.workload = Workload::Gone;
    let seen = joined([back], &pods([pod('a', 0, "10.0.0.1")]));
    assert_eq!(seen.task(id('a')).unwrap().standing.workload, Workload::Known);
    assert_eq!(
        workload(&pods([host, pod('a', 1, "10.0.0.2")])),
        Workload::Known,
        "the other rank is dialed"
    );
}

#[test]
fn rules_by_queue_hold_where_only_the_label_tells_the_queue() {
    // As clearml-agent 3.0.3 writes it: the label `gpu-queue`, and the property `k8s-queue` with the name.
    let queue = |told: Option<&str>| {
        let mut told_task = task('a', None);
        told_task.queue = told.map(Arc::from);
        let seen = joined([told_task], &pods([pod('a', 0, "10.0.0.1")]));
        seen.task(id('a')).unwrap().clone()
    };
    for (told, is_gpu_queue, is_hyphenated, is_other) in [
        (Some("gpu queue"), true, false, false),
        (Some("gpu-queue"), false, true, false),
        // The property is gone, or a colleague has edited it.
        (None, true, true, false),
        (Some("other"), true, true, false),
        (Some("k8s_scheduler"), true, true, false),
    ] {
        let task = queue(told);
        let is_from = ["gpu queue", "gpu-queue", "other"].map(|name| task.is_from(name));
        assert_eq!(is_from, [is_gpu_queue, is_hyphenated, is_other], "{told:?}");
    }
    // A gateway that starts while ClearML is away begins with what it kept.
    let kept = joined([ObservedTask::clone(&queue(None))], &pods([pod('a', 0, "10.0.0.1")]));
    assert!(kept.task(id('a')).unwrap().is_from("gpu queue"));
    let rule = |who| AccessRule {
        who,
        source: RuleSource::Default,
    };
    let policy = AccessPolicy {
        queues: vec![
            ("gpu queue".into(), rule(Who::Public)),
            ("GPU queue".into(), rule(Who::Owner)),
        ],
        ..AccessPolicy::only(Who::Visible)
    };
    let who = |told| policy.rule_for(&queue(told), None).who;
    assert_eq!(who(Some("gpu queue")), Who::Public);
    assert_eq!(
        who(None),
        Who::Owner,
        "the narrower one, where the label does not tell two queues apart"
    );
    assert_eq!(who(Some("gpu-queue")), Who::Visible);
}

#[test]
fn the_pods_label_tells_the_queue_and_the_task_its_full_name() {
    let pods = pods([pod('a', 0, "10.0.0.1")]);
    let queue = |told: Option<&str>| {
        let mut told_task = task('a', None);
        told_task.queue = told.map(Arc::from);
        let seen = joined([told_task], &pods);
        seen.task(id('a')).unwrap().queue.clone().unwrap().to_string()
    };
    assert_eq!(queue(Some("gpu queue")), "gpu queue");
    assert_eq!(
        queue(Some("another queue")),
        "gpu-queue",
        "a colleague's edit opens no other gateway"
    );
    assert_eq!(queue(None), "gpu-queue");
}

#[test]
fn what_has_not_changed_is_the_same_value() {
    let seen = Arc::new(Observation::new(vec![
        Arc::new(task('a', None)),
        Arc::new(task('b', None)),
    ]));
    let beside = |address| Arc::new(pods([pod('a', 0, "10.0.0.1"), pod('b', 0, address)]));
    let before = Joined::default().next(seen.clone(), beside("10.0.0.2"), DIALS);
    let after = before.next(seen, beside("10.0.0.3"), DIALS);
    let same = |digit| {
        let tasks = [&before, &after].map(|joined| joined.observation().task(id(digit)).unwrap());
        Arc::ptr_eq(tasks[0], tasks[1])
    };
    assert!(same('a'));
    assert!(!same('b'));
}

/// Tasks and pods as they come one after another: few of each, so that they meet, vanish and come back.
fn sights() -> impl Strategy<Value = Vec<(Arc<Observation>, Arc<Pods>)>> {
    let address = (0_u8..2).prop_map(|last| format!("10.0.0.{last}"));
    let tasks = proptest::collection::btree_map(0_usize..3, proptest::option::weighted(0.2, address.clone()), 1..4);
    let one = (0_usize..3, 0_u16..2, address, proptest::bool::weighted(0.1));
    let pods = proptest::collection::vec(one, 0..4);
    let gone = proptest::collection::vec(0_usize..3, 0..3);
    let letter = |number: usize| char::from(b"abc"[number]);
    let sight = (tasks, pods, gone).prop_map(move |(tasks, pods, gone)| {
        let tasks = tasks
            .into_iter()
            .map(|(at, claimed)| Arc::new(task(letter(at), claimed.as_deref())));
        let pods = pods.into_iter().map(|(at, rank, address, has_host_network)| {
            Arc::new(Pod {
                has_host_network,
                ..pod(letter(at), rank, &address)
            })
        });
        let gone = gone.into_iter().map(|at| id(letter(at)));
        (
            Observation::new(tasks.collect()),
            Pods::new(pods.collect(), gone.collect()),
        )
    });
    proptest::collection::vec(sight, 1..8).prop_map(|mut sights| {
        // What is equal is the same value, as it comes from the sources.
        for at in 1..sights.len() {
            let (before, now) = sights.split_at_mut(at);
            let ((tasks_before, pods_before), (tasks, pods)) = (&before[at - 1], &mut now[0]);
            let same = |task: &Arc<ObservedTask>| {
                let known = tasks_before.task(task.id).filter(|known| *known == task);
                known.unwrap_or(task).clone()
            };
            *tasks = Observation::new(tasks.tasks().iter().map(same).collect());
            for pod in &mut pods.live {
                let known = pods_before.live.iter().find(|known| *known == pod);
                *pod = known.unwrap_or(pod).clone();
            }
        }
        sights
            .into_iter()
            .map(|(tasks, pods)| (Arc::new(tasks), Arc::new(pods)))
            .collect()
    })
}

proptest! {
    #[test]
    fn what_was_joined_before_changes_nothing(sights in sights()) {
        let mut joined = Joined::default();
        for (tasks, pods) in sights {
            let anew = Joined::default().next(tasks.clone(), pods.clone(), DIALS);
            joined = joined.next(tasks, pods, DIALS);
            prop_assert_eq!(joined.observation(), anew.observation());
        }
    }
}

#[test]
fn a_task_that_lives_again_is_not_gone() {
    let pods = Pods::new(vec![Arc::new(pod('a', 0, "10.0.0.1"))], vec![id('b'), id('a'), id('b')]);
    assert_eq!(pods.gone(), [id('b')]);
}
