//! HTTP/1.1: from a visitor's request to the application's answer, or to a refusal.

pub(crate) mod body;
mod check;
mod enter;
mod forward;
pub(crate) mod headers;
pub(crate) mod log;
mod pages;
pub(crate) mod path;
mod respond;
mod upgrade;

use std::{net::IpAddr, rc::Rc, sync::Arc, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CONNECTION, EXPECT, SET_COOKIE},
    request::Parts,
};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use portico_auth::client_address::client_address;
use portico_core::refusal::Refusal;

use self::{
    body::{Answer, Download},
    headers::request::{REQUEST_ID, address},
    log::Log,
    respond::Form,
    upgrade::Tunnel,
};
use crate::{connection::Link, exchanges::Exchange, thread::DataThread, upstream::pool::Taken};

/// The body of a refused request is read and thrown away up to these bounds, so that its sender gets to see the answer.
const REFUSED_BYTES: usize = 8 * 1024 * 1024;
const REFUSED_TIME: Duration = Duration::from_secs(5);

/// Who is at the other end of a connection.
pub(crate) struct Visitor {
    pub(crate) link: Arc<Link>,
    pub(crate) peer: IpAddr,
    /// The same, as `X-Forwarded-For` has it.
    pub(crate) forwarded: HeaderValue,
}

/// One request's way.
struct Turn {
    thread: Rc<DataThread>,
    log: Log,
    /// The visitor's address, as `X-Forwarded-For` has it.
    client: HeaderValue,
    /// The request's id, as `X-Request-Id` has it.
    id: HeaderValue,
    /// Go into the answer, whatever it is.
    cookies: Vec<HeaderValue>,
    body: Option<Incoming>,
}

/// What becomes of a request.
enum Outcome {
    /// An answer of ours.
    Own(Response<Bytes>),
    /// The application's.
    Passed(Response<Incoming>, Arc<Exchange>, Taken),
    /// A tunnel; the record went with it.
    Switched(Response<()>, Tunnel),
}

/// Answers one request.
pub(crate) async fn answer(thread: &Rc<DataThread>, visitor: &Visitor, request: Request<Incoming>) -> Response<Answer> {
    let (parts, body) = request.into_parts();
    let trusted = &thread.shared.settings.trusted_proxies;
    let client = client_address(visitor.peer, &parts.headers, trusted);
    let form = Form::of(&parts);
    let expects = parts.headers.contains_key(EXPECT);
    let log = Log::new(thread, &visitor.link, &parts.method, parts.uri.path(), client);
    let request_id = log.request_id;
    let mut turn = Turn {
        thread: thread.clone(),
        client: if client == visitor.peer {
            visitor.forwarded.clone()
        } else {
            address(client)
        },
        id: request_id.header(),
        log,
        cookies: Vec::new(),
        body: Some(body),
    };
    let outcome = match turn.run(parts).await {
        Ok(outcome) => outcome,
        Err(refusal) => {
            turn.log.refused(&refusal);
            Outcome::Own(respond::refusal(
                &refusal,
                &form,
                request_id,
                &thread.shared.settings.site,
            ))
        }
    };
    let Turn {
        mut log,
        id,
        cookies,
        body,
        ..
    } = turn;
    if let Some(body) = body
        && !body.is_end_stream()
        && !expects
    {
        thread.others.spawn_local(swallow(body));
    }
    let mut response = match outcome {
        Outcome::Own(response) => {
            log.own(response.status(), response.body().len());
            response.map(|body| Answer::Own {
                body: Full::new(body),
                _log: log,
            })
        }
        Outcome::Passed(response, exchange, taken) => {
            log.answered(response.status());
            response.map(|body| Answer::Passed(Download::new(body, exchange, taken, log)))
        }
        Outcome::Switched(response, tunnel) => {
            log.answered(response.status());
            tunnel.start(thread, log);
            response.map(|()| Answer::Switched)
        }
    };
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    // Whoever may keep the answer of a public endpoint would keep the visitor's session with it.
    if !cookies.is_empty() {
        headers::cache::make_private(headers);
    }
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
    let is_switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if !is_switched && thread.shared.is_draining.load(Ordering::Relaxed) {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Reads a body that nobody wants, within bounds.
async fn swallow(mut body: Incoming) {
    let reading = async {
        let mut count = 0;
        while let Some(Ok(frame)) = body.frame().await {
            count += frame.data_ref().map_or(0, Bytes::len);
            if count > REFUSED_BYTES {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(REFUSED_TIME, reading).await;
}

impl Turn {
    async fn run(&mut self, mut parts: Parts) -> Result<Outcome, Refusal> {
        let shared = self.thread.shared.clone();
        let site = &shared.settings.site;
        check::method(&parts)?;
        check::framing(&parts)?;
        let host = check::host(&parts)?;
        if parts.uri.path() == pages::HEALTH {
            let is_draining = shared.is_draining.load(Ordering::Relaxed);
            return Ok(Outcome::Own(pages::health(is_draining)?));
        }
        if !check::is_ours(host, site) {
            return Err(Refusal::UnknownHost);
        }
        path::check(parts.uri.path())?;
        if pages::are_at(parts.uri.path()) {
            // Boxed, as all that is rare: the memory of each connection is as large as what it may have to wait for.
            return Box::pin(self.page(parts)).await.map(Outcome::Own);
        }
        let entry = match self.enter(&parts).await {
            Err(Refusal::LogInRequired) if respond::is_navigation(&parts) => {
                self.log.refused(&Refusal::LogInRequired);
                return Ok(Outcome::Own(respond::log_in(&parts)));
            }
            entry => entry?,
        };
        if entry.is_without_slash {
            return Ok(Outcome::Own(respond::with_slash(&parts)));
        }
        if let Some(warning) = self.warning(&parts, &entry) {
            return Ok(Outcome::Own(warning));
        }
        // From here on the request's own form matters no longer; absolute-form has been checked.
        if parts.uri.authority().is_some()
            && let Some(path) = parts.uri.path_and_query().cloned()
        {
            parts.uri = path.into();
        }
        self.pass(parts, entry).await
    }
}
