//! One visitor's connection: how long it may be silent, and how it is told to end.
//!
//! Nothing here sets a timer. A connection notes what it is doing, and the thread's sweep, once a second, counts how often it finds
//! it doing the same.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::listen::permits::Permit;

const IDLE: u8 = 0;
const READING: u8 = 1;
const SERVING: u8 = 2;

/// What others can see and do of a connection.
#[derive(Debug, Default)]
pub(crate) struct Link {
    phase: AtomicU8,
    /// How many sweeps found it in this phase.
    age: AtomicU32,
    order: AtomicU8,
    waiting: AtomicWaker,
}

/// What a connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum Order {
    /// End after the answer that is under way, or now if there is none.
    Finish = 1,
    /// End now.
    Close = 2,
}

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// For a request.
    Idle,
    /// For the rest of a request's headers.
    Reading,
    /// For us.
    Serving,
}

impl Link {
    /// A request's headers are complete.
    pub(crate) fn begins(&self) {
        self.turn(SERVING);
    }

    /// The exchange is over.
    pub(crate) fn ends(&self) {
        self.turn(IDLE);
    }

    fn receives(&self) {
        if self.phase.load(Ordering::Relaxed) == IDLE {
            self.turn(READING);
        }
    }

    fn turn(&self, phase: u8) {
        self.phase.store(phase, Ordering::Relaxed);
        self.age.store(0, Ordering::Relaxed);
    }

    /// What it is doing, and how many sweeps have found it so, this one included.
    pub(crate) fn sweep(&self) -> (Phase, u32) {
        let phase = match self.phase.load(Ordering::Relaxed) {
            IDLE => Phase::Idle,
            READING => Phase::Reading,
            _ => Phase::Serving,
        };
        (phase, self.age.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn order(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::AcqRel);
        self.waiting.wake();
    }

    /// Waits for an order above `known`.
    pub(crate) fn poll_order(&self, context: &Context<'_>, known: Option<Order>) -> Poll<Order> {
        let look = || match (self.order.load(Ordering::Acquire), known) {
            (2, Some(Order::Finish) | None) => Poll::Ready(Order::Close),
            (1, None) => Poll::Ready(Order::Finish),
            _ => Poll::Pending,
        };
        if look().is_pending() {
            self.waiting.register(context.waker());
        }
        look()
    }
}

/// A visitor's socket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) stream: TcpStream,
    link: Arc<Link>,
    /// Held for as long as the socket is open, also as a tunnel.
    _permit: Permit,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, link: Arc<Link>, permit: Permit) -> Self {
        Self {
            stream,
            link,
            _permit: permit,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if into.filled().len() > before {
            self.link.receives();
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A TCP socket holds nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
