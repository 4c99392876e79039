//! Size without time: what a change copies, and that finding a route does not depend on how many there are. Times are measured by
//! `examples/table_speed.rs`, never asserted.

use std::sync::Arc;

use portico_core::{
    access::Who,
    observe::Observation,
    routes::{Resolved, RouteTable},
};

use crate::world::{policy, request, task, task_id};

#[test]
fn one_change_among_ten_thousand_leaves_all_other_routes_the_same_arcs() {
    let all: Vec<_> = (0..10_000u64)
        .map(|number| {
            Arc::new(task(
                number,
                "alice",
                vec![request(None, &format!("10.1.{}.{}", number / 250, number % 250), 80)],
            ))
        })
        .collect();
    let policy = policy(Who::Owner);
    let before = RouteTable::build(&Observation::new(all.clone()), &policy, None);
    assert_eq!(before.len(), 10_000);

    let mut tasks = all;
    tasks[77] = Arc::new(task(77, "alice", vec![request(None, "10.9.9.9", 80)]));
    let after = RouteTable::build(&Observation::new(tasks), &policy, Some(&before));

    let is_shared = |number: u64| match (before.task(task_id(number)), after.task(task_id(number))) {
        (Some(old), Some(new)) => Arc::ptr_eq(old, new),
        _ => false,
    };
    assert_eq!(
        (0..10_000).filter(|number| !is_shared(*number)).collect::<Vec<_>>(),
        [77]
    );
    assert!(
        matches!(after.at(task_id(77), None), Resolved::Endpoint(endpoint) if endpoint.upstream.to_string() == "10.9.9.9:80")
    );
}
