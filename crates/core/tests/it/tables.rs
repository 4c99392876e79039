//! What a route table says, and that building it step by step comes to the same.

use std::sync::Arc;

use portico_core::{
    access::Who,
    clock::Timestamp,
    endpoint::Protocol,
    observe::{Observation, ObservedTask, Request, RequestFault, RequestOrigin, TaskStatus},
    refusal::Refusal,
    routes::{Policy, Resolved, RouteTable, TaskRoutes},
};
use proptest::prelude::*;

use crate::world::{observation, policy, request, table, task, task_id};

fn outcome(table: &RouteTable, number: u64, slug: Option<&str>) -> String {
    match table.at(task_id(number), slug) {
        Resolved::Endpoint(endpoint) => endpoint.upstream.to_string(),
        Resolved::Refused { refusal, .. } => refusal.code().into(),
        Resolved::Nothing(_) => "nothing".into(),
        Resolved::Outside => "outside".into(),
    }
}

#[test]
fn named_and_unnamed_endpoints_of_a_task_are_found_by_path() {
    let requests = vec![
        request(None, "10.0.0.1", 80),
        request(Some("My UI"), "10.0.0.1", 81),
        request(Some("api"), "10.0.0.1", 82),
    ];
    let table = table([task(1, "alice", requests)], Who::Owner);
    let id = task_id(1);
    for (path, port) in [
        (format!("/service/{id}/"), 80),
        (format!("/service/{id}"), 80),
        (format!("/service/{id}__my-ui-66062e/lab?x"), 81),
        (format!("/service/{id}__api/v1/x"), 82),
    ] {
        let Resolved::Endpoint(endpoint) = table.resolve(&path) else {
            panic!("{path} leads nowhere")
        };
        assert_eq!(endpoint.upstream.port(), port, "{path}");
        assert!(path.starts_with(&*endpoint.prefix));
    }
    assert_eq!(table.len(), 3);
}

#[test]
fn an_address_of_two_owners_is_given_to_neither() {
    let theirs = |number, owner| task(number, owner, vec![request(None, "10.0.0.1", 80)]);
    let table = table(
        [
            theirs(1, "alice"),
            theirs(2, "mallory"),
            task(3, "bob", vec![request(None, "10.0.0.1", 81)]),
        ],
        Who::Owner,
    );
    assert_eq!(
        [1, 2, 3].map(|number| outcome(&table, number, None)),
        ["address_contested", "address_contested", "10.0.0.1:81"]
    );
}

#[test]
fn an_address_goes_to_the_same_owners_newest_task() {
    let started = |number, at| ObservedTask {
        started: Some(Timestamp::from_secs(at)),
        ..task(number, "alice", vec![request(None, "10.0.0.1", 80)])
    };
    let table = table([started(1, 300), started(2, 200)], Who::Owner);
    assert_eq!(
        [1, 2].map(|number| outcome(&table, number, None)),
        ["10.0.0.1:80", "superseded"]
    );
}

#[test]
fn an_ended_task_no_longer_claims_its_address() {
    let mut over = task(1, "alice", vec![request(None, "10.0.0.1", 80)]);
    over.status = TaskStatus::Failed;
    let table = table([over, task(2, "bob", vec![request(None, "10.0.0.1", 80)])], Who::Owner);
    assert_eq!(
        [1, 2].map(|number| outcome(&table, number, None)),
        ["ended", "10.0.0.1:80"]
    );
}

#[test]
fn names_with_one_slug_are_both_refused() {
    // The name that looks like another's slug.
    let requests = vec![
        request(Some("My UI"), "10.0.0.1", 80),
        request(Some("my-ui-66062e"), "10.0.0.1", 81),
        request(Some("x"), "10.0.0.1", 82),
    ];
    let table = table([task(1, "alice", requests)], Who::Owner);
    assert_eq!(outcome(&table, 1, Some("my-ui-66062e")), "slug_collision");
    assert_eq!(outcome(&table, 1, Some("x")), "10.0.0.1:82");
}

