//! What tasks claim about public ports and addresses is a hint, and nobody gets anything of another's by it.

use std::{collections::BTreeSet, sync::Arc};

use portico_core::{
    observe::{ObservedTask, Request, SessionClaims, TaskStatus},
    ports::Leases,
    streams::Admission,
};
use proptest::prelude::*;

use crate::{
    gateway::{Gateway, HOST, alices, by, changed, mallory, on, policy_at, stream},
    world::{request, task, task_id},
};

#[test]
fn a_clone_without_values_asks_for_nothing() {
    let mut gateway = Gateway::new();
    let mut clone = alices(stream("", 1, None));
    clone.requests.clear();
    assert_eq!(gateway.sees(clone), "nothing");
    assert!(gateway.leases.is_empty());
}

#[test]
fn a_clone_with_the_originals_values_gets_neither_its_port_nor_its_place() {
    let mut gateway = Gateway::new();
    gateway.sees(alices(stream("10.0.0.1", 22, Some(22))));
    let original = || alices(stream(HOST, 30000, Some(22)));
    for owner in ["alice", "bob"] {
        // On the same machine: it would claim the very address that the original has.
        gateway.see([original(), by(2, owner, stream(HOST, 30000, Some(22)))]);
        assert_eq!(
            (gateway.way(1).as_str(), gateway.way(2).as_str()),
            ("30000>10.0.0.1:22", "copied_address")
        );
    }
    // It runs and writes a port of its own.
    gateway.see([original(), by(2, "bob", stream(HOST, 2222, Some(22)))]);
    assert_eq!(
        (gateway.way(1).as_str(), gateway.way(2).as_str()),
        ("30000>10.0.0.1:22", "30001>10.0.0.1:2222")
    );
}

#[test]
fn without_its_leases_a_gateway_finds_port_and_target_again() {
    let mut gateway = Gateway::new();
    assert_eq!(gateway.sees(alices(stream(HOST, 30007, Some(22)))), "30007>10.0.0.1:22");
    assert_eq!(gateway.sees(alices(stream(HOST, 30007, Some(22)))), "30007>10.0.0.1:22");
}

/// Class 27: mallory's task names alice's port as its own public one, or asks for it outright.
fn thieves() -> Vec<Request> {
    vec![
        stream(HOST, 30000, Some(6666)),
        stream(HOST, 30000, None),
        changed(stream(HOST, 30000, Some(6666)), |ask| ask.stream.fixed = Some(30000)),
        changed(stream("10.0.0.9", 6666, Some(6666)), |ask| {
            ask.stream.fixed = Some(30000);
        }),
        changed(stream(HOST, 30000, Some(6666)), |ask| {
            ask.stream.noted_port = Some(6666);
        }),
    ]
}

/// Nobody but alice answers at alice's port.
fn is_safe(gateway: &Gateway) -> bool {
    let mut endpoints = gateway.table.endpoints();
    !endpoints.any(|endpoint| endpoint.port == Some(30000) && endpoint.key.task != task_id(1))
}

#[test]
fn a_task_that_claims_anothers_port_does_not_get_it() {
    for thief in thieves() {
        let mut gateway = Gateway::new();
        gateway.sees(alices(stream("10.0.0.1", 22, None)));
        let alice = || alices(stream(HOST, 30000, Some(22)));
        gateway.see([alice(), mallory(thief.clone())]);
        assert!(is_safe(&gateway), "{thief:?}");
        assert_eq!(gateway.way(1), "30000>10.0.0.1:22", "{thief:?}");

        // The gateway restarts with its leases; mallory's task is seen first, alice's is about to run again.
        let mut restarted = Gateway {
            leases: gateway.leases.clone(),
            ..Gateway::new()
        };
        let mut queued = alice();
        queued.status = TaskStatus::Queued;
        restarted.see([queued, mallory(thief.clone())]);
        assert!(is_safe(&restarted), "{thief:?}");
        restarted.see([alice(), mallory(thief.clone())]);
        assert_eq!(restarted.way(1), "30000>10.0.0.1:22", "{thief:?}");
        assert!(is_safe(&restarted), "{thief:?}");

        // It restarts without them: alice moves rather than mallory moves in.
        let mut bare = Gateway::new();
        for _ in 0..3 {
            bare.see([alice(), mallory(thief.clone())]);
            assert!(is_safe(&bare), "{thief:?}");
        }
        let moved = bare.way(1);
        assert!(moved.ends_with(">10.0.0.1:22"), "{moved} with {thief:?}");
        let port: u16 = moved
            .split('>')
            .next()
            .and_then(|port| port.parse().ok())
            .expect("a port");
        bare.see([alices(stream(HOST, port, Some(22))), mallory(thief.clone())]);
        assert!(is_safe(&bare), "those who knew the old port still try it: {thief:?}");
    }
}

