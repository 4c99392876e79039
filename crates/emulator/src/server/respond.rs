//! From a request to an answer.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::answer::{self, Body};
use crate::{
    arguments::Arguments,
    auth,
    call::{Call, Caller},
    control,
    emulator::Emulator,
    envelope::{Named, envelope, version},
    error::ApiError,
    faults::Faults,
    services::{self, Access, Endpoint},
    state::State,
    writes,
};

/// The most that a request may hold.
const BODY_BYTES: usize = 64 << 20;

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    /// A fault says so.
    #[error("the server plays dead")]
    Unreachable,
    /// The request's body did not arrive or is too long.
    #[error("the request's body cannot be read")]
    Body,
}

/// Answers one request.
pub(super) async fn respond(
    emulator: Emulator,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response<Body>, Cut> {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = if request.uri().path().starts_with(control::PREFIX) && emulator.inner().settings.control {
        let (parts, body) = request.into_parts();
        control::answer(&emulator, &parts.method, &parts.uri, &read(body).await?)
    } else {
        api(&emulator, request, peer).await?
    };
    if let Some(origin) = origin {
        // Any origin is let in with its cookies (observed).
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    Ok(response)
}

async fn read(body: Incoming) -> Result<Bytes, Cut> {
    Limited::new(body, BODY_BYTES)
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .map_err(|_| Cut::Body)
}

async fn api(emulator: &Emulator, request: Request<Incoming>, peer: SocketAddr) -> Result<Response<Body>, Cut> {
    let (parts, body) = request.into_parts();
    if parts.method == Method::OPTIONS {
        return Ok(preflight(&parts.headers));
    }
    if let Some(encoding) = parts.headers.get(header::CONTENT_ENCODING) {
        let encoding = encoding.to_str().unwrap_or_default();
        return Ok(answer::typed(
            415,
            "text/plain",
            format!("Content encoding is not supported ({encoding})"),
        ));
    }
    let named = Named::parse(parts.uri.path());
    let faults = Some(emulator.faults())
        .filter(|faults| faults.cover(named.as_ref().map_or("", |named| &named.name)))
        .unwrap_or_default();
    if let Some(delay) = faults.delay() {
        tokio::time::sleep(delay).await;
    }
    if faults.unreachable {
        return Err(Cut::Unreachable);
    }
    let Some(mut named) = named else {
        let path = parts.uri.path();
        emulator.count(path, false);
        let error = ApiError::new(400, 0, format!("Invalid request path {path}"));
        let (status, body) = envelope(&Named::unreadable(), Err(&error));
        return Ok(answer::json(status, &body));
    };
    let endpoint =
        services::endpoint(&named.name, emulator.feature_set()).filter(|endpoint| endpoint.since <= named.requested);
    emulator.count(&named.name, endpoint.is_some() || services::is_enterprise(&named.name));
    named.actual = endpoint.map(|endpoint| endpoint.since);

    let body = read(body).await?;
    let query = parts.uri.query();
    let (outcome, cookie) = match endpoint {
        None => (Err(ApiError::no_endpoint(&named.name, &version(named.requested))), None),
        Some(endpoint) => run(emulator, endpoint, &named, &parts.headers, query, &body, peer, &faults),
    };
    let (status, envelope) = match &outcome {
        Ok(data) => envelope(&named, Ok(data.clone())),
        Err(error) => envelope(&named, Err(error)),
    };
    let mut response = spoil(&faults, &named).unwrap_or_else(|| answer::json(status, &envelope));
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The answer that a fault puts in the place of the right one.
fn spoil(faults: &Faults, named: &Named) -> Option<Response<Body>> {
    if let Some(size) = faults.huge_bytes {
        return Some(answer::huge(size));
    }
    if faults.html {
        return Some(answer::typed(
            200,
            "text/html; charset=utf-8",
            "<!doctype html><title>Welcome</title><h1>It works!</h1>".to_owned(),
        ));
    }
    let status = faults.status?;
    let (status, body) = envelope(
        named,
        Err(&ApiError::new(status, 0, "General data error: a fault was asked for")),
    );
    Some(answer::json(status, &body))
}

#[expect(clippy::too_many_arguments, reason = "the parts of one request")]
fn run(
    emulator: &Emulator,
    endpoint: Endpoint,
    named: &Named,
    headers: &HeaderMap,
    query: Option<&str>,
    body: &[u8],
    peer: SocketAddr,
    faults: &Faults,
) -> (Result<Value, ApiError>, Option<String>) {
    let inner = emulator.inner();
    let mut state = emulator.state();
    let admitted = admit(emulator, &mut state, endpoint, headers, &named.name).and_then(|caller| {
        let kind = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let lines = kind.starts_with("application/json-lines") || named.name == "events.add_batch";
        Ok((caller, Arguments::read(query, body, lines)?))
    });
    let (caller, arguments) = match admitted {
        Ok(admitted) => admitted,
        Err(error) => return (Err(error), None),
    };
    let company = caller.as_ref().map(|caller| caller.identity.company.clone());
    let written = writes::of(&named.name, &arguments.map, &state, peer);
    let mut call = Call {
        state: &mut state,
        signer: &inner.signer,
        settings: &inner.settings,
        now: inner.clock.now(),
        caller,
        arguments,
        cookie: None,
        peer: peer.ip().to_string(),
    };
    let mut outcome = (endpoint.run)(&mut call);
    if let Ok(data) = &mut outcome {
        emulator.note_writes(written);
        faults.bend(data, company.as_deref());
    }
    (outcome, call.cookie)
}

fn admit(
    emulator: &Emulator,
    state: &mut State,
    endpoint: Endpoint,
    headers: &HeaderMap,
    name: &str,
) -> Result<Option<Caller>, ApiError> {
    let inner = emulator.inner();
    let mut caller = || auth::caller(state, &inner.signer, &inner.settings, headers, name, inner.clock.now());
    match endpoint.access {
        Access::Open => Ok(None),
        Access::Optional => Ok(caller().ok()),
        Access::Any => caller().map(Some),
        Access::Roles(roles) => {
            let caller = caller()?;
            if roles.contains(&caller.identity.role) {
                return Ok(Some(caller));
            }
            let allowed: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            Err(ApiError::role(caller.identity.role.as_str(), &allowed))
        }
    }
}

fn preflight(headers: &HeaderMap) -> Response<Body> {
    let mut response = answer::typed(200, "text/html; charset=utf-8", String::new());
    let asked = headers
        .get(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .and_then(|value| value.to_str().ok());
    if let Some(asked) = asked {
        let listed = asked.split(',').map(str::trim).collect::<Vec<_>>().join(", ");
        if let Ok(value) = HeaderValue::from_str(&listed) {
            response
                .headers_mut()
                .insert(header::ACCESS_CONTROL_ALLOW_HEADERS, value);
        }
    }
    if headers.contains_key(header::ORIGIN) {
        let methods = HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
        response
            .headers_mut()
            .insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    response
}
