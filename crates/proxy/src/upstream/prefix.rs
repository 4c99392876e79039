//! Whether an application wants its public prefix: two harmless requests decide, once it listens.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{ACCEPT, CONNECTION, HOST, LOCATION, USER_AGENT},
};
use http_body_util::Empty;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use portico_core::{endpoint::Prefix, refusal::Refusal, site::Origin};
use tokio::time::timeout;

use super::{
    Upstream,
    dial::{self, Undialed},
};
use crate::http::headers::location::Place;

/// After an attempt that found out nothing, the next one waits.
const RETRY: Duration = Duration::from_secs(10);

/// Who asks, and how.
pub(crate) struct Question<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) router: &'a Origin,
    pub(crate) connect: Duration,
    pub(crate) answer: Duration,
}

impl Upstream {
    /// What to do with the prefix; finds out if that is not known yet. An application that does not answer gets the request cut,
    /// and is asked again later.
    pub(crate) async fn find_prefix(&self, question: &Question<'_>) -> Result<Prefix, Undialed> {
        let known = self.prefix();
        if known != Prefix::Auto {
            return Ok(known);
        }
        let mut last = self.finding.lock().await;
        let known = self.prefix();
        if known != Prefix::Auto {
            return Ok(known);
        }
        if last.is_some_and(|last| last.elapsed() < RETRY) {
            return Ok(Prefix::Cut);
        }
        let found = self.ask(question).await?;
        if let Some(found) = found {
            self.decide(found);
            *last = None;
            tracing::debug!(address = %self.address, prefix = question.prefix, ?found, "prefix decided");
        } else {
            *last = Some(Instant::now());
        }
        Ok(found.unwrap_or(Prefix::Cut))
    }

    /// `Keep` if `/` is a 404 or leads into the prefix, and the full path is not a 404; else `Cut`. `None` if it does not answer.
    async fn ask(&self, question: &Question<'_>) -> Result<Option<Prefix>, Undialed> {
        let Some(root) = get(self.address, "/", question).await? else {
            return Ok(None);
        };
        self.accepts();
        // It may still be loading, or something stands in for it until it has.
        if root.status().is_server_error() {
            return Ok(None);
        }
        if !wants_prefix(&root, question, self.address) {
            return Ok(Some(Prefix::Cut));
        }
        let Some(full) = get(self.address, &format!("{}/", question.prefix), question).await? else {
            return Ok(None);
        };
        if full.status().is_server_error() {
            return Ok(None);
        }
        let is_known = full.status() != StatusCode::NOT_FOUND;
        Ok(Some(if is_known { Prefix::Keep } else { Prefix::Cut }))
    }
}

fn wants_prefix(root: &Response<Incoming>, question: &Question<'_>, address: SocketAddr) -> bool {
    if root.status() == StatusCode::NOT_FOUND {
        return true;
    }
    let upstream = address.to_string();
    let place = Place {
        prefix: question.prefix,
        router: question.router,
        host: question.router.authority(),
        upstream: &upstream,
    };
    let location = root.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    root.status().is_redirection() && location.is_some_and(|location| place.leads_below(location))
}

async fn get(address: SocketAddr, path: &str, question: &Question<'_>) -> Result<Option<Response<Incoming>>, Undialed> {
    let socket = dial::dial(address, question.connect).await?;
    let exchange = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.ok()?;
        let mut request = Request::get(path).body(Empty::<Bytes>::new()).ok()?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(question.router.authority()).ok()?);
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static("portico (does this application know its prefix?)"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("text/html, */*"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        // Only the head is wanted: the connection is dropped as soon as it is there.
        let mut answer = std::pin::pin!(sender.send_request(request));
        tokio::select! {
            biased;
            answer = &mut answer => answer.ok(),
            // It may have ended right after the answer.
            _ = connection => answer.await.ok(),
        }
    };
    Ok(timeout(question.answer, exchange).await.ok().flatten())
}

/// The refusal for an application that cannot be dialed.
pub(crate) fn undialed(upstream: &Upstream, why: Undialed, is_young: bool) -> Refusal {
    match why {
        Undialed::Unreachable => Refusal::Unreachable,
        Undialed::Unproven => Refusal::PodsUnproven,
        Undialed::Refused => {
            upstream.refuses();
            if !upstream.has_accepted() && is_young {
                Refusal::Starting
            } else {
                Refusal::NotListening {
                    port: upstream.address.port(),
                }
            }
        }
    }
}
