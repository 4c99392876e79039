//! What a TCP endpoint's keys mean, at each stage of its task's life: one test for each trap.

use std::{collections::BTreeSet, sync::Arc};

use portico_core::{
    access::Who,
    clock::Timestamp,
    observe::{ObservedTask, SessionClaims, TaskStatus},
    port_range::PortRange,
    ports::{PortBook, Rules, allocate},
    refusal::Refusal,
    routes::{Policy, Resolved, RouteTable},
    streams::{Admission, address},
};

use crate::{
    gateway::{Gateway, HOST, alices, by, changed, mallory, on, policy_at, rules, stream},
    world::{observation, request, task_id},
};

#[test]
fn a_first_request_leads_to_the_tasks_own_port_whether_or_not_the_sdk_wrote_the_upstream_port() {
    for upstream in [None, Some(22)] {
        let mut gateway = Gateway::new();
        assert_eq!(
            gateway.sees(alices(stream("10.0.0.1", 22, upstream))),
            "30000>10.0.0.1:22"
        );
    }
}

#[test]
fn what_stands_there_once_published_leads_where_it_led_before() {
    let mut gateway = Gateway::new();
    gateway.sees(alices(stream("10.0.0.1", 22, None)));
    for host in [HOST, "TCP.example.com", "tcp.example.com."] {
        assert_eq!(gateway.sees(alices(stream(host, 30000, Some(22)))), "30000>10.0.0.1:22");
    }
    // Nobody moves it by editing the upstream port, or by losing it.
    assert_eq!(gateway.sees(alices(stream(HOST, 30000, Some(23)))), "30000>10.0.0.1:22");
    assert_eq!(gateway.sees(alices(stream(HOST, 30000, None))), "30000>10.0.0.1:22");
}

#[test]
fn an_address_that_only_the_task_knew_is_remembered() {
    let mut gateway = Gateway::new();
    // A container's address, in an allowed network; the worker reports its machine's.
    assert_eq!(
        gateway.sees(alices(stream("10.5.5.5", 22, Some(22)))),
        "30000>10.5.5.5:22"
    );
    assert_eq!(gateway.sees(alices(stream(HOST, 30000, Some(22)))), "30000>10.5.5.5:22");
    let mut unknown = alices(stream(HOST, 30000, Some(22)));
    unknown.addresses.clear();
    assert_eq!(gateway.sees(unknown), "30000>10.5.5.5:22");
}

/// Another gateway with the same public host, which did not know better, took the host out.
#[test]
fn a_published_address_without_its_host_leads_where_it_led() {
    let published = || changed(stream("", 30000, Some(22)), |ask| ask.claimed = None);
    let mut gateway = Gateway::new();
    // An address that nobody but the task knew.
    gateway.sees(alices(stream("10.5.5.5", 22, Some(22))));
    let leases = gateway.leases.clone();
    assert_eq!(gateway.sees(alices(published())), "30000>10.5.5.5:22");
    assert_eq!(gateway.leases, leases, "nothing else is remembered");
    assert_eq!(gateway.sees(alices(stream(HOST, 30000, Some(22)))), "30000>10.5.5.5:22");
    // After a reset the script writes no address, and a port of its own, whatever that is.
    assert_eq!(gateway.sees(alices(stream("", 30000, None))), "30000>10.0.0.1:30000");
    let mut fresh = Gateway::new();
    fresh.sees(alices(stream("10.5.5.5", 22, Some(22))));
    assert_eq!(fresh.sees(alices(stream("", 10022, None))), "30000>10.0.0.1:10022");
    // Somebody else's lease says nothing.
    let mut other = Gateway::new();
    other.sees(alices(stream("10.5.5.5", 22, Some(22))));
    other.see([alices(stream(HOST, 30000, Some(22))), mallory(published())]);
    assert_eq!(other.way(2), "30001>10.0.0.9:30000");
}

