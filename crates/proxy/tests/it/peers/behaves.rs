//! Applications that behave.

use std::{fmt::Write as _, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::{Peer, Seen};
use crate::raw::find;

/// Reads one request's head; `None` at the end of the connection.
pub(crate) async fn head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            let head: Vec<u8> = buffer.drain(..end + 4).collect();
            return Some(String::from_utf8_lossy(&head).into_owned());
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn field(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim().to_owned())
}

/// Reads a request's body.
pub(crate) async fn body(stream: &mut TcpStream, buffer: &mut Vec<u8>, head: &str) -> Option<Vec<u8>> {
    if field(head, "transfer-encoding").is_some() {
        loop {
            let last = if buffer.starts_with(b"0\r\n") {
                Some(0)
            } else {
                find(buffer, b"\r\n0\r\n").map(|at| at + 2)
            };
            if let Some(end) = last.and_then(|last| Some(last + find(buffer.get(last..)?, b"\r\n\r\n")? + 4)) {
                return Some(buffer.drain(..end).collect());
            }
            if stream.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        }
    }
    let length = field(head, "content-length").map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some(buffer.drain(..length).collect())
}

/// Answers each request with what `answer` says of its head.
pub(crate) async fn answers(answer: impl Fn(&str) -> Vec<u8> + Clone + Send + Sync + 'static) -> Peer {
    Peer::start(move |stream, seen| answering(stream, seen, answer.clone())).await
}

pub(crate) async fn answering(mut stream: TcpStream, seen: Seen, answer: impl Fn(&str) -> Vec<u8>) {
    let mut buffer = Vec::new();
    while let Some(head) = head(&mut stream, &mut buffer).await {
        seen.add(head.clone());
        let Some(body) = body(&mut stream, &mut buffer, &head).await else {
            return;
        };
        let request = format!("{head}{}", String::from_utf8_lossy(&body));
        if stream.write_all(&answer(&request)).await.is_err() {
            return;
        }
    }
}

/// Answers with these headers (each line with its CRLF) and `ok`.
pub(crate) async fn says(headers: &'static str) -> Peer {
    answers(move |_| ok(headers, "ok")).await
}

pub(crate) fn ok(headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Answers with the raw request that arrived.
pub(crate) async fn echoes() -> Peer {
    answers(|head| ok("Content-Type: text/plain\r\n", head)).await
}

/// Sends an event, and another one each time that something is sent through `next`.
pub(crate) async fn sends_events(next: tokio::sync::broadcast::Sender<String>) -> Peer {
    Peer::start(move |mut stream, seen| {
        let mut events = next.subscribe();
        async move {
            let Some(head) = head(&mut stream, &mut Vec::new()).await else {
                return;
            };
            seen.add(head);
            let start = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(start.as_bytes()).await.unwrap();
            let mut gone = [0; 1];
            loop {
                tokio::select! {
                    event = events.recv() => {
                        let Ok(event) = event else { return };
                        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                        if stream.write_all(chunk.as_bytes()).await.is_err() { return }
                    }
                    _ = stream.read(&mut gone) => return,
                }
            }
        }
    })
    .await
}

/// A WebSocket that sends every message back. Shows the handshake's head as its first message.
pub(crate) async fn chats() -> Peer {
    Peer::start(|stream, seen| async move {
        let mut shown = String::new();
        #[expect(clippy::result_large_err, reason = "the library's signature")]
        let callback = |request: &Request, response: Response| {
            for (name, value) in request.headers() {
                let _ = writeln!(shown, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
            }
            seen.add(shown.clone());
            Ok(response)
        };
        let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, callback).await else {
            return;
        };
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// Sends `count` bytes as fast as they are taken.
pub(crate) async fn sends_bytes(count: usize) -> Peer {
    Peer::start(move |mut stream, seen| async move {
        let Some(head) = head(&mut stream, &mut Vec::new()).await else {
            return;
        };
        seen.add(head);
        let start = format!("HTTP/1.1 200 OK\r\nContent-Length: {count}\r\n\r\n");
        stream.write_all(start.as_bytes()).await.unwrap();
        let block = vec![b'x'; 64 * 1024];
        let mut left = count;
        while left > 0 {
            let now = left.min(block.len());
            if stream.write_all(&block[..now]).await.is_err() {
                return;
            }
            left -= now;
        }
    })
    .await
}

/// Counts the bytes of an upload and tells them.
pub(crate) async fn counts_bytes() -> Peer {
    Peer::start(|mut stream, seen| async move {
        let mut buffer = Vec::new();
        let Some(head) = head(&mut stream, &mut buffer).await else {
            return;
        };
        let length: usize = field(&head, "content-length").unwrap().parse().unwrap();
        seen.add(head);
        let mut count = buffer.len();
        let mut block = vec![0; 64 * 1024];
        while count < length {
            match stream.read(&mut block).await {
                Ok(0) | Err(_) => return,
                Ok(read) => count += read,
            }
        }
        let _ = stream.write_all(&ok("", &count.to_string())).await;
    })
    .await
}

/// Answers after a while.
pub(crate) async fn takes_its_time(time: Duration) -> Peer {
    Peer::start(move |mut stream, seen| async move {
        let mut buffer = Vec::new();
        while let Some(head) = head(&mut stream, &mut buffer).await {
            seen.add(head);
            let mut gone = [0; 1];
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                _ = stream.read(&mut gone) => return,
            }
            if stream.write_all(&ok("", "late")).await.is_err() {
                return;
            }
        }
    })
    .await
}
