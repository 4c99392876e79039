//! From a public port to the data threads.

use std::{
    cell::RefCell,
    io,
    net::{IpAddr, TcpListener, TcpStream},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use portico_core::endpoint::Endpoint;
use tokio::io::{Interest, unix::AsyncFd};
use tokio_util::sync::CancellationToken;

use super::{arrival::Spread, refusal::StreamRefusal};
use crate::{listen::BACKLOG, thread::Shared};

/// After an error of the system (no file descriptors, say) the next try waits.
const BREATH: Duration = Duration::from_millis(100);

/// Whose a port is. Changes while the port stays open.
pub(super) type Tenant = Rc<RefCell<Arc<Endpoint>>>;

/// One port on one address.
pub(super) struct Acceptor {
    pub(super) listener: AsyncFd<TcpListener>,
    pub(super) port: u16,
    pub(super) tenant: Tenant,
    pub(super) shared: Arc<Shared>,
    pub(super) spread: Spread,
}

impl Acceptor {
    /// Accepts until `stop`, then takes what the kernel has queued and closes the port.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.listener.async_io(Interest::READABLE, TcpListener::accept) => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.take(stream, peer.ip().to_canonical()),
                Err(error) => failed(&error).await,
            }
        }
        // Who is not in the queue by now came too late: under a flood it would never be empty.
        for _ in 0..=BACKLOG {
            let Ok((stream, peer)) = self.listener.get_ref().accept() else {
                return;
            };
            self.take(stream, peer.ip().to_canonical());
        }
    }

    fn take(&self, stream: TcpStream, peer: IpAddr) {
        // Nobody waits for room: to the visitor an open port that is silent is worse than a closed one.
        let Some(room) = self.shared.stream_permits.try_room() else {
            return self.spread.turn_away(&stream, StreamRefusal::Limit);
        };
        if let Err(error) = stream.set_nonblocking(true) {
            tracing::warn!(%error, "cannot prepare a connection");
            return self.spread.turn_away(&stream, StreamRefusal::Internal);
        }
        let endpoint = self.tenant.borrow().clone();
        self.spread.hand_over(stream, peer, self.port, endpoint, room);
    }
}

async fn failed(error: &io::Error) {
    let is_visitors = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    );
    if !is_visitors {
        tracing::warn!(%error, "cannot accept connections");
        tokio::time::sleep(BREATH).await;
    }
}
