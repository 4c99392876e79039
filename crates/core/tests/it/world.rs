//! Values to test with.

use std::sync::Arc;

use portico_core::{
    access::Who,
    access_policy::AccessPolicy,
    clock::Timestamp,
    dial::DialRules,
    endpoint::{Prefix, Protocol, TaskId},
    observe::{Ask, Observation, ObservedTask, Request, RequestOrigin, StreamClaims, TaskStatus},
    principal::{CompanyId, Method, Principal, User, UserId},
    routes::{Policy, RouteTable},
    secret::Secret,
};

pub(crate) fn task_id(number: u64) -> TaskId {
    // Spread over the first byte as real (random) ids are.
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    TaskId::parse(&format!("{spread:016x}{number:016x}")).expect("32 digits")
}

pub(crate) fn request(name: Option<&str>, address: &str, port: u16) -> Request {
    Request {
        protocol: Protocol::Http,
        name: name.map(Arc::from),
        origin: RequestOrigin::Runtime,
        ask: Ok(Ask {
            claimed: Some(address.parse().expect("an address")),
            port,
            prefix: Prefix::Auto,
            access: None,
            stream: StreamClaims::default(),
        }),
    }
}

pub(crate) fn task(number: u64, owner: &str, requests: Vec<Request>) -> ObservedTask {
    ObservedTask {
        id: task_id(number),
        name: format!("task {number}").into(),
        owner: UserId::new(owner),
        company: CompanyId::new("company"),
        project: None,
        queue: None,
        status: TaskStatus::InProgress,
        status_since: Timestamp::from_secs(1_000),
        started: Some(Timestamp::from_secs(1_000)),
        addresses: Vec::new(),
        requests,
        published: Vec::new(),
        standing: portico_core::observe::Standing::default(),
    }
}

pub(crate) fn observation(tasks: impl IntoIterator<Item = ObservedTask>) -> Observation {
    Observation::new(tasks.into_iter().map(Arc::new).collect())
}

pub(crate) fn policy(who: Who) -> Arc<Policy> {
    Arc::new(Policy {
        queues: Vec::new(),
        dial: DialRules {
            networks: vec!["10.0.0.0/8".parse().expect("a network")],
            ..DialRules::default()
        },
        access: AccessPolicy::only(who),
        streams: None,
    })
}

pub(crate) fn table(tasks: impl IntoIterator<Item = ObservedTask>, who: Who) -> RouteTable {
    RouteTable::build(&observation(tasks), &policy(who), None)
}

pub(crate) fn user(id: &str, company: &str) -> Principal {
    Principal::User(Arc::new(User {
        id: UserId::new(id),
        company: CompanyId::new(company),
        name: id.into(),
        is_administrator: false,
        method: Method::Session,
        session: None,
        expires: None,
        token: Secret::default(),
    }))
}
