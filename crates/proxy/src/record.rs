//! What is recorded of each exchange: one record when it is over, whatever became of it.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use http::{HeaderValue, Method, StatusCode};
use portico_core::{clock::Timestamp, endpoint::EndpointId, endpoint::TaskId, principal::UserId};

/// Characters of a path that are recorded.
const PATH_MAX: usize = 512;

/// Where records go. Never blocks: it is called by data threads.
pub trait Recorder: Send + Sync {
    /// Takes the record of an exchange that is over.
    fn record(&self, record: ExchangeRecord);
}

/// One exchange that is over. Holds neither query nor credentials.
#[derive(Clone, Debug)]
pub struct ExchangeRecord {
    /// When it began.
    pub time: Timestamp,
    /// Its id, which the visitor and the application were told.
    pub request_id: RequestId,
    /// The request's method; a stream has none.
    pub method: Option<Method>,
    /// The request's path without its query; at most 512 characters, control characters escaped. Of a stream the public port:
    /// `:30001`.
    pub path: String,
    /// What kind of exchange it was.
    pub kind: Kind,
    /// The endpoint, if the visitor was let through to one.
    pub endpoint: Option<RecordedEndpoint>,
    /// The visitor, if known.
    pub principal: Option<UserId>,
    /// The answer's status; `None` if the visitor went before there was one.
    pub status: Option<StatusCode>,
    /// The refusal's code, if the answer was ours in place of the application's.
    pub refusal: Option<&'static str>,
    /// Why the exchange was cut, if it was.
    pub cut: Option<&'static str>,
    /// True if the answer's body or the tunnel came to its regular end.
    pub is_complete: bool,
    /// Body bytes from the visitor.
    pub received: u64,
    /// Body bytes to the visitor.
    pub sent: u64,
    /// From the end of the request's headers to the end of the exchange.
    pub total: Duration,
    /// Until the answer's headers were there.
    pub first_byte: Option<Duration>,
    /// How long connecting to the application took; `None` if a connection was at hand.
    pub connect: Option<Duration>,
    /// The visitor's address.
    pub client: IpAddr,
    /// The data thread's number.
    pub thread: usize,
}

/// The endpoint of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEndpoint {
    /// Its short identity.
    pub id: EndpointId,
    /// Its task.
    pub task: TaskId,
    /// Its public prefix.
    pub prefix: Arc<str>,
}

/// What kind of exchange it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// A request with its answer.
    #[default]
    Http,
    /// An answer of server-sent events.
    Events,
    /// A WebSocket.
    WebSocket,
    /// A stream: a TCP connection to an endpoint with a port of its own.
    Tcp,
    /// A page of Portico itself.
    Page,
}

impl Kind {
    /// The stable word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Events => "events",
            Self::WebSocket => "websocket",
            Self::Tcp => "tcp",
            Self::Page => "page",
        }
    }
}

/// Identifies one request: 32 hex digits. The application and the visitor are told it in `X-Request-Id`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// An id with this value.
    pub const fn new(value: u128) -> Self {
        Self(value)
    }

    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_bytes(&self.hex()).unwrap_or(HeaderValue::from_static("invalid"))
    }

    /// Written out by hand, since it is done for every request.
    fn hex(self) -> [u8; 32] {
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
        }
        text
    }
}

fn digit(half: u8) -> u8 {
    if half < 10 { b'0' + half } else { b'a' + half - 10 }
}

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(std::str::from_utf8(&self.hex()).unwrap_or_default())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Makes request ids for one thread: a counter, spread by a keyed hash, so that ids are told apart across threads and restarts and
/// say nothing about how many there were.
#[derive(Debug, Default)]
pub(crate) struct RequestIds {
    keys: [RandomState; 2],
    count: u64,
}

impl RequestIds {
    pub(crate) fn next(&mut self) -> RequestId {
        self.count += 1;
        let [high, low] = self.keys.each_ref().map(|key| u128::from(key.hash_one(self.count)));
        RequestId(high << 64 | low)
    }
}

/// A path fit for a log: bounded, and nothing in it can end a line or write to a terminal.
pub(crate) fn recorded_path(path: &str) -> String {
    // Nearly all are; it is done for every request.
    if path.len() <= PATH_MAX && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return path.to_owned();
    }
    let mut recorded = String::with_capacity(path.len().min(PATH_MAX));
    for letter in path.chars().take(PATH_MAX) {
        if letter.is_control() {
            recorded.extend(letter.escape_default());
        } else {
            recorded.push(letter);
        }
    }
    recorded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        let mut ids = RequestIds::default();
        let (one, two) = (ids.next(), ids.next());
        assert_ne!(one, two);
        assert_eq!(
            RequestId::new(0x0123_4567_89ab_cdef).to_string(),
            "00000000000000000123456789abcdef"
        );
    }

    #[test]
    fn recorded_paths_are_bounded_and_harmless() {
        assert_eq!(recorded_path("/a\n\u{1b}[1m\u{85}"), "/a\\n\\u{1b}[1m\\u{85}");
        assert_eq!(recorded_path(&"/x".repeat(1000)).len(), PATH_MAX);
    }
}