#[test]
fn what_is_not_routed_says_why() {
    let bad = |ask| {
        vec![Request {
            protocol: Protocol::Http,
            name: None,
            origin: RequestOrigin::Runtime,
            ask: Err(ask),
        }]
    };
    let mut waiting = task(2, "alice", vec![request(None, "10.0.0.2", 80)]);
    waiting.status = TaskStatus::Queued;
    let mut stream = request(None, "10.0.0.3", 22);
    stream.protocol = Protocol::Tcp;
    let table = table(
        [
            task(1, "alice", bad(RequestFault::PortOutOfRange(70_000))),
            waiting,
            task(3, "alice", vec![stream]),
            task(4, "alice", vec![request(None, "127.0.0.1", 80)]),
            task(5, "alice", vec![request(None, "192.0.2.1", 80)]),
        ],
        Who::Owner,
    );
    assert_eq!(
        [1, 2, 3, 4, 5, 6].map(|number| outcome(&table, number, None)),
        [
            "bad_request_of_task",
            "not_running",
            "streams_off",
            "address_refused",
            "address_refused",
            "nothing"
        ]
    );
    assert_eq!(table.len(), 0);
}

#[test]
fn an_http_endpoint_wins_its_path_over_a_tcp_endpoint_of_the_same_name() {
    let mut stream = request(None, "10.0.0.1", 22);
    stream.protocol = Protocol::Tcp;
    let table = table(
        [task(1, "alice", vec![stream, request(None, "10.0.0.1", 80)])],
        Who::Owner,
    );
    assert_eq!(outcome(&table, 1, None), "10.0.0.1:80");
}

#[test]
fn only_tasks_of_served_queues_are_routed() {
    let mut served = (*policy(Who::Owner)).clone();
    served.queues = vec!["gpu".into()];
    let from = |number, queue: Option<&str>| ObservedTask {
        queue: queue.map(Arc::from),
        ..task(number, "alice", vec![request(None, &format!("10.0.0.{number}"), 80)])
    };
    let seen = observation([from(1, Some("gpu")), from(2, Some("cpu")), from(3, None)]);
    let table = RouteTable::build(&seen, &Arc::new(served), None);
    assert_eq!(
        [1, 2, 3].map(|number| outcome(&table, number, None)),
        ["10.0.0.1:80", "wrong_queue", "wrong_queue"]
    );
}

#[test]
fn an_unchanged_endpoint_is_the_same_arc_in_the_next_table() {
    let policy = policy(Who::Owner);
    let first = RouteTable::build(
        &observation([task(1, "alice", vec![request(None, "10.0.0.1", 80)])]),
        &policy,
        None,
    );
    let mut again = task(1, "alice", vec![request(None, "10.0.0.1", 80)]);
    again.status_since = Timestamp::from_secs(2_000);
    let second = RouteTable::build(&observation([again]), &policy, Some(&first));
    let of = |table: &RouteTable| table.endpoints().next().cloned().expect("one endpoint");
    assert!(Arc::ptr_eq(&of(&first), &of(&second)));
    assert!(second.diff(&first).is_empty());
}

#[test]
fn a_diff_names_what_came_went_and_moved() {
    let policy = policy(Who::Owner);
    let at = |number: u64, address: &str| task(number, "alice", vec![request(None, address, 80)]);
    let old = RouteTable::build(
        &observation([at(1, "10.0.0.1"), at(2, "10.0.0.2"), at(3, "10.0.0.3")]),
        &policy,
        None,
    );
    let new = RouteTable::build(
        &observation([at(2, "10.0.0.22"), at(3, "10.0.0.3"), at(4, "10.0.0.4")]),
        &policy,
        Some(&old),
    );
    let diff = new.diff(&old);
    let tasks = |list: &[Arc<portico_core::endpoint::Endpoint>]| {
        list.iter().map(|endpoint| endpoint.key.task).collect::<Vec<_>>()
    };
    assert_eq!(tasks(&diff.added), [task_id(4)]);
    assert_eq!(tasks(&diff.removed), [task_id(1)]);
    assert_eq!(tasks(&diff.changed), [task_id(2)]);
}

#[test]
fn another_policy_is_applied_to_every_task() {
    let seen = observation([task(1, "alice", vec![request(None, "10.0.0.1", 80)])]);
    let first = RouteTable::build(&seen, &policy(Who::Owner), None);
    let second = RouteTable::build(&seen, &policy(Who::Visible), Some(&first));
    assert_eq!(
        second.endpoints().next().map(|endpoint| endpoint.access.who.clone()),
        Some(Who::Visible)
    );
}

