//! What is known of the addresses behind endpoints, shared by all threads and independent of the route table.

pub(crate) mod dial;
pub(crate) mod pool;
pub(crate) mod prefix;
mod traffic;

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use portico_core::{
    endpoint::{Endpoint, EndpointId, Prefix},
    routes::RouteTable,
};
use tokio::sync::Semaphore;

pub use dial::{Probe, probe};
pub use traffic::Traffic;

/// The state of all upstreams, by endpoint.
#[derive(Debug, Default)]
pub struct Upstreams {
    known: Mutex<HashMap<EndpointId, Arc<Upstream>>>,
    traffic: Mutex<HashMap<EndpointId, Traffic>>,
}

/// What is known of one endpoint's upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamStatus {
    /// Where it is.
    pub address: SocketAddr,
    /// True if it has accepted a connection, ever since the endpoint has this address.
    pub has_accepted: bool,
    /// How long ago it was dialed for the first time.
    pub since: Duration,
    /// What is done with the prefix: `Cut` or `Keep`, or `Auto` while that is not decided.
    pub prefix: Prefix,
}

impl Upstreams {
    /// What is known of an endpoint's upstream; `None` if nobody has asked for it yet.
    pub fn status(&self, endpoint: EndpointId) -> Option<UpstreamStatus> {
        self.lock().get(&endpoint).map(|upstream| upstream.status())
    }

    /// The state for an endpoint; a new one if its address is another now.
    pub(crate) fn of(&self, endpoint: &Endpoint) -> Arc<Upstream> {
        let mut upstreams = self.lock();
        match upstreams.get(&endpoint.id) {
            Some(known) if known.is_for(endpoint) => known.clone(),
            _ => {
                let new = Arc::new(Upstream::new(endpoint));
                upstreams.insert(endpoint.id, new.clone());
                new
            }
        }
    }

    /// Forgets endpoints that are no longer there and that no thread has anything of.
    pub(crate) fn retain(&self, table: &RouteTable) {
        // Most endpoints were never asked for; routes change more often than anybody asks.
        let held: HashSet<EndpointId> = self.lock().keys().copied().chain(self.with_traffic()).collect();
        if held.is_empty() {
            return;
        }
        let ids = table.endpoints().map(|endpoint| endpoint.id);
        let known: HashSet<EndpointId> = ids.filter(|id| held.contains(id)).collect();
        self.lock()
            .retain(|id, upstream| known.contains(id) || Arc::strong_count(upstream) > 1);
        self.retain_traffic(&known);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EndpointId, Arc<Upstream>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One endpoint's upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    choice: Prefix,
    since: Instant,
    has_accepted: AtomicBool,
    decided: AtomicU8,
    /// Places for streams that wait for their connection.
    dialing: OnceLock<Semaphore>,
    /// Held by whoever finds out about the prefix; the rest waits for the result.
    finding: tokio::sync::Mutex<Option<Instant>>,
}

const UNDECIDED: u8 = 0;
const CUT: u8 = 1;
const KEEP: u8 = 2;

impl Upstream {
    fn new(endpoint: &Endpoint) -> Self {
        Self {
            address: endpoint.upstream,
            choice: endpoint.prefix_choice,
            since: Instant::now(),
            has_accepted: AtomicBool::new(false),
            decided: AtomicU8::new(UNDECIDED),
            dialing: OnceLock::new(),
            finding: tokio::sync::Mutex::new(None),
        }
    }

    fn status(&self) -> UpstreamStatus {
        UpstreamStatus {
            address: self.address,
            has_accepted: self.has_accepted(),
            since: self.since.elapsed(),
            prefix: self.prefix(),
        }
    }

    pub(crate) fn is_for(&self, endpoint: &Endpoint) -> bool {
        self.address == endpoint.upstream && self.choice == endpoint.prefix_choice
    }

    pub(crate) fn has_accepted(&self) -> bool {
        self.has_accepted.load(Ordering::Relaxed)
    }

    pub(crate) fn known_for(&self) -> Duration {
        self.since.elapsed()
    }

    pub(crate) fn accepts(&self) {
        if !self.has_accepted() {
            self.has_accepted.store(true, Ordering::Relaxed);
        }
    }

    /// The `limit` places for streams that wait for their connection.
    pub(crate) fn dialing(&self, limit: usize) -> &Semaphore {
        self.dialing.get_or_init(|| Semaphore::new(limit))
    }

    /// Whatever listened there is gone; its successor may want its prefix otherwise.
    pub(crate) fn refuses(&self) {
        self.decided.store(UNDECIDED, Ordering::Relaxed);
    }

    /// What is done with the prefix; `Auto` while that is not decided.
    pub(crate) fn prefix(&self) -> Prefix {
        match (self.choice, self.decided.load(Ordering::Relaxed)) {
            (Prefix::Cut, _) | (Prefix::Auto, CUT) => Prefix::Cut,
            (Prefix::Keep, _) | (Prefix::Auto, KEEP) => Prefix::Keep,
            (Prefix::Auto, _) => Prefix::Auto,
        }
    }

    fn decide(&self, prefix: Prefix) {
        let decided = match prefix {
            Prefix::Auto => UNDECIDED,
            Prefix::Cut => CUT,
            Prefix::Keep => KEEP,
        };
        self.decided.store(decided, Ordering::Relaxed);
    }
}
