//! Golden answers for TCP endpoints.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use portico_core::{
    access::Who,
    access_policy::AccessPolicy,
    decision::Sight,
    dial::DialRules,
    endpoint::Protocol,
    observe::{Ask, Observation, ObservedTask, Request, RequestOrigin, StreamClaims},
    port_range::PortRange,
    ports::{Leases, OpenPorts, Rules, allocate},
    routes::{Policy, RouteTable},
};
use portico_proxy::Probe;

use super::{
    super::{
        Visitor,
        tests::{ID, OTHER, at, id, open_port, task, user, world_of},
    },
    *,
};
use crate::{public_ports::Traffic, reconcile::Recording};

fn asks(claims: StreamClaims) -> ObservedTask {
    let claimed = claims.host.as_deref().and_then(|host| host.parse().ok());
    let mut task = task();
    task.requests = vec![Request {
        protocol: Protocol::Tcp,
        name: None,
        origin: RequestOrigin::Runtime,
        ask: Ok(Ask {
            claimed,
            port: claims.port.unwrap_or(10022),
            prefix: portico_core::endpoint::Prefix::Auto,
            access: None,
            stream: claims,
        }),
    }];
    task
}

/// A session that names its own address.
fn session() -> ObservedTask {
    asks(StreamClaims {
        host: Some("10.0.0.7".into()),
        port: Some(10022),
        ..StreamClaims::default()
    })
}

/// A session on another machine, which was there first.
fn other() -> ObservedTask {
    let mut other = session();
    other.id = id(OTHER);
    other.addresses = vec!["10.0.0.8".parse().expect("an address")];
    let claims = StreamClaims {
        host: Some("10.0.0.8".into()),
        port: Some(10022),
        ..StreamClaims::default()
    };
    other.requests = asks(claims).requests;
    other
}

fn streams(ports: u16, admission: Admission) -> StreamPolicy {
    StreamPolicy {
        host: "gateway.example.com".into(),
        range: PortRange::new(9000, 8999 + ports).expect("a range"),
        admission,
    }
}

/// What becomes of these tasks, one batch after the other.
fn world(streams: Option<StreamPolicy>, batches: &[&[ObservedTask]]) -> World {
    let range = streams.as_ref().map(|streams| streams.range);
    let policy = Arc::new(Policy {
        queues: Vec::new(),
        dial: DialRules::default(),
        access: AccessPolicy::only(Who::Visible),
        streams,
    });
    let mut world = world_of(Vec::new(), Who::Visible);
    let mut leases = Arc::<Leases>::default();
    for batch in batches {
        let observation = Observation::new(batch.iter().cloned().map(Arc::new).collect());
        let rules = Rules {
            range: range.unwrap_or(PortRange::new(1, 1).expect("a range")),
            cooling: Duration::from_mins(5),
        };
        let wishes = RouteTable::wishes(&observation, &policy, &leases);
        let book = allocate(&wishes, &leases, &rules, &BTreeSet::new(), at(-30));
        leases = book.leases.clone();
        world.table = Arc::new(RouteTable::build_with_ports(
            &observation,
            &policy,
            &Arc::new(book),
            None,
        ));
    }
    let open = world
        .table
        .endpoints()
        .filter_map(|endpoint| Some((endpoint.port?, endpoint.id)));
    world.open_ports = Arc::new(OpenPorts {
        open: open.collect(),
        ..OpenPorts::default()
    });
    world
}

fn open_to_all(ports: u16, batches: &[&[ObservedTask]]) -> World {
    world(Some(streams(ports, Admission::Open)), batches)
}

fn findings(visitor: Visitor, sight: Sight, probe: Probe) -> Findings {
    Findings {
        visitor,
        sight,
        port: Some(open_port(probe, None)),
        traffic: Some(Traffic {
            connections: 2,
            received: 1024,
            sent: 1_048_576,
            opened: 7,
            last_activity: Some("2026-11-22T18:59:57Z".into()),
        }),
    }
}

fn owner() -> Findings {
    findings(Visitor::Owner, Sight::Visible, Probe::Listening)
}

fn text(told: &Explanation) -> String {
    let mut text = String::new();
    for step in &told.steps {
        let mark = if step.is_passed { '+' } else { '-' };
        let _ = writeln!(text, "{mark} {}: {}", step.what, step.found);
    }
    let _ = write!(
        text,
        "{} {:?}: {}",
        told.code.unwrap_or("open"),
        told.fault,
        told.answer
    );
    text
}

fn told(world: &World, findings: &Findings) -> String {
    let key = EndpointKey {
        task: id(ID),
        protocol: Protocol::Tcp,
        name: None,
    };
    text(&tell_stream(world, world.table.route(&key).expect("a route"), findings))
}

