//! Golden answers: for each thing that can be wrong, the whole explanation.

use std::fmt::Write as _;

use portico_auth::session::{OpenedBy, Session};
use portico_clearml::Contested;
use portico_core::{
    access::Who,
    access_policy::AccessPolicy,
    clock::Timestamp,
    dial::DialRules,
    endpoint::{Protocol, TaskId},
    observe::{
        Ask, Failing, Observation, ObservedTask, Request, RequestOrigin, SourceHealth, StreamClaims, TaskStatus,
    },
    principal::SessionId,
    routes::Policy,
    site::{Origin, Site},
};
use portico_proxy::UpstreamStatus;

use super::*;

pub(super) const ID: &str = "0123456789abcdef0123456789abcdef";
pub(super) const OTHER: &str = "fedcba9876543210fedcba9876543210";

pub(super) fn id(text: &str) -> TaskId {
    TaskId::parse(text).expect("an id")
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_795_374_000 + seconds)
}

fn request(name: Option<&str>, claimed: &str) -> Request {
    Request {
        protocol: Protocol::Http,
        name: name.map(Into::into),
        origin: RequestOrigin::Runtime,
        ask: Ok(Ask {
            claimed: Some(claimed.parse().expect("an address")),
            port: 8888,
            prefix: Prefix::Auto,
            access: None,
            stream: StreamClaims::default(),
        }),
    }
}

/// A running task of alice's, at its worker's address.
pub(super) fn task() -> ObservedTask {
    ObservedTask {
        id: id(ID),
        name: "notebook".into(),
        owner: UserId::new("alice"),
        company: CompanyId::new("company"),
        project: None,
        queue: Some("gpu".into()),
        status: TaskStatus::InProgress,
        status_since: at(-60),
        started: Some(at(-60)),
        addresses: vec!["10.0.0.7".parse().expect("an address")],
        requests: vec![request(None, "10.0.0.7")],
        published: Vec::new(),
        standing: portico_core::observe::Standing::default(),
    }
}

pub(super) fn world_of(tasks: Vec<ObservedTask>, who: Who) -> World {
    let policy = Policy {
        queues: vec!["gpu".into()],
        dial: DialRules::default(),
        access: AccessPolicy::only(who),
        streams: None,
    };
    let observation = Observation::new(tasks.into_iter().map(Arc::new).collect());
    World {
        site: Arc::new(Site {
            name: "main".into(),
            router: Origin::parse("https://gateway.example.com").expect("an origin"),
            console: None,
            extra_hosts: Vec::new(),
        }),
        table: Arc::new(RouteTable::build(&observation, &Arc::new(policy), None)),
        health: SourceHealth {
            observed: Some(at(-1)),
            failing: None,
        },
        own_key_refused: None,
        open_ports: Arc::default(),
        recording: Arc::default(),
        contested: Vec::new(),
        cluster: None,
        now: at(0),
    }
}

fn world(task: ObservedTask) -> World {
    world_of(vec![task], Who::Visible)
}

fn away(world: World) -> World {
    let failing = Failing {
        since: at(-90),
        reason: "unreachable",
        detail: "connection refused".into(),
    };
    World {
        health: SourceHealth {
            observed: Some(at(-91)),
            failing: Some(failing),
        },
        ..world
    }
}

pub(super) fn user(name: &str) -> Visitor {
    let Principal::User(user) = stand_in(&UserId::new(name), &CompanyId::new("company")) else {
        panic!("a user")
    };
    Visitor::Named(user)
}

pub(super) fn open_port(probe: Probe, listening_here: Option<&[&str]>) -> Port {
    let parse = |ips: &[&str]| ips.iter().map(|ip| ip.parse().expect("an address")).collect();
    Port {
        probe,
        listening_here: listening_here.map(parse),
        status: None,
    }
}

fn findings(visitor: Visitor, sight: Sight) -> Findings {
    Findings {
        visitor,
        sight,
        port: Some(open_port(Probe::Listening, None)),
        traffic: None,
    }
}

fn owner() -> Findings {
    findings(Visitor::Owner, Sight::Visible)
}

fn told_of(world: &World, task: &str, slug: Option<&str>, findings: &Findings) -> String {
    let told = tell(world, &world.table.at(id(task), slug), findings);
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
    told_of(world, ID, None, findings)
}

#[test]
fn the_way_is_open() {
    let status = UpstreamStatus {
        address: "10.0.0.7:8888".parse().expect("an address"),
        has_accepted: true,
        since: std::time::Duration::from_secs(9),
        prefix: Prefix::Keep,
    };
    let mut found = owner();
    found.port = Some(Port {
        status: Some(status),
        ..open_port(Probe::Listening, None)
    });
    insta::assert_snapshot!(told(&world(task()), &found));
}

#[test]
fn not_found() {
    insta::assert_snapshot!(told_of(&world(task()), OTHER, None, &owner()));
}

#[test]
fn no_such_endpoint_of_the_task() {
    let mut two = task();
    two.requests.push(request(Some("My UI"), "10.0.0.7"));
    insta::assert_snapshot!(told_of(&world(two), ID, Some("ui"), &owner()));
}

