//! Applications. Those that misbehave are named after how.

pub(crate) mod behaves;
pub(crate) mod misbehaves;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// An application on a loopback port.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Seen,
    _running: JoinSet<()>,
}

/// What an application has seen.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    connections: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Seen {
    /// Connections that were accepted.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Connections that have ended.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    /// The raw heads of the requests, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn add(&self, head: String) {
        self.requests.lock().unwrap().push(head);
    }
}

impl Peer {
    /// Treats each connection with `serve`.
    pub(crate) async fn start<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(TcpStream, Seen) -> F + Send + 'static,
    ) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), serve)
    }

    pub(crate) fn on<F: Future<Output = ()> + Send + 'static>(
        listener: TcpListener,
        serve: impl Fn(TcpStream, Seen) -> F + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let seen = Seen::default();
        let told = seen.clone();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                told.connections.fetch_add(1, Ordering::SeqCst);
                let (serving, ended) = (serve(stream, told.clone()), told.ended.clone());
                connections.spawn(async move {
                    serving.await;
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            address,
            seen,
            _running: running,
        }
    }
}

/// A loopback address at which nothing listens.
pub(crate) async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.78:0").await.unwrap().local_addr().unwrap()
}