#[test]
fn another_host_moves_an_endpoint_and_not_its_target() {
    for old in [HOST, "203.0.113.5"] {
        let mut before = Gateway::with(policy_at(old, Admission::Open));
        before.sees(alices(stream("10.5.5.5", 22, Some(22))));
        before.sees(alices(stream(old, 30000, Some(22))));
        let after = || {
            let mut gateway = Gateway::with(policy_at("new.example.com", Admission::Open));
            gateway.leases = before.leases.clone();
            gateway
        };
        let mut gateway = after();
        assert_eq!(gateway.sees(alices(stream(old, 30000, Some(22)))), "30000>10.5.5.5:22");
        assert_eq!(
            gateway.sees(alices(stream("new.example.com", 30000, Some(22)))),
            "30000>10.5.5.5:22"
        );
        // With other values beside it nothing tells that the host was ours.
        for (port, upstream) in [(30001, Some(22)), (30000, Some(23)), (30000, None)] {
            let refused = after().sees(alices(stream(old, port, upstream)));
            assert!(refused == "other_gateway" || refused == "address_refused", "{refused}");
        }
        // Nobody comes by it to what another task's lease remembers.
        let mut gateway = after();
        gateway.see([
            alices(stream(old, 30000, Some(22))),
            mallory(stream(old, 30000, Some(22))),
        ]);
        assert_eq!(
            (gateway.way(1).as_str(), gateway.way(2).as_str()),
            ("30000>10.5.5.5:22", "other_gateway")
        );
    }
}

/// The owner notes another port, or the SSH server gets a proxy, while the host is gone or another one: what is told comes to be
/// remembered, and the values that still stand there mean the same afterwards.
#[test]
fn what_is_told_beside_published_values_does_not_change_what_they_mean() {
    let kept = |request, ssh_port| {
        changed(request, |ask| {
            ask.stream.session = Some(SessionClaims {
                address: None,
                ssh_port: Some(ssh_port),
                is_kept_alive: true,
            });
        })
    };
    let noted = |request, port| changed(request, |ask| (ask.port, ask.stream.noted_port) = (port, Some(port)));
    // The script told no address, and then one of its own beside ports that it did not touch.
    let mut gateway = Gateway::new();
    gateway.sees(alices(stream("", 21, None)));
    for _ in 0..2 {
        let told = gateway.sees(alices(noted(stream("10.0.0.1", 30000, Some(21)), 5433)));
        assert_eq!(told, "30000>10.0.0.1:5433");
    }
    for old in ["", "old.example.com", "203.0.113.5"] {
        let published = || changed(stream(old, 30000, Some(22)), |ask| ask.claimed = None);
        let mut gateway = Gateway::new();
        gateway.sees(alices(stream("10.5.5.5", 22, Some(22))));
        for _ in 0..2 {
            let told = gateway.sees(alices(kept(published(), 10022)));
            assert_eq!(told, "30000>10.5.5.5:10022", "{old}");
        }
        for _ in 0..2 {
            let told = gateway.sees(alices(noted(published(), 5433)));
            assert_eq!(told, "30000>10.0.0.1:5433", "{old}");
        }
    }
}

#[test]
fn a_rerun_without_reset_leads_to_the_new_port_and_not_to_the_stale_upstream_port() {
    let mut gateway = Gateway::new();
    gateway.sees(alices(stream("10.0.0.1", 10022, None)));
    assert_eq!(
        gateway.sees(alices(stream(HOST, 30000, Some(10022)))),
        "30000>10.0.0.1:10022"
    );
    let mut over = alices(stream(HOST, 30000, Some(10022)));
    over.status = TaskStatus::Stopped;
    assert_eq!(gateway.sees(over), "ended");
    // On another machine now; for three seconds the old public values still stand there.
    let anew = |request| on("10.0.0.2", alices(request));
    gateway.sees(anew(stream(HOST, 30000, Some(10022))));
    assert_eq!(
        gateway.sees(anew(stream(HOST, 10023, Some(10022)))),
        "30000>10.0.0.2:10023"
    );
    assert_eq!(
        gateway.sees(anew(stream(HOST, 30000, Some(10023)))),
        "30000>10.0.0.2:10023"
    );
}

