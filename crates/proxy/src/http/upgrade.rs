//! From a request for a WebSocket to a tunnel. There is a tunnel only after the application has said 101.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::{
    HeaderMap, HeaderValue, Method, Response, Version,
    header::{CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
    request::Parts,
};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use portico_auth::credentials::SUB_PROTOCOL;
use portico_core::refusal::Refusal;
use tokio::{net::TcpStream, time::timeout};

use super::{
    headers::hop::{has_token, tokens},
    log::Log,
};
use crate::{
    connection::Socket,
    exchanges::Exchange,
    record::Kind,
    thread::DataThread,
    tunnel::{self, End},
};

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
/// How long writing our 101 may take.
const SWITCH: Duration = Duration::from_secs(10);

/// True if WebSocket is asked for. Other protocols are not: `h2c`, for one, would carry requests that nobody decides about.
pub(super) fn is_websocket(parts: &Parts) -> bool {
    parts.method == Method::GET
        && parts.version == Version::HTTP_11
        && has_token(&parts.headers, UPGRADE, "websocket")
        && parts.headers.contains_key("sec-websocket-key")
}

/// Asks the application, whatever else the visitor would have liked.
pub(super) fn ask(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
}

/// The sub-protocol by which the visitor brought a credential for us.
pub(super) fn our_sub_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().flat_map(tokens);
    let ours = offered.find(|offer| offer.starts_with(SUB_PROTOCOL))?;
    HeaderValue::from_str(ours).ok()
}

/// Tells the visitor. A browser that offers sub-protocols gives up unless one is chosen; if the application, which never saw ours,
/// chose none, it is ours.
pub(super) fn confirm(headers: &mut HeaderMap, ours: Option<HeaderValue>) {
    ask(headers);
    if let Some(ours) = ours {
        headers.entry(SEC_WEBSOCKET_PROTOCOL).or_insert(ours);
    }
}

/// A tunnel that begins once our 101 has been written.
pub(super) struct Tunnel {
    client: OnUpgrade,
    upstream: Upgraded,
    exchange: Arc<Exchange>,
}

/// Takes the application's side of a switch, if the 101 says what was asked.
pub(super) async fn switch(
    response: &mut Response<Incoming>,
    client: OnUpgrade,
    exchange: &Arc<Exchange>,
) -> Result<Tunnel, Refusal> {
    let headers = response.headers();
    if !has_token(headers, UPGRADE, "websocket") || !has_token(headers, CONNECTION, "upgrade") {
        return Err(Refusal::UpgradeFailed);
    }
    let upstream = hyper::upgrade::on(response).await.map_err(|_| Refusal::UpgradeFailed)?;
    exchange.becomes(Kind::WebSocket);
    Ok(Tunnel {
        client,
        upstream,
        exchange: exchange.clone(),
    })
}

impl Tunnel {
    /// Runs on its own from here on, and takes the record with it.
    pub(super) fn start(self, thread: &Rc<DataThread>, mut log: Log) {
        log.kind = Kind::WebSocket;
        let thread = thread.clone();
        thread.clone().tunnels.spawn_local(async move {
            thread.counts().tunnels.fetch_add(1, Ordering::Relaxed);
            carry(self, log).await;
            thread.counts().tunnels.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn carry(tunnel: Tunnel, mut log: Log) {
    let Ok(Ok(client)) = timeout(SWITCH, tunnel.client).await else {
        return;
    };
    let (Ok(client), Ok(upstream)) = (
        client.downcast::<TokioIo<Socket>>(),
        tunnel.upstream.downcast::<TokioIo<TcpStream>>(),
    ) else {
        tracing::error!("an upgraded connection is not the socket that it was made of");
        return;
    };
    let (mut socket, mut application) = (client.io.into_inner(), upstream.io.into_inner());
    let client = End {
        socket: &mut socket.stream,
        early: client.read_buf,
    };
    let upstream = End {
        socket: &mut application,
        early: upstream.read_buf,
    };
    log.is_complete = tunnel::run(client, upstream, &tunnel.exchange).await;
}
