//! From sockets to a running data plane and back.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, atomic::Ordering},
    thread,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    counters::Counters,
    doors::Doors,
    exchanges::Exchanges,
    listen::{self, BindError},
    settings::Settings,
    thread::{Shared, run},
    upstream::Upstreams,
};

/// Makes all sockets. Nothing is accepted yet.
pub fn bind(settings: &Settings) -> Result<Bound, BindError> {
    let sockets = listen::sockets(&settings.listen, settings.threads)?;
    let threads = sockets.len();
    Ok(Bound {
        settings: settings.clone(),
        sockets,
        exchanges: Arc::new(Exchanges::new(threads)),
        upstreams: Arc::default(),
        counters: Arc::new(Counters::new(threads)),
    })
}

/// A data plane that has its sockets.
#[derive(Debug)]
pub struct Bound {
    settings: Settings,
    sockets: Vec<Vec<TcpListener>>,
    exchanges: Arc<Exchanges>,
    upstreams: Arc<Upstreams>,
    counters: Arc<Counters>,
}

/// Why a data plane ended without being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system gave no thread.
    #[error("cannot start data thread {number}: {error}")]
    NoThread {
        /// Which one.
        number: usize,
        /// What the system says.
        #[source]
        error: std::io::Error,
    },
    /// It failed or panicked; the log has the reason.
    #[error("data thread {number} ended: {reason}")]
    ThreadEnded {
        /// Which one.
        number: usize,
        /// What it said.
        reason: String,
    },
}

impl Bound {
    /// The addresses that are listened on, with their real ports.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let first = self.sockets.first().map(Vec::as_slice).unwrap_or_default();
        first.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// What is open.
    pub fn exchanges(&self) -> Arc<Exchanges> {
        self.exchanges.clone()
    }

    /// What is known of the endpoints' upstreams.
    pub fn upstreams(&self) -> Arc<Upstreams> {
        self.upstreams.clone()
    }

    /// What is counted.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Accepts and serves until `shutdown`, then drains. To be run on the control runtime, where it decides open exchanges again.
    /// If the future is dropped, the threads stop at once, without draining.
    ///
    /// # Errors
    /// A data thread that ends by itself ends all: half a gateway would look like a whole one.
    pub async fn serve(self, doors: Doors, shutdown: CancellationToken) -> Result<(), ServeError> {
        let count = self.sockets.len();
        let shared = Arc::new(Shared::new(
            self.settings,
            doors,
            self.exchanges,
            self.upstreams,
            self.counters,
        ));
        let dropped = CancellationToken::new();
        let _stops_all = dropped.clone().drop_guard();
        let (ends, mut ended) = mpsc::channel(count);
        for (number, listeners) in self.sockets.into_iter().enumerate() {
            let end = End {
                number,
                result: None,
                ends: ends.clone(),
            };
            let (shared, shutdown, dropped) = (shared.clone(), shutdown.clone(), dropped.clone());
            thread::Builder::new()
                .name(format!("data-{number}"))
                .spawn(move || {
                    let mut end = end;
                    end.result =
                        Some(run(number, shared, listeners, &shutdown, &dropped).map_err(|error| error.to_string()));
                })
                .map_err(|error| ServeError::NoThread { number, error })?;
        }
        drop(ends);
        let reconciler = shared.exchanges.clone().reconcile(&shared);
        tokio::pin!(reconciler);
        let mut draining = std::pin::pin!(async {
            shutdown.cancelled().await;
            shared.is_draining.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        });
        for _ in 0..count {
            let (number, result) = tokio::select! {
                end = ended.recv() => end.unwrap_or((0, Some(Ok(())))),
                () = &mut reconciler => return Ok(()),
                () = &mut draining => return Ok(()),
            };
            let reason = match result {
                Some(Ok(())) if shutdown.is_cancelled() => continue,
                Some(Ok(())) => "it stopped".to_owned(),
                Some(Err(error)) => error,
                None => "it panicked".to_owned(),
            };
            return Err(ServeError::ThreadEnded { number, reason });
        }
        Ok(())
    }
}

/// Tells how a thread ended, also when it panicked.
struct End {
    number: usize,
    result: Option<Result<(), String>>,
    ends: mpsc::Sender<(usize, Option<Result<(), String>>)>,
}

impl Drop for End {
    fn drop(&mut self) {
        // There is room for all threads.
        let _ = self.ends.try_send((self.number, self.result.take()));
    }
}
