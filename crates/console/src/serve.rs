//! The console's own listener.

mod limit;

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{self, HeaderMap},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use portico_auth::{
    client_address::{client_address, is_trusted},
    random,
};
use portico_core::{page::Context, refusal::Refusal};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    respond,
    state::{State, Visitor},
};
use limit::Limit;

/// Connections at once; further ones wait to be accepted.
const CONNECTIONS: usize = 1024;
/// Connections at once from one address that is no trusted proxy.
const CONNECTIONS_OF_ONE: usize = 64;
/// Request heads are read in this time, also the next one on a connection that is kept.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Request heads are no longer than this, in bytes.
const HEAD_MAX: usize = 64 * 1024;
/// A page is made in this time, its form read included.
const PAGE_TIME: Duration = Duration::from_secs(30);
/// No connection lasts longer; an answer that nobody reads ends here.
const CONNECTION_TIME: Duration = Duration::from_mins(10);
/// After the stop, answers that are under way get this long.
const GRACE: Duration = Duration::from_secs(5);
/// After a failure to accept (no file handles left) one waits this long.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the pages of [`crate::console`] until `stop`. Behind `trusted_proxies`, visitors' addresses are read from
/// `X-Forwarded-For`.
pub async fn serve(
    listener: TcpListener,
    state: State,
    trusted_proxies: Vec<IpNet>,
    stop: CancellationToken,
) -> io::Result<()> {
    let house = Arc::new(House {
        pages: crate::console(state),
        trusted_proxies,
        stop: stop.clone(),
    });
    let limit = Limit::new(CONNECTIONS_OF_ONE);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = open.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "a connection to the console broke off");
            },
            accepted = listener.accept(), if open.len() < CONNECTIONS => match accepted {
                Ok((socket, peer)) => {
                    let is_counted = !is_trusted(peer.ip(), &house.trusted_proxies);
                    // Whoever has too many already gets no answer: that would cost as much as a page.
                    let Some(place) = limit.take(peer.ip(), is_counted) else { continue };
                    let house = house.clone();
                    open.spawn(async move {
                        house.connection(socket, peer).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the console cannot accept connections");
                    sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = timeout(GRACE, async { while open.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::debug!(connections = open.len(), "connections to the console are cut");
    }
    Ok(())
}

/// What connections share.
struct House {
    pages: Router,
    trusted_proxies: Vec<IpNet>,
    stop: CancellationToken,
}

impl House {
    async fn connection(self: Arc<Self>, socket: TcpStream, peer: SocketAddr) {
        // Pages are small: what waits for more to send only waits.
        let _ = socket.set_nodelay(true);
        let stop = self.stop.clone();
        let service = service_fn(move |request| {
            let house = self.clone();
            async move { house.answer(request, peer).await }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(socket), service);
        let mut connection = pin!(connection);
        let ended = timeout(CONNECTION_TIME, async {
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        });
        if let Ok(Err(error)) = ended.await {
            tracing::debug!(%error, "a connection to the console ended early");
        }
    }

    async fn answer(
        &self,
        request: http::Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<http::Response<Body>, Infallible> {
        let mut request = request.map(Body::new);
        let visitor = Visitor {
            address: client_address(peer.ip(), request.headers(), &self.trusted_proxies),
            request_id: random::token(),
        };
        let context = Context {
            request_id: visitor.request_id.clone(),
            ..Context::default()
        };
        request.extensions_mut().insert(visitor);
        match timeout(PAGE_TIME, self.pages.clone().oneshot(request)).await {
            Ok(answer) => answer,
            Err(_) => Ok(respond::refusal(&Refusal::Overloaded, &HeaderMap::new(), &context)),
        }
    }
}
