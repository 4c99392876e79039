//! An application as tasks run them.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

use super::place::Body;

/// Ends with the value.
pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    pub(crate) name: String,
    stage: Arc<Stage>,
    running: AbortHandle,
}

struct Stage {
    name: String,
    requests: AtomicUsize,
    heads: Mutex<VecDeque<String>>,
    released: Semaphore,
}

impl Application {
    pub(crate) async fn start(number: usize) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), number).await
    }

    pub(crate) async fn start_at(address: SocketAddr, number: usize) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stage = Arc::new(Stage {
            name: format!("application {number}"),
            requests: AtomicUsize::new(0),
            heads: Mutex::default(),
            released: Semaphore::new(0),
        });
        let running = tokio::spawn(serve(listener, stage.clone())).abort_handle();
        Self {
            address,
            name: stage.name.clone(),
            stage,
            running,
        }
    }

    /// How many requests arrived, those of the gateway's own among them.
    pub(crate) fn requests(&self) -> usize {
        self.stage.requests.load(Ordering::SeqCst)
    }

    /// The last requests' lines and headers.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.stage.heads.lock().unwrap().iter().cloned().collect()
    }

    /// Lets so many requests to `/held` go on.
    pub(crate) fn release(&self, count: usize) {
        self.stage.released.add_permits(count);
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn serve(listener: TcpListener, stage: Arc<Stage>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let stage = stage.clone();
        connections.spawn(async move {
            let answer = service_fn(move |request| {
                let stage = stage.clone();
                async move { Ok::<_, Infallible>(stage.answer(request).await) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            // A connection's failure is its client's business.
            let _ = connection.with_upgrades().await;
        });
    }
}

impl Stage {
    async fn answer(&self, mut request: Request<Incoming>) -> Response<Body> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        {
            let mut heads = self.heads.lock().unwrap();
            heads.push_back(format!(
                "{} {}\n{:?}",
                request.method(),
                request.uri(),
                request.headers()
            ));
            if heads.len() > 200 {
                heads.pop_front();
            }
        }
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/ws" => socket(&mut request),
            "/events" => events(),
            "/echo" => {
                let body = request.into_body();
                let frames = futures_util::stream::unfold(body, async |mut body| {
                    let frame = body.frame().await?.ok()?;
                    Some((Ok(frame), body))
                });
                Response::new(StreamBody::new(frames).boxed_unsync())
            }
            "/count" => {
                let mut body = request.into_body();
                let mut count = 0;
                while let Some(Ok(frame)) = body.frame().await {
                    count += frame.data_ref().map_or(0, Bytes::len);
                }
                text(&count.to_string())
            }
            "/held" => {
                self.released.acquire().await.unwrap().forget();
                text("released")
            }
            _ => match path.strip_prefix("/bytes/").and_then(|count| count.parse().ok()) {
                Some(count) => bytes(count),
                None => text(&format!("{} says hello", self.name)),
            },
        }
    }
}

fn text(text: &str) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())).boxed_unsync());
    let value = header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

/// So many bytes, a piece at a time.
fn bytes(count: usize) -> Response<Body> {
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    let frames = futures_util::stream::unfold(count, move |left| {
        let piece = piece.slice(..piece.len().min(left));
        async move { (left > 0).then(|| (Ok(Frame::data(piece.clone())), left - piece.len())) }
    });
    let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(frames)));
    response.headers_mut().insert(header::CONTENT_LENGTH, count.into());
    response
}

/// An event at once and one every 50 ms, without an end.
fn events() -> Response<Body> {
    let frames = futures_util::stream::unfold(0, async |count: u64| {
        if count > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some((Ok(Frame::data(Bytes::from(format!("data: {count}\n\n")))), count + 1))
    });
    let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(frames)));
    let value = header::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

/// Sends every message back.
fn socket(request: &mut Request<Incoming>) -> Response<Body> {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned() else {
        return text("a WebSocket is spoken here");
    };
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                return;
            }
        }
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()))
        .body(Full::default().boxed_unsync())
        .unwrap()
}
