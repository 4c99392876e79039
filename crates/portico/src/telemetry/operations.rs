//! The listener for those who operate the gateway: `/healthz`, `/readyz`, `/metrics`. Without log-in; keep it inside.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{metrics::Metrics, readiness::Readiness};

/// Connections at one time. Probes and scrapers are few; whoever holds more open is none of them.
const CONNECTIONS: usize = 64;
/// A client that sends nothing for this long is closed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The listeners, open but not served yet.
#[derive(Debug)]
pub struct Operations {
    listeners: Vec<TcpListener>,
}

impl Operations {
    /// Opens the listeners.
    ///
    /// # Errors
    /// An address cannot be listened on; the text names it.
    pub async fn bind(addresses: &[SocketAddr]) -> io::Result<Self> {
        let mut listeners = Vec::new();
        for address in addresses {
            let named = |error: io::Error| {
                io::Error::new(
                    error.kind(),
                    format!("operations.listen: cannot listen on {address}: {error}"),
                )
            };
            listeners.push(TcpListener::bind(address).await.map_err(named)?);
        }
        Ok(Self { listeners })
    }

    /// Where it listens, with the ports that were chosen.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect()
    }

    /// Serves until the end.
    pub async fn run(self, metrics: Arc<Metrics>, readiness: Readiness, shutdown: CancellationToken) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let mut accepting = JoinSet::new();
        for listener in self.listeners {
            let (metrics, readiness, permits) = (metrics.clone(), readiness.clone(), permits.clone());
            accepting.spawn(accept(listener, metrics, readiness, permits));
        }
        shutdown.cancelled().await;
    }
}

async fn accept(listener: TcpListener, metrics: Arc<Metrics>, readiness: Readiness, permits: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: it passes.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (metrics, readiness) = (metrics.clone(), readiness.clone());
        connections.spawn(async move {
            let answer = service_fn(move |request| {
                let response = respond(&request, &metrics, &readiness);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), answer);
            // A client that breaks off is nothing to report.
            let _ = connection.await;
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }
}

fn respond<B>(request: &Request<B>, metrics: &Metrics, readiness: &Readiness) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".into());
    }
    match request.uri().path() {
        "/healthz" => answer(StatusCode::OK, TEXT, "ok\n".into()),
        "/readyz" => match &readiness.awaited()[..] {
            [] => answer(StatusCode::OK, TEXT, "ready\n".into()),
            awaited => {
                let text = format!("not ready, waiting for: {}\n", awaited.join(", "));
                answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
            }
        },
        "/metrics" => answer(StatusCode::OK, METRICS, metrics.text()),
        _ => answer(StatusCode::NOT_FOUND, TEXT, "/healthz, /readyz, /metrics\n".into()),
    }
}

fn answer(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::telemetry::metrics::Readings;

    async fn get(address: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connect");
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("send");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an answer");
        let status = text
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .expect("a status");
        let body = text.split_once("\r\n\r\n").expect("a body").1.to_owned();
        (status, body)
    }

    #[tokio::test]
    async fn health_readiness_and_metrics_are_served_until_the_end() {
        let operations = Operations::bind(&["127.0.0.1:0".parse().expect("an address")])
            .await
            .expect("bound");
        let address = operations.addresses()[0];
        let readiness = Readiness::default();
        let metrics = Arc::new(Metrics::new(1, Readings::default));
        let end = CancellationToken::new();
        let run = operations.run(metrics, readiness.clone(), end.clone());
        let look = async {
            assert_eq!(get(address, "/healthz").await, (200, "ok\n".into()));
            let wait = readiness.awaits("the first answer of ClearML");
            let told = (503, "not ready, waiting for: the first answer of ClearML\n".into());
            assert_eq!(get(address, "/readyz").await, told);
            drop(wait);
            assert_eq!(get(address, "/readyz").await, (200, "ready\n".into()));
            let (status, metrics) = get(address, "/metrics").await;
            assert!(status == 200 && metrics.ends_with("# EOF\n"), "{metrics}");
            assert_eq!(get(address, "/").await.0, 404);
            end.cancel();
        };
        tokio::join!(run, look);
        assert!(
            tokio::net::TcpStream::connect(address).await.is_err(),
            "the listener is closed"
        );
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = taken.local_addr().expect("an address");
        let error = Operations::bind(&[address]).await.expect_err("it is taken").to_string();
        assert!(
            error.contains(&format!("operations.listen: cannot listen on {address}")),
            "{error}"
        );
    }
}
