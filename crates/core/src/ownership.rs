//! Which of several gateways publishes an endpoint, leases its port and withdraws. Pure, and equal everywhere: every gateway
//! decides alone, and all come to the same answer.

mod assign;

use std::{sync::Arc, time::Duration};

use crate::{clock::Timestamp, observe::ObservedTask, streams};

pub use assign::Assigned;

/// A gateway that has not been heard of for so long loses its tasks.
pub const SILENCE: Duration = Duration::from_mins(1);

/// What a gateway says of itself to the others of its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its name, unique in the namespace.
    pub name: Arc<str>,
    /// Where visitors find it.
    pub url: Arc<str>,
    /// Where visitors find its streams, and on which ports; `None` if it has none.
    pub streams: Option<StreamPlace>,
    /// The queues that it serves; empty = all.
    pub queues: Vec<Arc<str>>,
    /// Whether it writes into tasks at all.
    pub publishes: bool,
    /// Since when there is a gateway of this name.
    pub since: Timestamp,
    /// When it was heard of last, by the clock of whoever asks.
    pub heard: Timestamp,
}

/// Where a gateway's streams are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPlace {
    /// The host or address.
    pub address: Arc<str>,
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl Gateway {
    /// True if such tasks are its business.
    pub fn serves(&self, task: &ObservedTask) -> bool {
        self.queues.is_empty() || self.names_queue_of(task)
    }

    fn names_queue_of(&self, task: &ObservedTask) -> bool {
        self.queues.iter().any(|served| task.is_from(served))
    }

    /// True if it was heard of lately.
    pub fn is_heard(&self, now: Timestamp) -> bool {
        now.since(self.heard) < SILENCE
    }
}

/// Which gateway owns a task's endpoints: (1) the one that the task names; (2) one whose queue filter names the queue before one
/// without a filter; (3) the older one, then the one whose name comes first. Gateways that are silent, do not publish or do not
/// serve the queue own nothing.
pub fn owner<'g>(gateways: &'g [Gateway], task: &ObservedTask, now: Timestamp) -> Option<&'g Gateway> {
    let able = gateways
        .iter()
        .filter(|gateway| gateway.publishes && gateway.is_heard(now) && gateway.serves(task));
    let named = task.standing.named_gateway.as_deref();
    able.min_by_key(|gateway| {
        let is_named = named.is_some_and(|named| *named == *gateway.name);
        (
            !is_named,
            !gateway.names_queue_of(task),
            gateway.since,
            gateway.name.clone(),
        )
    })
}

impl StreamPlace {
    /// True if this host and port, which stand in a task, are one of its public addresses.
    pub fn holds(&self, host: &str, port: u16) -> bool {
        streams::is_same_host(host, &self.address) && (self.first..=self.last).contains(&port)
    }
}

#[cfg(test)]
mod tests;
