//! What the data plane counts, by thread. The binary gives the numbers their names in metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The numbers of all threads.
#[derive(Debug)]
pub struct Counters(Box<[Counts]>);

/// The numbers of one thread.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) connections: AtomicUsize,
    pub(crate) tunnels: AtomicUsize,
    pub(crate) idle_upstream: AtomicUsize,
    pub(crate) accepted: AtomicU64,
    pub(crate) turned_away: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    pub(crate) dialled: AtomicU64,
    pub(crate) reused: AtomicU64,
    pub(crate) retried: AtomicU64,
}

/// One thread's numbers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadCounts {
    /// Visitors' connections that are open, tunnels included.
    pub connections: usize,
    /// Tunnels that are open.
    pub tunnels: usize,
    /// Idle connections to applications, as of the last second.
    pub idle_upstream: usize,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at once, because there were too many from their address.
    pub turned_away: u64,
    /// Connections that ended with something that is no HTTP request, or with a request broken off.
    pub unreadable: u64,
    /// Connections opened to applications.
    pub dialled: u64,
    /// Requests that found a connection open.
    pub reused: u64,
    /// Requests sent once more, because the connection that they found had been closed.
    pub retried: u64,
}

impl Counters {
    pub(crate) fn new(threads: usize) -> Self {
        Self((0..threads.max(1)).map(|_| Counts::default()).collect())
    }

    pub(crate) fn of(&self, thread: usize) -> Option<&Counts> {
        self.0.get(thread)
    }

    /// The numbers now, by thread.
    pub fn threads(&self) -> Vec<ThreadCounts> {
        let now = |counts: &Counts| ThreadCounts {
            connections: counts.connections.load(Ordering::Relaxed),
            tunnels: counts.tunnels.load(Ordering::Relaxed),
            idle_upstream: counts.idle_upstream.load(Ordering::Relaxed),
            accepted: counts.accepted.load(Ordering::Relaxed),
            turned_away: counts.turned_away.load(Ordering::Relaxed),
            unreadable: counts.unreadable.load(Ordering::Relaxed),
            dialled: counts.dialled.load(Ordering::Relaxed),
            reused: counts.reused.load(Ordering::Relaxed),
            retried: counts.retried.load(Ordering::Relaxed),
        };
        self.0.iter().map(now).collect()
    }
}
