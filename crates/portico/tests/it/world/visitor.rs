//! Somebody who comes to the gateway with one credential, by program.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};

use super::{
    Place, Socket, World,
    place::{self, Body, GATEWAY},
    tasks::code_of,
};

/// Cloning gives the same person once more.
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(crate) place: Arc<Place>,
    pub(crate) headers: Vec<(String, String)>,
    /// True for those who look at health and metrics instead.
    pub(crate) is_operator: bool,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of a refusal for programs; empty for anything else.
    pub(crate) fn code(&self) -> String {
        code_of(&self.body)
    }

    /// Status and code.
    pub(crate) fn verdict(&self) -> (u16, String) {
        (self.status, self.code())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// An answer that goes on and on.
pub(crate) struct Events(Incoming);

impl Events {
    /// The next piece; `None` at the end, whether clean or not.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let frame = self.0.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                return Some(data);
            }
        }
    }

    /// Waits for its end.
    pub(crate) async fn end_within(&mut self, limit: Duration) {
        let end = async { while self.next().await.is_some() {} };
        super::waiting::comes(limit, "the end of the events", end).await;
    }
}

impl World {
    /// Nobody knows who it is.
    pub(crate) fn stranger(&self) -> Visitor {
        Visitor {
            place: self.place.clone(),
            headers: Vec::new(),
            is_operator: false,
        }
    }

    /// Looks at health and metrics.
    pub(crate) fn operator(&self) -> Visitor {
        Visitor {
            is_operator: true,
            ..self.stranger()
        }
    }

    /// Logs in through the pages and comes back with the session's cookie.
    pub(crate) async fn by_session(&self, user: &str) -> Visitor {
        let mut browser = self.browser();
        browser.log_in(user).await;
        browser.visitor()
    }

    /// Comes with the cookie of a log-in in ClearML.
    pub(crate) fn by_clearml_cookie(&self, user: &str) -> Visitor {
        let token = self.emulator.token(user).unwrap();
        self.stranger().by_cookie(&format!("clearml_token_basic={token}"))
    }

    /// `curl -u key:secret`.
    pub(crate) fn by_basic(&self, user: &str) -> Visitor {
        use base64::Engine as _;
        let key = self.emulator.actor(user).unwrap().key.clone().expect("has a key");
        let pair = format!("{}:{}", key.access_key, key.secret_key);
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        self.stranger().with("authorization", &format!("Basic {pair}"))
    }

    pub(crate) fn by_bearer(&self, user: &str) -> Visitor {
        let token = self.emulator.token(user).unwrap();
        self.stranger().with("authorization", &format!("Bearer {token}"))
    }
}

impl Visitor {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A cookie, from a page of the gateway's own origin.
    pub(crate) fn by_cookie(self, cookie: &str) -> Self {
        self.with("cookie", cookie).with("origin", GATEWAY)
    }

    fn address(&self) -> std::net::SocketAddr {
        if self.is_operator {
            self.place.operations()
        } else {
            self.place.http()
        }
    }

    fn head(&self, method: Method, path: &str) -> http::request::Builder {
        let mut request = Request::builder().method(method).uri(path);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            request = request.header("host", "gateway.test");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }

    /// One request, whatever comes of it.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &str) -> std::io::Result<Answer> {
        let body = Full::new(Bytes::from(body.to_owned())).boxed_unsync();
        let response = place::send(self.address(), self.head(method, path).body(body).unwrap()).await?;
        let (status, headers, body) = place::read(response).await?;
        Ok(Answer { status, headers, body })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, "").await.unwrap()
    }

    /// `None` if the exchange is cut on its way, because its task has just ended.
    pub(crate) async fn tries(&self, path: &str) -> Option<Answer> {
        self.ask(Method::GET, path, "").await.ok()
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask(Method::POST, path, body).await.unwrap()
    }

    /// Types the address into a browser.
    pub(crate) async fn opens(&self, path: &str) -> Answer {
        self.clone().with("accept", "text/html").get(path).await
    }

    /// Sends a body piece by piece.
    pub(crate) async fn uploads(
        &self,
        path: &str,
        pieces: impl Stream<Item = Bytes> + Send + 'static,
    ) -> std::io::Result<http::Response<Incoming>> {
        use futures_util::StreamExt as _;
        let body: Body = StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))).boxed_unsync();
        place::send(self.address(), self.head(Method::POST, path).body(body).unwrap()).await
    }

    /// An answer whose body is read by the caller.
    pub(crate) async fn streams(&self, path: &str) -> (u16, Events) {
        let request = self
            .head(Method::GET, path)
            .body(Full::default().boxed_unsync())
            .unwrap();
        let response = place::send(self.address(), request).await.unwrap();
        (response.status().as_u16(), Events(response.into_body()))
    }

    /// Server-sent events, of which one has arrived.
    pub(crate) async fn listens(&self, path: &str) -> Events {
        let (status, mut events) = self.streams(path).await;
        assert_eq!(status, 200, "{path}");
        assert!(events.next().await.is_some());
        events
    }

    /// A WebSocket, or the status of the refusal.
    pub(crate) async fn connects(&self, path: &str) -> Result<Socket, u16> {
        Socket::open(self.address(), self.head(Method::GET, path)).await
    }
}
