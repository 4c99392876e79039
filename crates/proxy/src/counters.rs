//! What the data plane counts, by thread. The binary gives the numbers their names in metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::stream::StreamRefusal;

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
    pub(crate) dialed: AtomicU64,
    pub(crate) reused: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) streams: AtomicUsize,
    pub(crate) streams_accepted: AtomicU64,
    pub(crate) stream_received: AtomicU64,
    pub(crate) stream_sent: AtomicU64,
    streams_refused: [AtomicU64; StreamRefusal::ALL.len()],
}

impl Counts {
    pub(crate) fn refuses(&self, why: StreamRefusal) {
        if let Some(count) = self.streams_refused.get(why.place()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
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
    pub dialed: u64,
    /// Requests that found a connection open.
    pub reused: u64,
    /// Requests sent once more, because the connection that they found had been closed.
    pub retried: u64,
    /// Streams that are open, with those that wait for their application.
    pub streams: usize,
    /// Streams accepted, with those refused afterwards.
    pub streams_accepted: u64,
    /// Bytes from visitors that streams have passed on, as of the last second.
    pub stream_received: u64,
    /// Bytes to visitors that streams have passed on, as of the last second.
    pub stream_sent: u64,
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
            dialed: counts.dialed.load(Ordering::Relaxed),
            reused: counts.reused.load(Ordering::Relaxed),
            retried: counts.retried.load(Ordering::Relaxed),
            streams: counts.streams.load(Ordering::Relaxed),
            streams_accepted: counts.streams_accepted.load(Ordering::Relaxed),
            stream_received: counts.stream_received.load(Ordering::Relaxed),
            stream_sent: counts.stream_sent.load(Ordering::Relaxed),
        };
        self.0.iter().map(now).collect()
    }

    /// How many streams were closed in place of an application's answer, by reason.
    pub fn stream_refusals(&self) -> Vec<(StreamRefusal, u64)> {
        let of = |counts: &Counts, why: StreamRefusal| {
            let count = counts.streams_refused.get(why.place());
            count.map_or(0, |count| count.load(Ordering::Relaxed))
        };
        let sum = |why| (why, self.0.iter().map(|counts| of(counts, why)).sum());
        StreamRefusal::ALL.into_iter().map(sum).collect()
    }
}