#[test]
fn a_rerun_whose_address_nobody_knows_is_looked_for_where_it_was() {
    let unknown = |request| ObservedTask {
        addresses: Vec::new(),
        ..alices(request)
    };
    let mut gateway = Gateway::new();
    gateway.sees(unknown(stream("10.5.5.5", 10022, None)));
    assert_eq!(
        gateway.sees(unknown(stream(HOST, 10023, Some(10022)))),
        "30000>10.5.5.5:10023"
    );
    assert_eq!(
        gateway.sees(unknown(stream(HOST, 30000, Some(10023)))),
        "30000>10.5.5.5:10023"
    );
}

#[test]
fn a_rerun_that_takes_its_old_port_is_followed_too() {
    let mut gateway = Gateway::new();
    gateway.sees(alices(stream("10.0.0.1", 10022, None)));
    gateway.sees(alices(stream(HOST, 30000, Some(10022))));
    let anew = on("10.0.0.2", alices(stream(HOST, 10022, Some(10022))));
    assert_eq!(gateway.sees(anew), "30000>10.0.0.2:10022");
}

#[test]
fn an_empty_address_is_no_target() {
    let session = |own: &str| {
        changed(stream("", 10022, None), |ask| {
            ask.stream.session = Some(SessionClaims {
                address: address(own),
                ssh_port: Some(10022),
                is_kept_alive: false,
            });
        })
    };
    let mut unknown = alices(session("10.7.7.7"));
    unknown.addresses.clear();
    assert_eq!(Gateway::new().sees(unknown), "30000>10.7.7.7:10022");
    // The user named a gateway of another kind there: the worker's address is the task's.
    assert_eq!(
        Gateway::new().sees(alices(session("127.0.0.9"))),
        "30000>10.0.0.1:10022"
    );
    // Of several addresses of the task it chooses one.
    let mut many = alices(session("10.0.0.3"));
    many.addresses = ["10.0.0.2", "10.0.0.3"]
        .map(|text| text.parse().expect("an address"))
        .into();
    assert_eq!(Gateway::new().sees(many), "30000>10.0.0.3:10022");
    let mut nowhere = alices(stream("", 10022, None));
    nowhere.addresses.clear();
    assert_eq!(Gateway::new().sees(nowhere), "address_refused");
}

#[test]
fn a_kept_alive_session_is_never_dialed_at_the_port_that_it_announces() {
    let kept = |request, ssh_port| {
        alices(changed(request, |ask| {
            ask.stream.session = Some(SessionClaims {
                address: address("10.0.0.1"),
                ssh_port,
                is_kept_alive: true,
            });
        }))
    };
    let mut gateway = Gateway::new();
    assert_eq!(gateway.sees(kept(stream("10.0.0.1", 10022, None), None)), "starting");
    for request in [
        stream("10.0.0.1", 10022, None),
        stream(HOST, 30000, Some(10023)),
        stream(HOST, 30000, Some(10022)),
        stream(HOST, 10022, Some(10023)),
        stream("", 10022, None),
    ] {
        assert_eq!(gateway.sees(kept(request, Some(10023))), "30000>10.0.0.1:10023");
    }
    let lost = Gateway::new().sees(kept(stream(HOST, 30000, Some(10022)), Some(10023)));
    assert_eq!(lost, "30000>10.0.0.1:10023");
}

