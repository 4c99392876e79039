//! A client that sends exactly the bytes it is given.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    /// The values of a header, joined by `|`.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect();
        (!values.is_empty()).then(|| values.join("|"))
    }

    /// The code of a refusal in JSON.
    pub(crate) fn code(&self) -> String {
        let rest = self.body.split_once("\"code\":\"").map_or("", |(_, rest)| rest);
        rest.split('"').next().unwrap_or_default().to_owned()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) fn on(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // Whoever is not listened to sees that when it looks for the answer.
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// More bytes; false at the end of the connection.
    async fn fill(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
        read.expect("the gateway says nothing").is_ok_and(|count| count > 0)
    }

    /// The next answer's head, through its empty line.
    pub(crate) async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return Some(String::from_utf8_lossy(&head).into_owned());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// At least this many bytes of what follows, and all that are there.
    pub(crate) async fn some(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count && self.fill().await {}
        std::mem::take(&mut self.buffer)
    }

    /// Everything to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.buffer)
    }

    pub(crate) async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("an answer")
    }

    /// The next answer with its body; `None` if the connection ends before its head.
    pub(crate) async fn try_reply(&mut self) -> Option<Reply> {
        let head = loop {
            let head = self.head().await?;
            if !head.starts_with("HTTP/1.1 100") {
                break head;
            }
        };
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Reply {
            status,
            head,
            body: String::new(),
        };
        let body = if reply.header("transfer-encoding").is_some() {
            self.chunked().await
        } else if let Some(length) = reply.header("content-length") {
            let length = length.parse().unwrap();
            while self.buffer.len() < length && self.fill().await {}
            let length = length.min(self.buffer.len());
            self.buffer.drain(..length).collect()
        } else if matches!(status, 101 | 204 | 304) {
            Vec::new()
        } else {
            self.rest().await
        };
        reply.body = String::from_utf8_lossy(&body).into_owned();
        Some(reply)
    }

    async fn chunked(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let Some(end) = find(&self.buffer, b"\r\n") else {
                assert!(self.fill().await, "a chunked body ends before its end");
                continue;
            };
            let size = std::str::from_utf8(&self.buffer[..end]).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            while self.buffer.len() < end + 2 + size + 2 {
                assert!(self.fill().await, "a chunked body ends before its end");
            }
            body.extend(self.buffer.drain(..end + 2 + size + 2).skip(end + 2).take(size));
            if size == 0 {
                return body;
            }
        }
    }
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
