//! What is done to sockets, of the standard library or of the runtime.

use std::{
    io::{self, Read as _},
    os::fd::AsFd,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
use tokio::{io::Interest, net::TcpStream};

/// Has the other side told by a reset as soon as the socket is dropped: an end that cannot be taken for a regular one, and that
/// leaves nothing behind in the kernel.
pub(super) fn reset_at_drop(socket: &impl AsFd) {
    // If it cannot be set, the socket is closed all the same.
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// Reads what is there; 0 at the end. As [`tokio::io::AsyncRead`] does it, but for a shared socket, so that others can watch it.
pub(super) fn poll_read(socket: &TcpStream, context: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_read_ready(context))?;
        let mut count = None;
        let read = socket.try_io(Interest::READABLE, || {
            let read = (&*SockRef::from(socket)).read(into)?;
            count = Some(read);
            // Less than there is room for means that there is no more now: it spares a read that would tell the same.
            if read > 0 && read < into.len() {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(())
            }
        });
        match (count, read) {
            (Some(count), _) => return Poll::Ready(Ok(count)),
            (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
            (None, _) => {}
        }
    }
}

/// Writes what there is room for.
pub(super) fn poll_write(socket: &TcpStream, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_write_ready(context))?;
        match socket.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            written => return Poll::Ready(written),
        }
    }
}

/// Calls the system once the socket is fit for it.
pub(super) fn poll_io(
    socket: &TcpStream,
    context: &mut Context<'_>,
    interest: Interest,
    mut call: impl FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        if interest.is_readable() {
            ready!(socket.poll_read_ready(context))?;
        } else {
            ready!(socket.poll_write_ready(context))?;
        }
        match socket.try_io(interest, &mut call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}