#[test]
fn another_gateways_address_is_left_to_it() {
    let mut gateway = Gateway::new();
    assert_eq!(
        gateway.sees(alices(stream("other.example.com", 31000, Some(22)))),
        "other_gateway"
    );
    assert_eq!(
        gateway.sees(alices(stream("203.0.113.5", 31000, Some(22)))),
        "other_gateway"
    );
    assert!(gateway.leases.is_empty());
    // Without a second port nobody published anything: the address is just not allowed.
    assert_eq!(gateway.sees(alices(stream("203.0.113.5", 22, None))), "address_refused");
    assert_eq!(
        gateway.sees(alices(stream("203.0.113.5", 22, Some(22)))),
        "address_refused"
    );
    // Where the task's own address was put out of sight, another gateway's port is no guess either.
    let hidden = changed(stream("203.0.113.5", 31000, Some(22)), |ask| ask.claimed = None);
    assert_eq!(gateway.sees(alices(hidden)), "other_gateway");
    // A stale second port beside the task's own address means nothing.
    assert_eq!(
        gateway.sees(alices(stream("10.0.0.1", 10023, Some(10022)))),
        "30000>10.0.0.1:10023"
    );
}

#[test]
fn where_the_public_host_is_the_tasks_own_machine_its_first_request_is_understood() {
    let policy = || policy_at("10.0.0.1", Admission::Open);
    let mut gateway = Gateway::with(policy());
    assert_eq!(
        gateway.sees(alices(stream("10.0.0.1", 22, Some(22)))),
        "30000>10.0.0.1:22"
    );
    assert_eq!(
        gateway.sees(alices(stream("10.0.0.1", 30000, Some(22)))),
        "30000>10.0.0.1:22"
    );
    let mut unknown = alices(stream("10.0.0.1", 22, Some(22)));
    unknown.addresses.clear();
    assert_eq!(Gateway::with(policy()).sees(unknown), "30000>10.0.0.1:22");
    // An IPv6 address may stand in brackets.
    let mut v6 = Gateway::with(policy_at("2001:db8::1", Admission::Open));
    assert_eq!(
        v6.sees(alices(stream("[2001:DB8::1]", 30004, Some(22)))),
        "30004>10.0.0.1:22"
    );
}

#[test]
fn a_task_does_not_make_the_gateway_dial_itself() {
    let mut policy = policy_at("10.0.0.1", Admission::Open);
    policy.dial.own_streams = vec![("10.0.0.1".parse().expect("an address"), rules().range)];
    let mut gateway = Gateway::with(policy);
    assert_eq!(gateway.sees(alices(stream("10.0.0.1", 30003, None))), "address_refused");
    assert_eq!(gateway.sees(alices(stream("", 30003, None))), "address_refused");
    assert_eq!(gateway.sees(alices(stream("10.0.0.1", 22, None))), "30000>10.0.0.1:22");
}

#[test]
fn an_endpoint_that_is_not_for_everybody_needs_sign_in() {
    let tightened = |who| alices(changed(stream("10.0.0.1", 22, None), |ask| ask.access = Some(who)));
    for who in [Who::Owner, Who::Users(Arc::from([])), Who::Visible] {
        assert_eq!(Gateway::new().sees(tightened(who.clone())), "needs_sign_in");
        let mut networks = Gateway::with(policy_at(HOST, Admission::Networks));
        assert_eq!(networks.sees(tightened(who.clone())), "needs_sign_in");
        assert!(networks.leases.is_empty());
        let mut strict = Gateway::with(policy_at(HOST, Admission::SignedIn));
        assert_eq!(strict.sees(tightened(who)), "30000>10.0.0.1:22");
    }
    assert_eq!(Gateway::new().sees(tightened(Who::Public)), "30000>10.0.0.1:22");
}

#[test]
fn what_the_owner_notes_counts_more_than_what_was_published() {
    let noted = |port: u16, request| alices(changed(request, |ask| ask.stream.noted_port = Some(port)));
    let mut gateway = Gateway::new();
    let first = changed(stream("", 5432, None), |ask| ask.stream.port = None);
    assert_eq!(gateway.sees(noted(5432, first)), "30000>10.0.0.1:5432");
    assert_eq!(
        gateway.sees(noted(5432, stream(HOST, 30000, Some(5432)))),
        "30000>10.0.0.1:5432"
    );
    assert_eq!(
        gateway.sees(noted(5433, stream(HOST, 30000, Some(5432)))),
        "30000>10.0.0.1:5433"
    );
    assert_eq!(
        gateway.sees(noted(5433, stream("other.example.com", 31000, Some(1)))),
        "30000>10.0.0.1:5433"
    );
}

