//! Who holds which public port. Leases are state: they survive a restart, and no claim of a task changes whose a port is.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    endpoint::{EndpointKey, Protocol, TaskId},
};

/// A public port held for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// For whom.
    pub key: EndpointKey,
    /// The public port.
    pub port: u16,
    /// Since when.
    pub since: Timestamp,
    /// The endpoint is gone; nobody else gets the port before then. `None` while the endpoint is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooling_until: Option<Timestamp>,
    /// The port that the endpoint had before this one. A task that still names it names us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<u16>,
    /// Where the endpoint leads to: once its public address stands in the task, its own one does not any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Upstream>,
}

/// Where a stream endpoint leads to, as its task told. The address is a claim: it is judged before it is dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Upstream {
    /// The address that the task claims; `None`: the one under which its source knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<IpAddr>,
    /// The address that it claimed in an earlier run: where it may be if its source does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<IpAddr>,
    /// The port that it listens on.
    pub port: u16,
}

/// All leases. A port has one holder at most, and an endpoint one port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Document", into = "Document")]
pub struct Leases {
    held: BTreeMap<EndpointKey, Lease>,
    holders: BTreeMap<u16, EndpointKey>,
    /// Ports that nobody gets, and until when: several endpoints named them while nobody held them, or their endpoint moved away.
    resting: BTreeMap<u16, Timestamp>,
    /// Because of which tasks they rest: the one that left it, or those that named it at once.
    causes: BTreeMap<u16, BTreeSet<TaskId>>,
}

/// As leases are stored, sorted by endpoint.
#[derive(Serialize, Deserialize)]
struct Document {
    leases: Vec<Lease>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    resting: BTreeMap<u16, Timestamp>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    causes: BTreeMap<u16, BTreeSet<TaskId>>,
}

impl From<Leases> for Document {
    fn from(leases: Leases) -> Self {
        Self {
            leases: leases.held.into_values().collect(),
            resting: leases.resting,
            causes: leases.causes,
        }
    }
}

impl From<Document> for Leases {
    /// Of two leases for one port or one endpoint the older one counts: a document that somebody edited displaces nobody.
    fn from(document: Document) -> Self {
        let mut stored = document.leases;
        stored.sort_by(|one, other| (one.since, &one.key).cmp(&(other.since, &other.key)));
        let mut causes = document.causes;
        causes.retain(|port, _| document.resting.contains_key(port));
        let mut leases = Self {
            resting: document.resting,
            causes,
            ..Self::default()
        };
        for lease in stored {
            let is_free = !leases.held.contains_key(&lease.key) && leases.holder(lease.port).is_none();
            if is_free && lease.port != 0 {
                leases.put(lease);
            }
        }
        leases
    }
}

impl Leases {
    /// The lease of an endpoint.
    pub fn of(&self, key: &EndpointKey) -> Option<&Lease> {
        self.held.get(key)
    }

    /// Whose a port is.
    pub fn holder(&self, port: u16) -> Option<&EndpointKey> {
        self.holders.get(&port)
    }

    /// All leases, sorted by endpoint.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Lease> + ExactSizeIterator {
        self.held.values()
    }

    /// How many there are, the cooling ones included.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// True if nobody holds a port.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// When the next port becomes free by itself: allocate again then.
    pub fn next_end(&self) -> Option<Timestamp> {
        let cooling = self.held.values().filter_map(|lease| lease.cooling_until);
        cooling.chain(self.resting.values().copied()).min()
    }

    /// Ports without a lease that nobody gets, and until when.
    pub fn resting(&self) -> &BTreeMap<u16, Timestamp> {
        &self.resting
    }

    /// The leases of one task, the cooling ones included.
    pub(super) fn of_task(&self, task: TaskId) -> impl Iterator<Item = &Lease> {
        let first = EndpointKey {
            task,
            protocol: Protocol::Http,
            name: None,
        };
        let leases = self.held.range(first..).map(|(_, lease)| lease);
        leases.take_while(move |lease| lease.key.task == task)
    }

    /// How many ports nobody else gets because of this task alone: those that it holds, cools, and left.
    pub(super) fn kept_for(&self, task: TaskId) -> usize {
        let left = self.causes.values().filter(|causes| is_sole(causes, task));
        self.of_task(task).count() + left.count()
    }

    /// How many ports nobody gets because this task and others named them.
    pub(super) fn contested_by(&self, task: TaskId) -> usize {
        let contested = |causes: &&BTreeSet<TaskId>| causes.len() > 1 && causes.contains(&task);
        self.causes.values().filter(contested).count()
    }

    /// True if the endpoint had this port before its own one, and nobody else has got it since.
    pub(super) fn is_left_by(&self, port: u16, key: &EndpointKey) -> bool {
        let is_former = self.of(key).is_some_and(|lease| lease.former == Some(port));
        is_former && self.causes.get(&port).is_some_and(|causes| is_sole(causes, key.task))
    }

    /// Says until when nobody gets a port; `None`: it is free.
    pub(super) fn rest(&mut self, port: u16, until: Option<Timestamp>) {
        if let Some(until) = until {
            self.resting.insert(port, until);
        } else {
            self.resting.remove(&port);
            self.causes.remove(&port);
        }
    }

    /// Closes a port because of these tasks.
    pub(super) fn close(&mut self, port: u16, until: Timestamp, causes: BTreeSet<TaskId>) {
        self.resting.insert(port, until);
        self.causes.insert(port, causes);
    }

    /// Adds a lease, in place of the endpoint's earlier one. The port must be free.
    pub(super) fn put(&mut self, lease: Lease) {
        self.remove(&lease.key.clone());
        self.holders.insert(lease.port, lease.key.clone());
        self.held.insert(lease.key.clone(), lease);
    }

    /// Takes an endpoint's lease away.
    pub(super) fn remove(&mut self, key: &EndpointKey) -> Option<Lease> {
        let lease = self.held.remove(key)?;
        self.holders.remove(&lease.port);
        Some(lease)
    }
}

fn is_sole(causes: &BTreeSet<TaskId>, task: TaskId) -> bool {
    causes.len() == 1 && causes.contains(&task)
}
