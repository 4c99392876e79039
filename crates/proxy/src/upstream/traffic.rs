//! What the streams of each endpoint have passed on, those that have ended included.

use std::{
    collections::{HashMap, HashSet},
    sync::{MutexGuard, PoisonError},
};

use portico_core::{clock::Timestamp, endpoint::EndpointId};

use super::Upstreams;

/// What the streams of one endpoint have passed on since the gateway's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Streams that were led to the application.
    pub opened: u64,
    /// Bytes from visitors to the application.
    pub received: u64,
    /// Bytes from the application to visitors.
    pub sent: u64,
    /// When bytes were seen last, within about a second.
    pub last_activity: Option<Timestamp>,
}

impl Upstreams {
    /// What the streams of an endpoint have passed on; `None` if there was none yet. Kept for as long as the endpoint is there.
    pub fn traffic(&self, endpoint: EndpointId) -> Option<Traffic> {
        self.traffic_of_all().get(&endpoint).copied()
    }

    /// A stream was led to the application.
    pub(crate) fn opens(&self, endpoint: EndpointId) {
        self.traffic_of_all().entry(endpoint).or_default().opened += 1;
    }

    /// Bytes were passed on, received and sent.
    pub(crate) fn passes(&self, endpoint: EndpointId, [received, sent]: [u64; 2], now: Timestamp) {
        // One that is gone is not brought back by its last bytes.
        if let Some(traffic) = self.traffic_of_all().get_mut(&endpoint) {
            traffic.received += received;
            traffic.sent += sent;
            traffic.last_activity = Some(now);
        }
    }

    pub(super) fn with_traffic(&self) -> Vec<EndpointId> {
        self.traffic_of_all().keys().copied().collect()
    }

    pub(super) fn retain_traffic(&self, known: &HashSet<EndpointId>) {
        self.traffic_of_all().retain(|id, _| known.contains(id));
    }

    fn traffic_of_all(&self) -> MutexGuard<'_, HashMap<EndpointId, Traffic>> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
