//! A request that was let through, on its way to the application and back.

use std::{future::Future, pin::pin, rc::Rc, sync::Arc, time::Duration};

use http::{
    HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{CONTENT_TYPE, HOST},
    request::Parts,
    uri::PathAndQuery,
};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::TrySendError,
    upgrade::OnUpgrade,
};
use portico_auth::credentials::{strip_request, strip_set_cookie};
use portico_core::{
    access::Who,
    endpoint::{Endpoint, Prefix},
    refusal::Refusal,
    routes::{Resolved, RouteTable},
};

use super::{
    Outcome, Turn,
    body::Upload,
    enter::Entry,
    headers::{location::Place, response},
    upgrade,
};
use crate::{
    exchanges::{CutReason, Exchange},
    record::Kind,
    thread::Shared,
    upstream::{
        dial::Undialed,
        pool::{self, Lane, Taken},
        prefix::{Question, undialed},
    },
};

/// A connection that was idle for longer may just be closing. A request that cannot be repeated is not risked on it.
const FRESH: Duration = Duration::from_secs(1);

impl Turn {
    /// Passes the request on and brings the answer's head back. Ends early if the exchange is cut.
    pub(super) async fn pass(&mut self, parts: Parts, entry: Entry) -> Result<Outcome, Refusal> {
        let Entry {
            principal,
            endpoint,
            table,
            ..
        } = entry;
        let exchange = self.log.opens(principal, &endpoint);
        let shared = self.thread.shared.clone();
        let passed = {
            let mut passing = pin!(self.pass_on(parts, &endpoint, &exchange, &table));
            std::future::poll_fn(|context| match passing.as_mut().poll(context) {
                std::task::Poll::Ready(passed) => std::task::Poll::Ready(Ok(passed)),
                std::task::Poll::Pending => exchange.cut.poll(context).map(Err),
            })
            .await
        };
        match passed {
            Ok(passed) => passed,
            Err(reason) => Err(refusal_of(reason, &endpoint, &shared.doors.table.get())),
        }
    }

    async fn pass_on(
        &mut self,
        mut parts: Parts,
        endpoint: &Arc<Endpoint>,
        exchange: &Arc<Exchange>,
        table: &RouteTable,
    ) -> Result<Outcome, Refusal> {
        let shared = self.thread.shared.clone();
        let lane = self.thread.lane(endpoint);
        let refuse = |why| undialed(&lane.upstream, why, is_young(&shared, endpoint, &lane, table));
        let prefix = self.prefix(&lane, endpoint).await.map_err(refuse)?;
        parts.uri = target(&parts.uri, endpoint, prefix)?;
        parts.version = Version::HTTP_11;
        let switching = parts.extensions.remove::<OnUpgrade>();
        let is_websocket = upgrade::is_websocket(&parts);
        let sub_protocol = upgrade::our_sub_protocol(&parts.headers);
        strip_request(&mut parts.headers, &shared.names);
        let cut = (prefix == Prefix::Cut).then_some(&lane.prefix);
        let hop = shared
            .forwarded
            .apply(&mut parts.headers, self.client.clone(), cut, &self.id);
        let host = parts.headers.get(HOST).cloned().unwrap_or(HeaderValue::from_static(""));
        let answered = match switching {
            Some(switching) if is_websocket && hop.is_upgrade => {
                upgrade::ask(&mut parts.headers);
                let taken = self.connect(&lane, endpoint).await.map_err(refuse)?;
                let answered = send(taken, Request::from_parts(parts, Upload::Empty)).await;
                let (mut response, taken) = answered.map_err(|_| Refusal::UpstreamBroken)?;
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    let tunnel = upgrade::switch(&mut response, switching, exchange).await?;
                    self.bound(&mut response, endpoint, &lane, &host);
                    upgrade::confirm(response.headers_mut(), sub_protocol);
                    return Ok(Outcome::Switched(response.map(|_| ()), tunnel));
                }
                (response, taken)
            }
            _ => {
                let request = Request::from_parts(parts, self.upload(exchange));
                self.exchange(&lane, endpoint, request)
                    .await
                    .map_err(|error| match error {
                        Failed::Undialed(why) => refuse(why),
                        Failed::Broken => Refusal::UpstreamBroken,
                    })?
            }
        };
        let (mut response, taken) = answered;
        // Nobody asked for it; what follows would be no HTTP.
        if response.status().is_informational() {
            return Err(Refusal::UpstreamBroken);
        }
        self.bound(&mut response, endpoint, &lane, &host);
        let content = response.headers().get(CONTENT_TYPE);
        if content.is_some_and(|content| content.as_bytes().starts_with(b"text/event-stream")) {
            self.log.kind = Kind::Events;
            exchange.becomes(Kind::Events);
        }
        Ok(Outcome::Passed(response, exchange.clone(), taken))
    }

    fn upload(&mut self, exchange: &Arc<Exchange>) -> Upload {
        match self.body.take() {
            Some(incoming) if !incoming.is_end_stream() => Upload::Streamed {
                incoming,
                exchange: exchange.clone(),
                names: self.thread.shared.names.clone(),
            },
            _ => Upload::Empty,
        }
    }

    async fn prefix(&self, lane: &Lane, endpoint: &Endpoint) -> Result<Prefix, Undialed> {
        let known = lane.upstream.prefix();
        if known != Prefix::Auto {
            return Ok(known);
        }
        is_proven(endpoint)?;
        let settings = &self.thread.shared.settings;
        let question = Question {
            prefix: &endpoint.prefix,
            router: &settings.site.router,
            connect: settings.timeouts.connect,
            answer: settings.timeouts.prefix_probe,
        };
        Box::pin(lane.upstream.find_prefix(&question)).await
    }

    /// Sends over a connection at hand, or over a new one if there is none or it turns out to have been closed.
    async fn exchange(
        &mut self,
        lane: &Rc<Lane>,
        endpoint: &Endpoint,
        request: Request<Upload>,
    ) -> Result<(Response<Incoming>, Taken), Failed> {
        let is_repeatable = request.method().is_idempotent() && matches!(request.body(), Upload::Empty);
        let idle = self.thread.shared.settings.timeouts.upstream_idle;
        let age = if is_repeatable { idle } else { idle.min(FRESH) };
        let mut request = request;
        if let Some(sender) = lane.take(age) {
            let spare = is_repeatable.then(|| repeat(&request));
            let taken = Taken {
                sender,
                lane: lane.clone(),
            };
            let mut error = match send(taken, request).await {
                Ok(answered) => {
                    self.thread
                        .counts()
                        .reused
                        .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    return Ok(answered);
                }
                Err(error) => error,
            };
            request = match (error.take_message(), spare) {
                // Not a byte of it was written.
                (Some(unsent), _) => unsent,
                (None, Some(spare)) if !error.error().is_parse() => spare,
                _ => return Err(broken(error.error())),
            };
            self.thread
                .counts()
                .retried
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        let taken = self.connect(lane, endpoint).await.map_err(Failed::Undialed)?;
        send(taken, request).await.map_err(|error| broken(error.error()))
    }

    async fn connect(&mut self, lane: &Rc<Lane>, endpoint: &Endpoint) -> Result<Taken, Undialed> {
        is_proven(endpoint)?;
        let began = std::time::Instant::now();
        self.thread
            .counts()
            .dialed
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let settings = &self.thread.shared.settings;
        let connecting = pool::connect(lane.upstream.address, settings, &self.thread.others);
        let sender = Box::pin(connecting).await?;
        lane.upstream.accepts();
        self.log.connect = Some(began.elapsed());
        Ok(Taken {
            sender,
            lane: lane.clone(),
        })
    }

    /// Bounds an answer's headers.
    fn bound<B>(&self, response: &mut Response<B>, endpoint: &Endpoint, lane: &Lane, host: &HeaderValue) {
        let shared = &self.thread.shared;
        let place = Place {
            prefix: &endpoint.prefix,
            router: &shared.settings.site.router,
            host: host.to_str().unwrap_or_default(),
            upstream: &lane.authority,
        };
        strip_set_cookie(response.headers_mut(), &shared.names);
        response::bound(response.headers_mut(), &place, endpoint.access.who == Who::Public);
    }
}

