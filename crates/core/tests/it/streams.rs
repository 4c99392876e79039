//! What a TCP endpoint's keys mean, at each stage of its task's life: one test for each trap.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use portico_core::{
    access::{AccessPolicy, Who},
    clock::Timestamp,
    dial::DialRules,
    endpoint::{EndpointKey, Protocol},
    observe::{Ask, ObservedTask, Request, RequestOrigin, SessionClaims, StreamClaims, TaskStatus},
    ports::{Leases, PortBook, PortRange, Rules, allocate},
    refusal::Refusal,
    routes::{Policy, Resolved, RouteTable, TaskRoutes},
    streams::{Admission, StreamPolicy, address},
};
use proptest::prelude::*;

use crate::world::{observation, request, task, task_id};

const HOST: &str = "tcp.example.com";

fn rules() -> Rules {
    Rules {
        range: PortRange::new(30000, 30009).expect("a range"),
        cooling: Duration::from_mins(10),
    }
}

fn policy_at(host: &str, admission: Admission) -> Policy {
    Policy {
        queues: Vec::new(),
        dial: DialRules {
            networks: vec!["10.0.0.0/8".parse().expect("a network")],
            ..DialRules::default()
        },
        access: AccessPolicy::only(Who::Owner),
        streams: Some(StreamPolicy {
            host: host.into(),
            range: rules().range,
            admission,
        }),
    }
}

/// What one gateway remembers.
struct Gateway {
    policy: Arc<Policy>,
    leases: Arc<Leases>,
    table: RouteTable,
    now: Timestamp,
}

impl Gateway {
    fn new() -> Self {
        Self::with(policy_at(HOST, Admission::Open))
    }

    fn with(policy: Policy) -> Self {
        let policy = Arc::new(policy);
        Self {
            table: RouteTable::empty(policy.clone()),
            policy,
            leases: Arc::default(),
            now: Timestamp::from_secs(0),
        }
    }

    /// What is made of these tasks.
    fn see(&mut self, tasks: impl IntoIterator<Item = ObservedTask>) {
        self.now = self.now.plus(Duration::from_secs(1));
        let seen = observation(tasks);
        let wishes = RouteTable::wishes(&seen, &self.policy, &self.leases);
        let book = Arc::new(allocate(&wishes, &self.leases, &rules(), &BTreeSet::new(), self.now));
        self.leases = book.leases.clone();
        self.table = RouteTable::build_with_ports(&seen, &self.policy, &book, Some(&self.table));
        // Nothing depends on the way on which the table came to be, nor on being asked again.
        let at_once = RouteTable::build_with_ports(&seen, &self.policy, &book, None);
        assert_eq!(all(&self.table), all(&at_once));
        let again = RouteTable::wishes(&seen, &self.policy, &self.leases);
        for (first, second) in wishes.iter().zip(&again) {
            assert_eq!((&first.key, first.upstream), (&second.key, second.upstream));
        }
    }

    /// Where an unnamed endpoint leads: `30000>10.0.0.1:22`, or the refusal's code.
    fn way(&self, number: u64) -> String {
        let key = EndpointKey {
            task: task_id(number),
            protocol: Protocol::Tcp,
            name: None,
        };
        match self.table.route(&key).map(|route| &route.outcome) {
            Some(Ok(endpoint)) => format!("{}>{}", endpoint.port.expect("a port"), endpoint.upstream),
            Some(Err(refusal)) => refusal.code().into(),
            None => "nothing".into(),
        }
    }

    fn sees(&mut self, seen: ObservedTask) -> String {
        self.see([seen]);
        self.way(1)
    }
}

fn all(table: &RouteTable) -> Vec<Arc<TaskRoutes>> {
    let mut routes: Vec<_> = table.tasks().cloned().collect();
    routes.sort_by_key(|routes| routes.task.id);
    routes
}

/// The unnamed TCP endpoint of a task in which these values stand.
fn stream(host: &str, port: u16, upstream: Option<u16>) -> Request {
    Request {
        protocol: Protocol::Tcp,
        name: None,
        origin: RequestOrigin::Runtime,
        ask: Ok(Ask {
            claimed: address(host),
            port,
            prefix: portico_core::endpoint::Prefix::Auto,
            access: None,
            stream: StreamClaims {
                host: (!host.is_empty()).then(|| host.into()),
                port: Some(port),
                upstream_port: upstream,
                ..StreamClaims::default()
            },
        }),
    }
}

fn changed(mut request: Request, change: impl FnOnce(&mut Ask)) -> Request {
    change(request.ask.as_mut().expect("an ask"));
    request
}

/// A task of the worker at 10.0.0.1.
fn by(number: u64, owner: &str, request: Request) -> ObservedTask {
    ObservedTask {
        addresses: vec!["10.0.0.1".parse().expect("an address")],
        ..task(number, owner, vec![request])
    }
}

fn alices(request: Request) -> ObservedTask {
    by(1, "alice", request)
}

fn on(machine: &str, task: ObservedTask) -> ObservedTask {
    ObservedTask {
        addresses: vec![machine.parse().expect("an address")],
        ..task
    }
}

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

fn mallory(request: Request) -> ObservedTask {
    on("10.0.0.9", by(2, "mallory", request))
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
fn an_address_of_two_owners_is_given_to_neither_whatever_is_spoken() {
    let mut gateway = Gateway::new();
    let http = task(2, "mallory", vec![request(None, "10.0.0.1", 22)]);
    gateway.see([alices(stream("10.0.0.1", 22, None)), http]);
    assert_eq!(gateway.way(1), "address_contested");
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
    let values = (host, port(), option(port()), option(port()), option(port()));
    (0..5u64, "[ab]", values, any::<bool>(), 1..3u8).prop_map(|(number, owner, values, runs, machine)| {
        let (host, port, upstream, fixed, noted) = values;
        let request = changed(stream(host, port, upstream), |ask| {
            (ask.stream.fixed, ask.stream.noted_port) = (fixed, noted);
        });
        let mut task = on(&format!("10.0.0.{machine}"), by(number, &owner, request));
        if !runs {
            task.status = TaskStatus::Stopped;
        }
        task
    })
}

proptest! {
    #[test]
    fn whatever_tasks_hold_the_table_is_the_same_by_any_way_and_no_port_has_two_endpoints(
        steps in proptest::collection::vec(proptest::collection::vec(any_stream(), 0..6), 1..6),
    ) {
        let mut gateway = Gateway::new();
        let mut previous: Option<Leases> = None;
        for step in steps {
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