#[test]
fn a_fixed_port_leads_there_or_says_why_not() {
    let fixed = |port: u16| {
        alices(changed(stream("10.0.0.1", 22, None), |ask| {
            ask.stream.fixed = Some(port);
        }))
    };
    assert_eq!(Gateway::new().sees(fixed(30005)), "30005>10.0.0.1:22");
    assert_eq!(Gateway::new().sees(fixed(31000)), "port_outside_range");
    let mut gateway = Gateway::new();
    gateway.see([mallory(changed(stream("10.0.0.9", 1, None), |ask| {
        ask.stream.fixed = Some(30005);
    }))]);
    gateway.see([
        fixed(30005),
        mallory(changed(stream("10.0.0.9", 1, None), |ask| {
            ask.stream.fixed = Some(30005);
        })),
    ]);
    assert_eq!(
        (gateway.way(1).as_str(), gateway.way(2).as_str()),
        ("port_taken", "30005>10.0.0.9:1")
    );
}

#[test]
fn without_streams_no_port_is_wished_for() {
    let mut gateway = Gateway::with(Policy {
        streams: None,
        ..policy_at(HOST, Admission::Open)
    });
    assert_eq!(gateway.sees(alices(stream("10.0.0.1", 22, None))), "streams_off");
    assert!(gateway.leases.is_empty());
}

#[test]
fn a_port_that_is_not_recorded_yet_is_not_used() {
    let seen = observation([alices(stream("10.0.0.1", 22, None))]);
    let policy = Arc::new(policy_at(HOST, Admission::Open));
    let table = RouteTable::build_with_ports(&seen, &policy, &Arc::<PortBook>::default(), None);
    let codes: Vec<_> = table
        .tasks()
        .flat_map(|task| &task.routes)
        .map(|route| route.outcome.clone())
        .collect();
    assert_eq!(codes, [Err(Refusal::PortPending)]);
}

#[test]
fn a_path_does_not_lead_into_a_tcp_endpoint() {
    let mut gateway = Gateway::new();
    gateway.sees(alices(stream("10.0.0.1", 22, None)));
    let resolved = gateway.table.at(task_id(1), None);
    assert!(
        matches!(
            resolved,
            Resolved::Refused {
                refusal: Refusal::StreamOnly,
                ..
            }
        ),
        "{resolved:?}"
    );
    gateway.see([ObservedTask {
        requests: vec![stream("10.0.0.1", 22, None), request(None, "10.0.0.1", 80)],
        ..alices(stream("10.0.0.1", 22, None))
    }]);
    assert!(
        matches!(gateway.table.at(task_id(1), None), Resolved::Endpoint(endpoint) if endpoint.upstream.port() == 80)
    );
    assert_eq!(gateway.way(1), "30000>10.0.0.1:22");
}