/// A connection at hand leads where it led; a new one might lead to another pod that has the address by now.
fn is_proven(endpoint: &Endpoint) -> Result<(), Undialed> {
    if endpoint.is_unproven {
        Err(Undialed::Unproven)
    } else {
        Ok(())
    }
}

enum Failed {
    Undialed(Undialed),
    Broken,
}

fn broken(error: &hyper::Error) -> Failed {
    tracing::debug!(%error, "an application broke off");
    Failed::Broken
}

async fn send(
    mut taken: Taken,
    request: Request<Upload>,
) -> Result<(Response<Incoming>, Taken), TrySendError<Request<Upload>>> {
    let response = taken.sender.try_send_request(request).await?;
    Ok((response, taken))
}

/// The same request once more; it has no body.
fn repeat(request: &Request<Upload>) -> Request<Upload> {
    let mut again = Request::new(Upload::Empty);
    again.method_mut().clone_from(request.method());
    again.uri_mut().clone_from(request.uri());
    again.headers_mut().clone_from(request.headers());
    again
}

/// What the application is asked for: the same bytes, with or without the prefix.
fn target(uri: &Uri, endpoint: &Endpoint, prefix: Prefix) -> Result<Uri, Refusal> {
    if prefix == Prefix::Keep {
        return Ok(uri.clone());
    }
    let whole = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let rest = whole.strip_prefix(&*endpoint.prefix).ok_or(Refusal::Internal)?;
    PathAndQuery::try_from(rest)
        .map(Uri::from)
        .map_err(|_| Refusal::AmbiguousPath)
}

/// True while a closed port may only mean that the application has not come that far.
fn is_young(shared: &Shared, endpoint: &Endpoint, lane: &Lane, table: &RouteTable) -> bool {
    let started = table.task(endpoint.key.task).and_then(|routes| routes.task.started);
    let age = match started {
        Some(started) => shared.doors.clock.now().since(started),
        None => lane.upstream.known_for(),
    };
    age <= shared.settings.timeouts.starting
}

/// What a visitor is told whose request was cut before its answer began.
fn refusal_of(reason: CutReason, endpoint: &Endpoint, table: &RouteTable) -> Refusal {
    match reason {
        CutReason::SignedOut => Refusal::LogInRequired,
        CutReason::NotAllowed => Refusal::NotAllowed {
            rule: endpoint.access.clone(),
        },
        CutReason::Ended => match table.at(
            endpoint.key.task,
            endpoint.slug.as_ref().map(portico_core::endpoint::Slug::as_str),
        ) {
            Resolved::Refused { refusal, .. } => refusal.clone(),
            _ => Refusal::NoEndpoint,
        },
        CutReason::ShuttingDown => Refusal::ShuttingDown,
        CutReason::TimedOut => Refusal::UpstreamTimeout,
    }
}
