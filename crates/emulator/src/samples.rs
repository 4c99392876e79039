//! Small workloads to look at through a gateway: what arrived, a chat by WebSocket, a clock by server-sent events, an upload, and lines
//! over TCP.
//!
//! Each listens for itself. Those that speak HTTP use relative URLs only, and looks at nothing but the last segment of a path. So it works behind a gateway
//! that cuts its prefix off as well as behind one that keeps it.

mod arrived;
mod chat;
mod clock;
mod lines;
mod page;
mod upload;

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::server::answer::Body;

/// A workload that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Short name, fit for a task's name and for an endpoint's.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
}

/// The running workloads; dropping them stops them.
pub struct Samples {
    list: Vec<Sample>,
    streams: Vec<Sample>,
    stage: Stage,
}

impl Samples {
    /// The workloads, in the order in which they are best looked at.
    pub fn list(&self) -> &[Sample] {
        &self.list
    }

    /// Those that speak no HTTP but bare TCP.
    pub fn streams(&self) -> &[Sample] {
        &self.streams
    }

    /// Stops all of them and waits for their connections to end.
    pub async fn stop(self) {
        self.stage.stop.cancel();
        self.stage.tasks.close();
        self.stage.tasks.wait().await;
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        self.stage.stop.cancel();
    }
}

/// What all connections of the samples share: who waits for them and who ends them.
#[derive(Clone, Default)]
struct Stage {
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Starts each workload on a free port of `host`.
///
/// # Errors
/// If a port cannot be bound.
pub async fn start(host: IpAddr) -> io::Result<Samples> {
    let stage = Stage::default();
    let (room, meter) = (Arc::new(chat::Room::default()), Arc::new(upload::Meter::default()));
    let chat_stage = stage.clone();
    let list = vec![
        Sample {
            name: "arrived",
            summary: "shows the request as it arrived",
            address: stage
                .open(host, |request, peer| async move { arrived::answer(&request, peer) })
                .await?,
        },
        Sample {
            name: "chat",
            summary: "a chat by WebSocket",
            address: stage
                .open(host, move |request, _| {
                    let (room, stage) = (Arc::clone(&room), chat_stage.clone());
                    async move { chat::answer(&room, &stage, request) }
                })
                .await?,
        },
        Sample {
            name: "clock",
            summary: "a clock by server-sent events",
            address: stage
                .open(host, |request, _| async move { clock::answer(&request) })
                .await?,
        },
        Sample {
            name: "upload",
            summary: "counts the bytes of an upload while they arrive",
            address: stage
                .open(host, move |request, _| {
                    let meter = Arc::clone(&meter);
                    async move { upload::answer(&meter, request).await }
                })
                .await?,
        },
    ];
    let streams = vec![Sample {
        name: "lines",
        summary: "answers lines over TCP",
        address: stage.open_stream(host).await?,
    }];
    Ok(Samples { list, streams, stage })
}

impl Stage {
    /// Listens on a free port and answers with `answer` until the stage closes.
    async fn open<F, A>(&self, host: IpAddr, answer: F) -> io::Result<SocketAddr>
    where
        F: Fn(Request<Incoming>, SocketAddr) -> A + Clone + Send + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind((host, 0)).await?;
        let address = listener.local_addr()?;
        let stage = self.clone();
        self.tasks
            .spawn(self.stop.clone().run_until_cancelled_owned(async move {
                loop {
                    let Ok((stream, peer)) = listener.accept().await else {
                        continue;
                    };
                    let answer = answer.clone();
                    let service = service_fn(move |request| {
                        let answer = answer(request, peer);
                        async move { Ok::<_, Infallible>(answer.await) }
                    });
                    let connection = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades();
                    stage
                        .tasks
                        .spawn(stage.stop.clone().run_until_cancelled_owned(connection));
                }
            }));
        Ok(address)
    }
}

impl Stage {
    /// Listens on a free port for conversations over TCP until the stage closes.
    async fn open_stream(&self, host: IpAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind((host, 0)).await?;
        let address = listener.local_addr()?;
        let stage = self.clone();
        self.tasks
            .spawn(self.stop.clone().run_until_cancelled_owned(async move {
                loop {
                    if let Ok((stream, _)) = listener.accept().await {
                        let conversation = lines::converse(stream);
                        stage
                            .tasks
                            .spawn(stage.stop.clone().run_until_cancelled_owned(conversation));
                    }
                }
            }));
        Ok(address)
    }
}

/// The last segment of a request's path: all that the samples look at.
fn last_segment<B>(request: &Request<B>) -> &str {
    request.uri().path().rsplit('/').next().unwrap_or_default()
}
