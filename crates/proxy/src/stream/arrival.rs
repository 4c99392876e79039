//! A visitor's connection on its way from the port to a data thread.

use std::{
    net::{IpAddr, TcpStream},
    sync::{Arc, atomic::Ordering},
};

use portico_core::endpoint::Endpoint;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::refusal::StreamRefusal;
use crate::counters::Counters;

/// Connections that wait for one data thread.
const WAITING: usize = 1024;

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(super) stream: TcpStream,
    /// The other end of the connection: the visitor, or a proxy.
    pub(super) peer: IpAddr,
    /// The public port.
    pub(super) port: u16,
    /// Whose the port was when the connection was accepted.
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) room: OwnedSemaphorePermit,
    pub(super) counted: Counted,
}

/// A stream among those that are counted as open.
#[derive(Debug)]
pub(super) struct Counted {
    counters: Arc<Counters>,
    thread: usize,
}

impl Counted {
    fn new(counters: &Arc<Counters>, thread: usize) -> Self {
        if let Some(counts) = counters.of(thread) {
            counts.streams.fetch_add(1, Ordering::Relaxed);
            counts.streams_accepted.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            counters: counters.clone(),
            thread,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(counts) = self.counters.of(self.thread) {
            counts.streams.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Hands connections to the data threads.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    threads: Vec<mpsc::Sender<Arrival>>,
    counters: Arc<Counters>,
}

impl Spread {
    /// The handing end, and one receiving end for each thread.
    pub(crate) fn new(threads: usize, counters: &Arc<Counters>) -> (Self, Vec<mpsc::Receiver<Arrival>>) {
        let (threads, ends) = (0..threads).map(|_| mpsc::channel(WAITING)).unzip();
        let spread = Self {
            threads,
            counters: counters.clone(),
        };
        (spread, ends)
    }

    /// Hands a connection to the thread with the fewest streams. Streams live for hours: where the kernel chooses by chance, they
    /// pile up.
    pub(super) fn hand_over(
        &self,
        stream: TcpStream,
        peer: IpAddr,
        port: u16,
        endpoint: Arc<Endpoint>,
        room: OwnedSemaphorePermit,
    ) {
        let open = |thread: usize| {
            self.counters
                .of(thread)
                .map(|counts| counts.streams.load(Ordering::Relaxed))
        };
        let fewest = self
            .threads
            .iter()
            .enumerate()
            .min_by_key(|(thread, _)| open(*thread).unwrap_or(usize::MAX));
        let Some((thread, to)) = fewest else { return };
        let arrival = Arrival {
            stream,
            peer,
            port,
            endpoint,
            room,
            counted: Counted::new(&self.counters, thread),
        };
        if let Err(error) = to.try_send(arrival) {
            self.turn_away(&error.into_inner().stream, StreamRefusal::Busy);
        }
    }

    /// Closes a connection before any data thread saw it. Counted only: whoever floods a port should not flood the log too.
    pub(super) fn turn_away(&self, stream: &TcpStream, why: StreamRefusal) {
        super::socket::reset_at_drop(stream);
        if let Some(counts) = self.counters.of(0) {
            counts.refuses(why);
        }
    }
}
