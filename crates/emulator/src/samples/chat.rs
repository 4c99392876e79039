//! A chat by WebSocket: what one writes, all read.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{body::Incoming, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{Stage, last_segment, page};
use crate::server::answer::{self, Body};

/// The longest message that is taken.
const MESSAGE_BYTES: usize = 64 * 1024;

/// Everybody who is connected.
pub(super) struct Room {
    lines: broadcast::Sender<String>,
    visitors: AtomicU64,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            lines: broadcast::Sender::new(64),
            visitors: AtomicU64::new(0),
        }
    }
}

/// Answers the page, and on `ws` the socket.
pub(super) fn answer(room: &std::sync::Arc<Room>, stage: &Stage, mut request: Request<Incoming>) -> Response<Body> {
    match last_segment(&request) {
        "ws" => {}
        "" => return page::page("A chat", include_str!("pages/chat.html")),
        _ => return page::nothing_here(),
    }
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned() else {
        return answer::typed(
            426,
            "text/plain; charset=utf-8",
            "a WebSocket is spoken here".to_owned(),
        );
    };
    let (upgrade, room) = (hyper::upgrade::on(&mut request), std::sync::Arc::clone(room));
    stage
        .tasks
        .spawn(stage.stop.clone().run_until_cancelled_owned(async move {
            // A client that does not finish its upgrade has gone away.
            if let Ok(upgraded) = upgrade.await {
                let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES));
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
                room.host(socket).await;
            }
        }));
    let mut response = answer::typed(101, "text/plain", String::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.clear();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

impl Room {
    async fn host(&self, mut socket: WebSocketStream<TokioIo<Upgraded>>) {
        let name = format!("visitor {}", self.visitors.fetch_add(1, Ordering::Relaxed) + 1);
        let mut lines = self.lines.subscribe();
        self.say(&json!({"info": format!("{name} came in"), "present": self.lines.receiver_count()}));
        loop {
            tokio::select! {
                heard = socket.next() => match heard {
                    Some(Ok(Message::Text(text))) => self.say(&json!({"from": name, "text": text.as_str()})),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                    // Pings are answered by the library; other messages are no chat.
                    Some(Ok(_)) => {}
                },
                line = lines.recv() => match line {
                    Ok(line) => if socket.send(Message::text(line)).await.is_err() { break },
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => break,
                },
            }
        }
        drop(lines);
        self.say(&json!({"info": format!("{name} left"), "present": self.lines.receiver_count()}));
    }

    fn say(&self, line: &Value) {
        // An empty room is no failure.
        let _ = self.lines.send(line.to_string());
    }
}
