//! From sockets to a running data plane and back.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, atomic::Ordering},
    thread,
};

use portico_core::{
    live::{Live, Publish, live},
    ports::OpenPorts,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    counters::Counters,
    doors::Doors,
    exchanges::Exchanges,
    listen::{self, BindError},
    settings::Settings,
    stream::{Spread, hold_ports},
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
        ports: live(OpenPorts::default()).0,
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
    ports: Publish<OpenPorts>,
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
    /// The thread that holds the ports of streams failed or panicked.
    #[error("the thread that holds the ports of streams ended: {reason}")]
    PortsEnded {
        /// What it said.
        reason: String,
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

    /// Which ports of streams stand open, and which could not be opened.
    pub fn open_ports(&self) -> Live<OpenPorts> {
        self.ports.follow()
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
        let (ends, mut ended) = mpsc::channel(count + 1);
        let (spread, arrivals) = Spread::new(count, &shared.counters);
        for (number, (listeners, arrivals)) in self.sockets.into_iter().zip(arrivals).enumerate() {
            let (shared, shutdown, dropped) = (shared.clone(), shutdown.clone(), dropped.clone());
            start(Some(number), &ends, move || {
                run(number, shared, listeners, arrivals, &shutdown, &dropped)
            })?;
        }
        let mut running = count;
        if let Some(settings) = shared.settings.streams.clone() {
            let (shared, ports) = (shared.clone(), self.ports);
            let (shutdown, dropped) = (shutdown.clone(), dropped.clone());
            start(None, &ends, move || {
                hold_ports(&shared, &settings, spread, &ports, &shutdown, &dropped)
            })?;
            running += 1;
        } else {
            drop(spread);
        }
        drop(ends);
        let reconciler = shared.exchanges.clone().reconcile(&shared);
        tokio::pin!(reconciler);
        let mut draining = std::pin::pin!(async {
            shutdown.cancelled().await;
            shared.is_draining.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        });
        for _ in 0..running {
            let (number, result) = tokio::select! {
                end = ended.recv() => end.unwrap_or((None, Some(Ok(())))),
                () = &mut reconciler => return Ok(()),
                () = &mut draining => return Ok(()),
            };
            let reason = match result {
                Some(Ok(())) if shutdown.is_cancelled() => continue,
                Some(Ok(())) => "it stopped".to_owned(),
                Some(Err(error)) => error,
                None => "it panicked".to_owned(),
            };
            return Err(match number {
                Some(number) => ServeError::ThreadEnded { number, reason },
                None => ServeError::PortsEnded { reason },
            });
        }
        Ok(())
    }
}

/// A thread with a number, or the one without that holds the ports.
fn start(
    number: Option<usize>,
    ends: &mpsc::Sender<Ended>,
    work: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> Result<(), ServeError> {
    let end = End {
        number,
        result: None,
        ends: ends.clone(),
    };
    let name = number.map_or("ports".to_owned(), |number| format!("data-{number}"));
    let started = thread::Builder::new().name(name).spawn(move || {
        // All of it, not only its result: it is dropped with the thread.
        let mut end = end;
        end.result = Some(work().map_err(|error| error.to_string()));
    });
    let failed = |error: std::io::Error| match number {
        Some(number) => ServeError::NoThread { number, error },
        None => ServeError::PortsEnded {
            reason: error.to_string(),
        },
    };
    started.map(drop).map_err(failed)
}

/// Which thread, and what it said; nothing if it panicked.
type Ended = (Option<usize>, Option<Result<(), String>>);

/// Tells how a thread ended, also when it panicked.
struct End {
    number: Option<usize>,
    result: Option<Result<(), String>>,
    ends: mpsc::Sender<Ended>,
}

impl Drop for End {
    fn drop(&mut self) {
        // There is room for all threads.
        let _ = self.ends.try_send((self.number, self.result.take()));
    }
}
