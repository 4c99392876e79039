//! Bytes moved both ways between two sockets until both sides have finished.
//!
//! Most streams are idle most of the time, so a stream has no buffer of its own: a read goes into the thread's scratch buffer, and
//! what the other side does not take at once is all that is kept. Once reads come back full, the kernel moves the bytes through a
//! pipe; for small messages that would cost more than it saves.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{Interest, Ready},
    net::TcpStream,
};

use super::{
    pipe::Pipe,
    socket::{poll_io, poll_read, poll_write},
};
use crate::exchanges::{CutReason, Exchange};

/// The scratch buffer, and the largest read.
const SCRATCH: usize = 256 * 1024;
/// The first read, and the one after the other side did not keep up: what it does not take must be kept.
const SMALL: usize = 16 * 1024;
/// A full read is followed by one that is so many times larger.
const GROWTH: usize = 4;
/// A pipe that gets less than this at a time costs more than it saves.
const SPARSE: usize = 16 * 1024;
/// Steps of one direction before others have their turn.
const STEPS: usize = 16;
/// Bytes that all streams of a thread together keep for sides that do not take them; above, reads are tiny.
const KEPT: usize = 32 * 1024 * 1024;
const TINY: usize = 4 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
    static KEEPING: Cell<usize> = const { Cell::new(0) };
}

/// How a stream ended that was not cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides have finished.
    Complete,
    /// One side broke.
    Broken,
    /// It was cut.
    Cut(CutReason),
}

/// Moves bytes both ways until both sides have finished, one breaks, or the exchange is cut. `early` was read from the visitor
/// already. One side may finish hours before the other: only its own keep-alive tells whether it still lives.
pub(super) async fn run(client: &TcpStream, upstream: &TcpStream, early: Vec<u8>, exchange: &Exchange) -> End {
    exchange.bytes.receive(early.len());
    let (mut up, mut down) = (
        Half::new(client, upstream, early),
        Half::new(upstream, client, Vec::new()),
    );
    poll_fn(|context| {
        if let Poll::Ready(reason) = exchange.cut.poll(context) {
            return Poll::Ready(End::Cut(reason));
        }
        let up = up.poll(context, |count| exchange.bytes.receive(count));
        let down = down.poll(context, |count| exchange.bytes.send(count));
        match (up, down) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(End::Broken),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(End::Complete),
            _ => Poll::Pending,
        }
    })
    .await
}

/// One direction.
struct Half<'s> {
    from: &'s TcpStream,
    to: &'s TcpStream,
    stage: Stage,
    /// How much is read at once.
    appetite: usize,
    /// Notices that `from` broke while nobody reads from it.
    watch: Option<Pin<Box<dyn Future<Output = io::Result<Ready>> + 's>>>,
}

enum Stage {
    /// Reads come back short: through the buffer.
    Copying,
    /// The other side did not take all of what was read.
    Keeping(Kept),
    /// Reads come back full: through a pipe, if there is one.
    Splicing(Option<Pipe>),
    /// `from` has finished; `to` is to be told.
    Finishing,
    Finished,
}

