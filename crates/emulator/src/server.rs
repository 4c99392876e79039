//! The server on a socket.

pub(crate) mod answer;
mod respond;

use std::{future::Future, io, net::SocketAddr, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::emulator::Emulator;

impl Emulator {
    /// Serves on `listener` until `shutdown` completes; connections that are open then are cut.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let emulator = self.clone();
                        connections.spawn(async move {
                            let service = service_fn(move |request| respond::respond(emulator.clone(), request, peer));
                            // A connection's failure is its client's business.
                            let _ = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service).await;
                        });
                    }
                    // Out of file descriptors or the like: others must first close.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
            }
        }
    }
}

/// A server running for a test; dropping it stops it.
pub struct Server {
    emulator: Emulator,
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Server {
    /// Runs `emulator` on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If no port can be bound.
    pub async fn start(emulator: Emulator) -> io::Result<Self> {
        Self::start_at(emulator, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Runs `emulator` at an address; useful to come back on the port of a server that was stopped.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn start_at(emulator: Emulator, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (address, stop) = (listener.local_addr()?, CancellationToken::new());
        let shutdown = stop.clone().cancelled_owned();
        let mut running = JoinSet::new();
        running.spawn(emulator.clone().serve(listener, shutdown));
        Ok(Self {
            emulator,
            address,
            stop,
            running,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Base URL without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The controls.
    pub const fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// Stops listening and cuts open connections; connecting is refused afterwards. The memory stays in the [`Emulator`].
    pub async fn stop(mut self) -> Emulator {
        self.stop.cancel();
        // A panic of the server shows in the test that talks to it.
        while self.running.join_next().await.is_some() {}
        self.emulator.clone()
    }
}