#[test]
fn an_endpoint_that_names_anothers_port_keeps_its_own_port_and_target() {
    let mut gateway = Gateway::new();
    gateway.sees(alices(stream("10.0.0.1", 22, None)));
    gateway.see([
        alices(stream("10.0.0.1", 22, None)),
        mallory(stream("10.0.0.9", 6666, None)),
    ]);
    let before = gateway.way(2);
    gateway.see([
        alices(stream(HOST, 30000, Some(22))),
        mallory(stream(HOST, 30000, Some(22))),
    ]);
    assert_eq!((gateway.way(1).as_str(), gateway.way(2)), ("30000>10.0.0.1:22", before));
}

#[test]
fn an_ended_task_keeps_its_port_for_a_while() {
    let mut gateway = Gateway::new();
    gateway.sees(alices(stream("10.0.0.1", 22, None)));
    gateway.see([]);
    gateway.see([mallory(stream(HOST, 30000, Some(6666)))]);
    assert!(is_safe(&gateway));
    assert_eq!(gateway.sees(alices(stream("10.0.0.1", 22, None))), "30000>10.0.0.1:22");
}

#[test]
fn an_address_of_two_owners_is_given_to_neither_whatever_is_spoken() {
    let mut gateway = Gateway::new();
    let http = task(2, "mallory", vec![request(None, "10.0.0.1", 22)]);
    gateway.see([alices(stream("10.0.0.1", 22, None)), http]);
    assert_eq!(gateway.way(1), "address_contested");
}

/// Values as a task might hold them at any moment, in a small world.
fn any_stream() -> impl Strategy<Value = ObservedTask> {
    let host = prop_oneof![
        Just(HOST),
        Just("10.0.0.1"),
        Just("10.0.0.2"),
        Just(""),
        Just("other.example.com")
    ];
    let port = || prop_oneof![20..24u16, 29_999..30_004u16];
    let option = |strategy| proptest::option::of(strategy);
    let session = (any::<bool>(), option(port())).prop_map(|(is_kept_alive, ssh_port)| SessionClaims {
        address: None,
        ssh_port,
        is_kept_alive,
    });
    let values = (host, port(), option(port()), option(port()), option(port()));
    let values = (values, proptest::option::of(session));
    (0..5u64, "[ab]", values, any::<bool>(), 1..3u8).prop_map(|(number, owner, values, runs, machine)| {
        let ((host, port, upstream, fixed, noted), session) = values;
        let request = changed(stream(host, port, upstream), |ask| {
            (ask.stream.fixed, ask.stream.noted_port, ask.stream.session) = (fixed, noted, session);
        });
        let mut task = on(&format!("10.0.0.{machine}"), by(number, &owner, request));
        if !runs {
            task.status = TaskStatus::Stopped;
        }
        task
    })
}

/// The public host, which another configuration may move.
fn any_host() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(HOST), 1 => Just("other.example.com"), 1 => Just("10.0.0.2")]
}

proptest! {
    #[test]
    fn whatever_tasks_hold_the_table_is_the_same_by_any_way_and_no_port_has_two_endpoints(
        steps in proptest::collection::vec((any_host(), proptest::collection::vec(any_stream(), 0..6)), 1..6),
    ) {
        let mut gateway = Gateway::new();
        let mut previous: Option<Leases> = None;
        for (host, step) in steps {
            gateway.policy = Arc::new(policy_at(host, Admission::Open));
            gateway.see(step);
            let mut ports = BTreeSet::new();
            for endpoint in gateway.table.endpoints() {
                let port = endpoint.port.expect("a port");
                prop_assert!(ports.insert(port), "a port has one endpoint");
                prop_assert_eq!(gateway.leases.holder(port), Some(&endpoint.key));
                let before = previous.as_ref().and_then(|leases| leases.holder(port));
                prop_assert!(before.is_none_or(|before| *before == endpoint.key), "a port stays with its endpoint");
            }
            previous = Some((*gateway.leases).clone());
        }
    }
}