impl<'s> Half<'s> {
    fn new(from: &'s TcpStream, to: &'s TcpStream, early: Vec<u8>) -> Self {
        Self {
            from,
            to,
            stage: if early.is_empty() {
                Stage::Copying
            } else {
                Stage::Keeping(Kept::new(early.into()))
            },
            appetite: SMALL,
            watch: None,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>, moved: impl Fn(usize)) -> Poll<io::Result<()>> {
        for _ in 0..STEPS {
            if matches!(self.stage, Stage::Finished) {
                self.poll_watch(context)?;
                return Poll::Ready(Ok(()));
            }
            match self.step(context, &moved) {
                Poll::Ready(done) => done?,
                Poll::Pending => {
                    if matches!(self.stage, Stage::Keeping(_) | Stage::Finishing)
                        || matches!(&self.stage, Stage::Splicing(Some(_)))
                    {
                        self.poll_watch(context)?;
                    }
                    return Poll::Pending;
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn step(&mut self, context: &mut Context<'_>, moved: &impl Fn(usize)) -> Poll<io::Result<()>> {
        match &mut self.stage {
            Stage::Copying => self.copy(context, moved),
            Stage::Keeping(kept) => {
                let written = ready!(poll_write(self.to, context, kept.rest()))?;
                if kept.is_taken(written) {
                    self.stage = Stage::Copying;
                }
                Poll::Ready(Ok(()))
            }
            Stage::Splicing(_) => self.splice(context, moved),
            Stage::Finishing => {
                socket2::SockRef::from(self.to).shutdown(std::net::Shutdown::Write)?;
                self.stage = Stage::Finished;
                Poll::Ready(Ok(()))
            }
            Stage::Finished => Poll::Ready(Ok(())),
        }
    }

    fn copy(&mut self, context: &mut Context<'_>, moved: &impl Fn(usize)) -> Poll<io::Result<()>> {
        BUFFER.with_borrow_mut(|buffer| {
            let most = if KEEPING.get() > KEPT { TINY } else { self.appetite };
            let buffer = buffer.get_mut(..most).unwrap_or_default();
            let count = ready!(poll_read(self.from, context, buffer))?;
            if count == 0 {
                self.stage = Stage::Finishing;
                return Poll::Ready(Ok(()));
            }
            moved(count);
            let bytes = buffer.get(..count).unwrap_or_default();
            let written = match poll_write(self.to, context, bytes) {
                Poll::Ready(written) => written?,
                Poll::Pending => 0,
            };
            let rest = bytes.get(written..).unwrap_or_default();
            if !rest.is_empty() {
                self.appetite = SMALL;
                self.stage = Stage::Keeping(Kept::new(rest.into()));
            } else if count == SCRATCH {
                self.stage = Stage::Splicing(None);
            } else if count == self.appetite {
                self.appetite = SCRATCH.min(self.appetite * GROWTH);
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Fills an empty pipe, or empties a full one.
    fn splice(&mut self, context: &mut Context<'_>, moved: &impl Fn(usize)) -> Poll<io::Result<()>> {
        let Stage::Splicing(lent) = &mut self.stage else {
            return Poll::Ready(Ok(()));
        };
        if let Some(pipe) = lent {
            ready!(poll_io(self.to, context, Interest::WRITABLE, || pipe.drain(self.to)))?;
            if pipe.is_empty() {
                *lent = None;
                if self.appetite == SMALL {
                    self.stage = Stage::Copying;
                }
            }
            return Poll::Ready(Ok(()));
        }
        // Lent only when there is something to put into it.
        ready!(self.from.poll_read_ready(context))?;
        let Some(mut pipe) = Pipe::lend() else {
            self.stage = Stage::Copying;
            return Poll::Ready(Ok(()));
        };
        let count = ready!(poll_io(self.from, context, Interest::READABLE, || pipe.fill(self.from)))?;
        moved(count);
        if count == 0 {
            self.stage = Stage::Finishing;
        } else {
            self.appetite = if count < SPARSE { SMALL } else { SCRATCH };
            *lent = Some(pipe);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_watch(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let from = self.from;
        let watch = self.watch.get_or_insert_with(|| Box::pin(from.ready(Interest::ERROR)));
        match watch.as_mut().poll(context) {
            Poll::Ready(Ok(_)) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(()),
        }
    }
}

/// Bytes that the other side did not take yet.
struct Kept {
    bytes: Box<[u8]>,
    taken: usize,
}

impl Kept {
    fn new(bytes: Box<[u8]>) -> Self {
        KEEPING.set(KEEPING.get() + bytes.len());
        Self { bytes, taken: 0 }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    /// Notes that some more were taken; true if none is left.
    fn is_taken(&mut self, count: usize) -> bool {
        self.taken += count;
        self.taken >= self.bytes.len()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = KEEPING.try_with(|keeping| keeping.set(keeping.get().saturating_sub(self.bytes.len())));
    }
}