#[test]
fn of_two_observed_tasks_with_one_id_the_later_one_counts() {
    let seen = observation([task(1, "alice", vec![]), task(1, "bob", vec![])]);
    assert_eq!(seen.tasks().len(), 1);
    assert_eq!(seen.task(task_id(1)).map(|task| task.owner.as_str()), Some("bob"));
}

/// A small world, so that addresses, owners and ids meet often.
fn any_task() -> impl Strategy<Value = ObservedTask> {
    let requests = proptest::collection::vec((proptest::option::of("[a-c]"), 1..4u8, 80..82u16), 0..3);
    (0..8u64, "[ab]", requests, 0..4i64, any::<bool>()).prop_map(|(number, owner, requests, started, runs)| {
        let requests = requests
            .iter()
            .map(|(name, host, port)| request(name.as_deref(), &format!("10.0.0.{host}"), *port));
        let status = if runs {
            TaskStatus::InProgress
        } else {
            TaskStatus::Stopped
        };
        ObservedTask {
            started: Some(Timestamp::from_secs(started)),
            status,
            ..task(number, &owner, requests.collect())
        }
    })
}

fn all_routes(table: &RouteTable) -> Vec<Arc<TaskRoutes>> {
    let mut routes: Vec<_> = table.tasks().cloned().collect();
    routes.sort_by_key(|routes| routes.task.id);
    routes
}

fn build_from(steps: &[Observation], policy: &Arc<Policy>) -> RouteTable {
    let empty = RouteTable::empty(policy.clone());
    steps
        .iter()
        .fold(empty, |table, seen| RouteTable::build(seen, policy, Some(&table)))
}

proptest! {
    #[test]
    fn a_table_built_in_steps_equals_one_built_at_once(
        worlds in proptest::collection::vec(proptest::collection::vec(any_task(), 0..8), 1..5),
        keeps in proptest::collection::vec(any::<bool>(), 8),
    ) {
        // Some tasks of each step are the very same `Arc` as in the step before, as a source hands them on.
        let mut steps: Vec<Observation> = Vec::new();
        for world in worlds {
            let mut tasks: Vec<_> = world.into_iter().map(Arc::new).collect();
            if let Some(before) = steps.last() {
                tasks.extend(before.tasks().iter().zip(&keeps).filter(|(_, keep)| **keep).map(|(task, _)| task.clone()));
            }
            steps.push(Observation::new(tasks));
        }
        let policy = policy(Who::Owner);
        let stepwise = build_from(&steps, &policy);
        let at_once = build_from(&steps[steps.len() - 1..], &policy);
        prop_assert_eq!(all_routes(&stepwise), all_routes(&at_once));
        prop_assert_eq!(stepwise.len(), at_once.len());
        prop_assert_eq!(stepwise.len(), stepwise.endpoints().count());
    }

    #[test]
    fn no_address_is_ever_shared_by_two_endpoints_of_different_tasks(tasks in proptest::collection::vec(any_task(), 0..8)) {
        let table = table(tasks, Who::Owner);
        let mut holders = std::collections::HashMap::new();
        for endpoint in table.endpoints() {
            let holder = holders.entry(endpoint.upstream).or_insert(endpoint.key.task);
            prop_assert_eq!(*holder, endpoint.key.task);
        }
    }

    #[test]
    fn an_endpoint_is_reached_only_by_a_path_that_names_its_task(tasks in proptest::collection::vec(any_task(), 0..8), number in 0..8u64) {
        let table = table(tasks, Who::Owner);
        if let Resolved::Endpoint(endpoint) = table.resolve(&format!("/service/{}/x", task_id(number))) {
            prop_assert_eq!(endpoint.key.task, task_id(number));
        }
    }
}

#[test]
fn refusals_name_the_other_task() {
    let theirs = |number, owner| task(number, owner, vec![request(None, "10.0.0.1", 80)]);
    let table = table([theirs(1, "alice"), theirs(2, "mallory")], Who::Owner);
    let Resolved::Refused {
        refusal: Refusal::AddressContested { other },
        ..
    } = table.at(task_id(1), None)
    else {
        panic!("not contested")
    };
    assert_eq!(*other, task_id(2));
}
