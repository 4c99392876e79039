//! Where the gateway is now, and one request to it.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// The gateway's URL, and the console's: names that no resolver is asked about.
pub(crate) const GATEWAY: &str = "http://gateway.test";
pub(crate) const CONSOLE: &str = "http://console.test";

pub(crate) type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// Which sockets stand behind the names. A gateway that starts again has others.
#[derive(Default)]
pub(crate) struct Place(Mutex<Option<[SocketAddr; 3]>>);

impl Place {
    pub(super) fn moves_to(&self, http: &[SocketAddr], console: &[SocketAddr], operations: &[SocketAddr]) {
        // A gateway without a console has one URL only.
        let [http, operations] = [http, operations].map(|addresses| *addresses.first().unwrap());
        let console = console.first().copied().unwrap_or(http);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some([http, console, operations]);
    }

    fn now(&self) -> [SocketAddr; 3] {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .expect("the gateway was started")
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.now()[0]
    }

    pub(crate) fn operations(&self) -> SocketAddr {
        self.now()[2]
    }

    /// The socket behind an origin.
    pub(crate) fn of(&self, origin: &str) -> SocketAddr {
        if origin == CONSOLE { self.now()[1] } else { self.http() }
    }
}

/// A connection that takes one request after the other.
pub(crate) async fn connect(address: SocketAddr) -> std::io::Result<http1::SendRequest<Body>> {
    let stream = TcpStream::connect(address).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    // Its failure shows at the request.
    tokio::spawn(connection);
    Ok(sender)
}

/// Longer than any answer in these tests takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends a request on a connection of its own.
pub(crate) async fn send(address: SocketAddr, request: Request<Body>) -> std::io::Result<Response<Incoming>> {
    let said = format!("{} {}", request.method(), request.uri());
    let answer = async {
        let mut sender = connect(address).await?;
        sender.send_request(request).await.map_err(std::io::Error::other)
    };
    timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|_| panic!("no answer within {PATIENCE:?}: {said}"))
}

/// All of a body.
pub(crate) async fn read(response: Response<Incoming>) -> std::io::Result<(u16, HeaderMap, Bytes)> {
    let (parts, body) = response.into_parts();
    let body = timeout(PATIENCE, body.collect())
        .await
        .unwrap_or_else(|_| panic!("no end of the body within {PATIENCE:?}: {parts:?}"));
    let body = body.map_err(std::io::Error::other)?;
    Ok((parts.status.as_u16(), parts.headers, body.to_bytes()))
}
