//! Tunnels: bytes moved both ways between two sockets, with buffers taken only while bytes move.
//!
//! An idle WebSocket is the common one, so a tunnel has no buffer of its own: a read goes into the thread's scratch buffer, and
//! what the other side does not take at once is the only thing that a tunnel keeps.

mod frames;

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    time::timeout,
};

use crate::exchanges::{CutReason, Exchange};
use frames::Frames;

const SCRATCH: usize = 64 * 1024;
/// Once one end has finished, the other may be silent for this long: no protocol in here lives on with one end.
const LINGER: Duration = Duration::from_secs(5);
/// How long a cut WebSocket may take to come to the end of its frame and say so.
const CLOSING: Duration = Duration::from_secs(1);

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// One end of a tunnel: its socket, and what was read from it before the tunnel began.
pub(crate) struct End<'s> {
    pub(crate) socket: &'s mut TcpStream,
    pub(crate) early: Bytes,
}

/// Moves bytes both ways until both ends have finished, one breaks, or the exchange is cut: then the visitor gets a close frame.
/// Returns true if both ends have finished.
pub(crate) async fn run(client: End<'_>, upstream: End<'_>, exchange: &Exchange) -> bool {
    let (mut from_client, mut to_client) = client.socket.split();
    let (mut from_upstream, mut to_upstream) = upstream.socket.split();
    let (mut up, mut down) = (Half::new(client.early), Half::new(upstream.early));
    exchange.bytes.receive(up.pending.len());
    exchange.bytes.send(down.pending.len());
    let both = async {
        let up = up.pump(&mut from_client, &mut to_upstream, |count| {
            exchange.bytes.receive(count);
        });
        let down = down.pump(&mut from_upstream, &mut to_client, |count| exchange.bytes.send(count));
        let (mut up, mut down) = (pin!(up), pin!(down));
        let is_up_done = tokio::select! {
            result = &mut up => result.map(|()| true),
            result = &mut down => result.map(|()| false),
        }?;
        let other = async { if is_up_done { down.await } else { up.await } };
        tokio::select! {
            result = other => result,
            () = silence(exchange) => Ok(()),
        }
    };
    let reason = tokio::select! {
        biased;
        reason = exchange.cut.wait() => reason,
        result = both => {
            let result: io::Result<()> = result;
            return result.is_ok();
        }
    };
    let closed = timeout(CLOSING, down.close(&mut from_upstream, &mut to_client, reason)).await;
    if matches!(closed, Ok(Ok(()))) {
        // Bytes that nobody reads would make the kernel reset the connection and destroy the close frame on its way.
        let _ = timeout(CLOSING, drain(&mut from_client)).await;
    }
    false
}

/// Waits until nothing has moved for a while.
async fn silence(exchange: &Exchange) {
    let moved = || (exchange.bytes.received(), exchange.bytes.sent());
    let mut before = moved();
    loop {
        tokio::time::sleep(LINGER).await;
        let now = moved();
        if now == before {
            return;
        }
        before = now;
    }
}

async fn drain(from: &mut ReadHalf<'_>) -> io::Result<()> {
    let mut bytes = [0; 1024];
    while from.read(&mut bytes).await? > 0 {}
    Ok(())
}

/// One direction.
struct Half {
    /// Read, but not yet taken by the other side.
    pending: Bytes,
    frames: Frames,
}

enum Step {
    Moved,
    Ended,
}

impl Half {
    fn new(early: Bytes) -> Self {
        let mut frames = Frames::default();
        frames.pass(&early);
        Self { pending: early, frames }
    }

    /// Moves bytes until `from` ends, then ends `to`. May be dropped at any await without losing bytes.
    async fn pump(&mut self, from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, moved: impl Fn(usize)) -> io::Result<()> {
        loop {
            self.flush(to).await?;
            match poll_fn(|context| self.step(context, from, to, &moved)).await? {
                Step::Moved => {}
                Step::Ended => return to.shutdown().await,
            }
        }
    }

    async fn flush(&mut self, to: &mut WriteHalf<'_>) -> io::Result<()> {
        while self.pending.has_remaining() {
            to.write_buf(&mut self.pending).await?;
        }
        // Gives the memory back while nothing moves.
        self.pending = Bytes::new();
        Ok(())
    }

    fn step(
        &mut self,
        context: &mut Context<'_>,
        from: &mut ReadHalf<'_>,
        to: &mut WriteHalf<'_>,
        moved: &impl Fn(usize),
    ) -> Poll<io::Result<Step>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(from).poll_read(context, &mut buffer))?;
            let bytes = buffer.filled();
            if bytes.is_empty() {
                return Poll::Ready(Ok(Step::Ended));
            }
            self.frames.pass(bytes);
            moved(bytes.len());
            let written = match Pin::new(to).poll_write(context, bytes) {
                Poll::Ready(written) => written?,
                Poll::Pending => 0,
            };
            let rest = bytes.get(written..).unwrap_or_default();
            if !rest.is_empty() {
                self.pending = Bytes::copy_from_slice(rest);
            }
            Poll::Ready(Ok(Step::Moved))
        })
    }

    /// Brings the frame that is under way to its end, then closes the WebSocket.
    async fn close(&mut self, from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, reason: CutReason) -> io::Result<()> {
        self.flush(to).await?;
        let mut bytes = vec![0; 4096];
        while !self.frames.is_between() {
            let count = from.read(&mut bytes).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let read = bytes.get(..count).unwrap_or_default();
            let of_frame = self.frames.finish(read);
            to.write_all(read.get(..of_frame).unwrap_or_default()).await?;
        }
        to.write_all(&frames::close(reason.close_code(), reason.word())).await?;
        to.shutdown().await
    }
}