#[test]
fn a_tcp_endpoint_does_not_walk_around_the_rule_of_an_http_endpoint() {
    let http = |gateway: &Gateway, number| match gateway.table.at(task_id(number), None) {
        Resolved::Endpoint(endpoint) => endpoint.upstream.to_string(),
        Resolved::Refused { refusal, .. } => refusal.code().into(),
        other => format!("{other:?}"),
    };
    for admission in [Admission::Open, Admission::Networks, Admission::SignedIn] {
        let with_both = |address, requests| ObservedTask {
            requests,
            addresses: ["10.0.0.1", "10.0.0.3"]
                .map(|text| text.parse().expect("an address"))
                .into(),
            ..alices(stream(address, 8888, None))
        };
        // In the same task, at this address of its machine or another one.
        for address in ["10.0.0.1", "10.0.0.3", ""] {
            let mut gateway = Gateway::with(policy_at(HOST, admission));
            let both = vec![request(None, "10.0.0.1", 8888), stream(address, 8888, None)];
            gateway.see([with_both(address, both)]);
            assert_eq!(
                (gateway.way(1).as_str(), http(&gateway, 1).as_str()),
                ("address_of_http", "10.0.0.1:8888")
            );
            assert!(gateway.leases.is_empty());
        }
        // In a newer and in an older task of the same owner, whichever is seen first.
        for (at, is_first) in [(9_000, true), (9_000, false), (1, true), (1, false)] {
            let own = || ObservedTask {
                requests: vec![request(None, "10.0.0.1", 8888)],
                ..alices(stream("10.0.0.1", 8888, None))
            };
            let other = || ObservedTask {
                started: Some(Timestamp::from_secs(at)),
                ..by(2, "alice", stream("10.0.0.1", 8888, None))
            };
            let mut gateway = Gateway::with(policy_at(HOST, admission));
            gateway.see(if is_first { [own()] } else { [other()] });
            gateway.see([own(), other()]);
            assert_eq!(
                (gateway.way(2).as_str(), http(&gateway, 1).as_str()),
                ("address_of_http", "10.0.0.1:8888")
            );
            // Once nobody asks for HTTP there, the address may be a TCP endpoint's.
            gateway.see([other()]);
            assert_eq!(gateway.way(2), "30000>10.0.0.1:8888");
        }
    }
    let mut gateway = Gateway::new();
    let hers = ObservedTask {
        requests: vec![request(None, "10.0.0.1", 8888)],
        ..alices(stream("10.0.0.1", 8888, None))
    };
    gateway.see([hers, by(2, "mallory", stream("10.0.0.1", 8888, None))]);
    assert_eq!(gateway.way(2), "address_contested");
}

#[test]
fn a_table_follows_its_ports_where_nothing_else_changed() {
    let seen = observation([alices(stream("10.0.0.1", 22, None))]);
    let policy = Arc::new(policy_at(HOST, Admission::Open));
    let pending = RouteTable::build_with_ports(&seen, &policy, &Arc::default(), None);
    assert!(pending.is_empty());
    let mut gateway = Gateway::new();
    gateway.sees(alices(stream("10.0.0.1", 22, None)));
    let ports = gateway.table.ports();
    let table = RouteTable::build_with_ports(&seen, &policy, ports, Some(&pending));
    assert_eq!(
        table.endpoints().map(|endpoint| endpoint.port).collect::<Vec<_>>(),
        [Some(30000)]
    );
    let again = RouteTable::build_with_ports(&seen, &policy, &Arc::default(), Some(&table));
    assert!(again.is_empty());
}

#[test]
fn another_range_moves_an_endpoint_and_not_its_target() {
    let mut gateway = Gateway::new();
    gateway.sees(alices(stream("10.0.0.1", 22, None)));
    let mut policy = policy_at(HOST, Admission::Open);
    let range = PortRange::new(31000, 31009).expect("a range");
    if let Some(streams) = &mut policy.streams {
        streams.range = range;
    }
    let seen = observation([alices(stream(HOST, 30000, Some(23)))]);
    let wishes = RouteTable::wishes(&seen, &policy, &gateway.leases);
    let rules = Rules { range, ..rules() };
    let book = Arc::new(allocate(
        &wishes,
        &gateway.leases,
        &rules,
        &BTreeSet::new(),
        gateway.now,
    ));
    let table = RouteTable::build_with_ports(&seen, &Arc::new(policy), &book, None);
    let ways: Vec<_> = table
        .endpoints()
        .map(|endpoint| (endpoint.port, endpoint.upstream.port()))
        .collect();
    assert_eq!(ways, [(Some(31000), 22)]);
}