#[test]
fn wrong_queue() {
    let mut other = task();
    other.queue = Some("cpu".into());
    insta::assert_snapshot!(told(&world(other), &owner()));
}

#[test]
fn address_not_allowed() {
    let mut elsewhere = task();
    elsewhere.requests = vec![request(None, "10.9.9.9")];
    insta::assert_snapshot!(told(&world(elsewhere), &owner()));
}

#[test]
fn claims_loopback() {
    let mut inward = task();
    inward.requests = vec![request(None, "127.0.0.1")];
    insta::assert_snapshot!(told(&world(inward), &owner()));
}

#[test]
fn port_closed() {
    let mut found = owner();
    found.port = Some(open_port(Probe::Refused, None));
    insta::assert_snapshot!(told(&world(task()), &found));
}

#[test]
fn bound_to_loopback() {
    let mut found = owner();
    found.port = Some(open_port(Probe::Refused, Some(&["127.0.0.1"])));
    insta::assert_snapshot!(told(&world(task()), &found));
}

#[test]
fn unreachable() {
    let mut found = owner();
    found.port = Some(open_port(Probe::Unreachable, None));
    insta::assert_snapshot!(told(&world(task()), &found));
}

#[test]
fn not_visible() {
    insta::assert_snapshot!(told(&world(task()), &findings(user("bob"), Sight::Hidden)));
}

#[test]
fn owner_only() {
    let world = world_of(vec![task()], Who::Owner);
    insta::assert_snapshot!(told(&world, &findings(user("bob"), Sight::Visible)));
}

#[test]
fn ended() {
    let mut over = task();
    over.status = TaskStatus::Stopped;
    insta::assert_snapshot!(told(&world(over), &owner()));
}

#[test]
fn clearml_away_and_the_task_is_known() {
    insta::assert_snapshot!(told(&away(world(task())), &owner()));
}

#[test]
fn clearml_away_and_the_visitor_is_not_known_to_see_it() {
    insta::assert_snapshot!(told(&away(world(task())), &findings(user("bob"), Sight::Unavailable)));
}

#[test]
fn clearml_away_and_the_task_is_not_known() {
    insta::assert_snapshot!(told_of(&away(world(task())), OTHER, None, &owner()));
}

#[test]
fn own_key_refused() {
    let mut world = world_of(Vec::new(), Who::Visible);
    world.own_key_refused = Some("unauthorized (invalid credentials)".into());
    insta::assert_snapshot!(told(&world, &owner()));
}

#[test]
fn slug_collision() {
    let mut twins = task();
    twins.requests = vec![
        request(Some("My UI"), "10.0.0.7"),
        request(Some("my-ui-66062e"), "10.0.0.7"),
    ];
    insta::assert_snapshot!(told_of(&world(twins), ID, Some("my-ui-66062e"), &owner()));
}

#[test]
fn address_contested() {
    let mut stranger = task();
    (stranger.id, stranger.owner) = (id(OTHER), UserId::new("mallory"));
    insta::assert_snapshot!(told(&world_of(vec![task(), stranger], Who::Visible), &owner()));
}

#[test]
fn published_value_contested() {
    let mut world = world(task());
    world.contested = vec![Contested {
        task: id(ID),
        key: "endpoint".into(),
    }];
    insta::assert_snapshot!(told(&world, &owner()));
}

fn session() -> Session {
    Session {
        id: SessionId::new("5f2c"),
        user: UserId::new("alice"),
        company: CompanyId::new("company"),
        name: "Alice".into(),
        is_administrator: false,
        opened_by: OpenedBy::Password,
        issued: at(-90_000),
        idle_end: at(-3600),
        absolute_end: at(500_000),
        token: Secret::default(),
    }
}

#[test]
fn expired_session() {
    let visitor = Visitor::Cookies {
        outcome: Ok(Principal::Nobody),
        faults: vec![SessionFault::Idle(Box::new(session()))],
    };
    insta::assert_snapshot!(told(&world(task()), &findings(visitor, Sight::Unasked)));
}

#[test]
fn revoked_and_foreign_sessions() {
    let visitor = Visitor::Cookies {
        outcome: Ok(Principal::Nobody),
        faults: vec![SessionFault::Revoked(Box::new(session())), SessionFault::Unreadable],
    };
    insta::assert_snapshot!(told(&world(task()), &findings(visitor, Sight::Unasked)));
}

#[test]
fn cookies_that_count() {
    let visitor = Visitor::Cookies {
        outcome: Ok(stand_in(&UserId::new("bob"), &CompanyId::new("company"))),
        faults: Vec::new(),
    };
    insta::assert_snapshot!(told(&world(task()), &findings(visitor, Sight::Visible)));
}

#[test]
fn other_company() {
    insta::assert_snapshot!(told(
        &world(task()),
        &findings(Visitor::Unknown("carol".into()), Sight::Unasked)
    ));
}

#[test]
fn ambiguous_name() {
    let visitor = Visitor::Ambiguous("bob".into(), vec![UserId::new("b1"), UserId::new("b2")]);
    insta::assert_snapshot!(told(&world(task()), &findings(visitor, Sight::Unasked)));
}