#[test]
fn the_way_is_open() {
    insta::assert_snapshot!(told(&open_to_all(2, &[&[session()]]), &owner()));
}

#[test]
fn streams_off() {
    insta::assert_snapshot!(told(&world(None, &[&[session()]]), &owner()));
}

#[test]
fn range_full() {
    insta::assert_snapshot!(told(&open_to_all(1, &[&[other()], &[session()]]), &owner()));
}

#[test]
fn fixed_port_taken() {
    let mut wants = session();
    if let Ok(ask) = &mut wants.requests[0].ask {
        ask.stream.fixed = Some(9000);
    }
    insta::assert_snapshot!(told(&open_to_all(2, &[&[other()], &[other(), wants]]), &owner()));
}

#[test]
fn fixed_port_outside_of_the_range() {
    let mut wants = session();
    if let Ok(ask) = &mut wants.requests[0].ask {
        ask.stream.fixed = Some(5432);
    }
    insta::assert_snapshot!(told(&open_to_all(2, &[&[wants]]), &owner()));
}

#[test]
fn another_program_has_the_port() {
    let mut world = open_to_all(2, &[&[session()]]);
    world.open_ports = Arc::new(OpenPorts {
        failed: [(9000, "Address already in use (os error 98)".to_owned())].into(),
        ..OpenPorts::default()
    });
    insta::assert_snapshot!(told(&world, &owner()));
}

#[test]
fn the_port_is_being_opened() {
    let mut world = open_to_all(2, &[&[session()]]);
    world.open_ports = Arc::default();
    insta::assert_snapshot!(told(&world, &owner()));
}

#[test]
fn another_gateways_address() {
    let elsewhere = asks(StreamClaims {
        host: Some("other-gateway.example.com".into()),
        port: Some(9000),
        ..StreamClaims::default()
    });
    insta::assert_snapshot!(told(&open_to_all(2, &[&[elsewhere]]), &owner()));
}

#[test]
fn ended() {
    let mut over = session();
    over.status = portico_core::observe::TaskStatus::Stopped;
    insta::assert_snapshot!(told(&open_to_all(2, &[&[session()], &[over]]), &owner()));
}

#[test]
fn port_closed() {
    let found = findings(Visitor::Owner, Sight::Visible, Probe::Refused);
    insta::assert_snapshot!(told(&open_to_all(2, &[&[session()]]), &found));
}

#[test]
fn the_lease_cannot_be_recorded() {
    let mut world = open_to_all(2, &[&[session()]]);
    let key = world.table.endpoints().next().expect("an endpoint").key.clone();
    let book = portico_core::ports::PortBook {
        refused: [(key, Refusal::PortPending)].into(),
        ..portico_core::ports::PortBook::default()
    };
    let observation = Observation::new(vec![Arc::new(session())]);
    let policy = world.table.policy().clone();
    world.table = Arc::new(RouteTable::build_with_ports(
        &observation,
        &policy,
        &Arc::new(book),
        None,
    ));
    world.recording = Arc::new(Recording {
        failing: Some((at(-9), "disk full".into())),
        ..Recording::default()
    });
    insta::assert_snapshot!(told(&world, &owner()));
}

#[test]
fn for_some_people_only_without_sign_in() {
    let mut tightened = session();
    if let Ok(ask) = &mut tightened.requests[0].ask {
        ask.access = Some(Who::Owner);
    }
    insta::assert_snapshot!(told(&open_to_all(2, &[&[tightened]]), &owner()));
}

#[test]
fn signed_in() {
    let world = world(Some(streams(2, Admission::SignedIn)), &[&[session()]]);
    let seen = told(&world, &findings(user("bob"), Sight::Visible, Probe::Listening));
    let hidden = told(&world, &findings(user("bob"), Sight::Hidden, Probe::Listening));
    insta::assert_snapshot!(format!("{seen}\n\n{hidden}"));
}

#[test]
fn ports_without_an_endpoint() {
    let world = open_to_all(2, &[&[session()], &[]]);
    let asked = [
        ("gateway.example.com", 9000),
        ("gateway.example.com", 9001),
        ("gateway.example.com", 22),
        ("gateway.internal", 9000),
    ];
    let mut answers: Vec<String> = asked.map(|(host, port)| text(&nobodys_port(&world, host, port))).into();
    answers.push(text(&nobodys_port(
        &self::world(None, &[]),
        "gateway.example.com",
        9000,
    )));
    insta::assert_snapshot!(answers.join("\n\n"));
}
