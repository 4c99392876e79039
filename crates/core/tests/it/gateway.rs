//! A gateway without a network: what becomes of tasks' TCP requests over time.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use portico_core::{
    access::Who,
    access_policy::AccessPolicy,
    clock::Timestamp,
    dial::DialRules,
    endpoint::{EndpointKey, Prefix, Protocol},
    observe::{Ask, ObservedTask, Request, RequestOrigin, StreamClaims},
    port_range::PortRange,
    ports::{Leases, Rules, allocate},
    routes::{Policy, RouteTable, TaskRoutes},
    streams::{Admission, StreamPolicy, address},
};

use crate::world::{observation, task, task_id};

pub(crate) const HOST: &str = "tcp.example.com";

pub(crate) fn rules() -> Rules {
    Rules {
        range: PortRange::new(30000, 30009).expect("a range"),
        cooling: Duration::from_mins(10),
    }
}

pub(crate) fn policy_at(host: &str, admission: Admission) -> Policy {
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
pub(crate) struct Gateway {
    pub(crate) policy: Arc<Policy>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) table: RouteTable,
    pub(crate) now: Timestamp,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        Self::with(policy_at(HOST, Admission::Open))
    }

    pub(crate) fn with(policy: Policy) -> Self {
        let policy = Arc::new(policy);
        Self {
            table: RouteTable::empty(policy.clone()),
            policy,
            leases: Arc::default(),
            now: Timestamp::from_secs(0),
        }
    }

    /// What is made of these tasks.
    pub(crate) fn see(&mut self, tasks: impl IntoIterator<Item = ObservedTask>) {
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
    pub(crate) fn way(&self, number: u64) -> String {
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

    pub(crate) fn sees(&mut self, seen: ObservedTask) -> String {
        self.see([seen]);
        self.way(1)
    }
}

pub(crate) fn all(table: &RouteTable) -> Vec<Arc<TaskRoutes>> {
    let mut routes: Vec<_> = table.tasks().cloned().collect();
    routes.sort_by_key(|routes| routes.task.id);
    routes
}

/// The unnamed TCP endpoint of a task in which these values stand.
pub(crate) fn stream(host: &str, port: u16, upstream: Option<u16>) -> Request {
    Request {
        protocol: Protocol::Tcp,
        name: None,
        origin: RequestOrigin::Runtime,
        ask: Ok(Ask {
            claimed: address(host),
            port,
            prefix: Prefix::Auto,
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

pub(crate) fn changed(mut request: Request, change: impl FnOnce(&mut Ask)) -> Request {
    change(request.ask.as_mut().expect("an ask"));
    request
}

/// A task of the worker at 10.0.0.1.
pub(crate) fn by(number: u64, owner: &str, request: Request) -> ObservedTask {
    ObservedTask {
        addresses: vec!["10.0.0.1".parse().expect("an address")],
        ..task(number, owner, vec![request])
    }
}

pub(crate) fn alices(request: Request) -> ObservedTask {
    by(1, "alice", request)
}

pub(crate) fn on(machine: &str, task: ObservedTask) -> ObservedTask {
    ObservedTask {
        addresses: vec![machine.parse().expect("an address")],
        ..task
    }
}

/// Somebody else's task on a machine of its own.
pub(crate) fn mallory(request: Request) -> ObservedTask {
    on("10.0.0.9", by(2, "mallory", request))
}
