//! Our own answers: refusals as a page or as JSON, and redirects. Nothing of them may be kept by a cache.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, RETRY_AFTER, UPGRADE, VARY,
        WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    },
    request::Parts,
    uri::PathAndQuery,
};
use portico_core::{
    page::{self, Context},
    refusal::Refusal,
    site::{Site, percent},
};

use crate::record::RequestId;

/// The form that the visitor understands.
pub(super) struct Form {
    is_html: bool,
    /// What was asked for, for the page that names the right address.
    target: Option<PathAndQuery>,
}

impl Form {
    pub(super) fn of(parts: &Parts) -> Self {
        Self {
            is_html: accepts_html(parts),
            target: parts.uri.path_and_query().cloned(),
        }
    }
}

/// True for a browser that opens a page, as opposed to a script on a page, a WebSocket or a program.
pub(super) fn is_navigation(parts: &Parts) -> bool {
    let mode = parts.headers.get("sec-fetch-mode");
    matches!(parts.method, Method::GET | Method::HEAD)
        && accepts_html(parts)
        && mode.is_none_or(|mode| mode == "navigate")
        && !parts.headers.contains_key(UPGRADE)
}

fn accepts_html(parts: &Parts) -> bool {
    let accepts = |value: &HeaderValue| value.to_str().is_ok_and(|value| value.contains("text/html"));
    parts.headers.get_all(ACCEPT).iter().any(accepts)
}

/// The refusal as an answer.
pub(super) fn refusal(refusal: &Refusal, form: &Form, request_id: RequestId, site: &Site) -> Response<Bytes> {
    let context = Context {
        request_id: request_id.to_string(),
        home: Some(match &site.console {
            Some(console) => format!("{console}/"),
            None => format!("{}/", site.router),
        }),
        right_url: (*refusal == Refusal::UnknownHost).then(|| {
            let target = form.target.as_ref().filter(|_| form.is_html);
            format!("{}{}", site.router, target.map_or("/", PathAndQuery::as_str))
        }),
    };
    let (text, mut headers) = if form.is_html {
        // The page has no form.
        (page::html(refusal, &context), page::headers("'none'"))
    } else {
        (page::json(refusal, &context), HeaderMap::new())
    };
    ours(&mut headers);
    if !form.is_html {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(VARY, HeaderValue::from_static("accept"));
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.status() == StatusCode::UNAUTHORIZED {
        // Not `Basic`: browsers would ask for a password in a window of their own.
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"portico\""));
    }
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = refusal.status();
    *response.headers_mut() = headers;
    response
}

/// Leads a browser to the log-in, and from there back.
pub(super) fn log_in(parts: &Parts) -> Response<Bytes> {
    redirect(
        StatusCode::FOUND,
        &format!("/_gateway/login?return_to={}", target(parts)),
    )
}

/// Leads to the page that stands before somebody else's endpoint.
pub(super) fn warning(parts: &Parts) -> Response<Bytes> {
    redirect(
        StatusCode::SEE_OTHER,
        &format!("/_gateway/continue?to={}", target(parts)),
    )
}

/// Leads to the same address with the closing slash.
pub(super) fn with_slash(parts: &Parts) -> Response<Bytes> {
    let mut location = format!("{}/", parts.uri.path());
    if let Some(query) = parts.uri.query() {
        location.push('?');
        location.push_str(query);
    }
    redirect(StatusCode::PERMANENT_REDIRECT, &location)
}

fn target(parts: &Parts) -> String {
    percent(parts.uri.path_and_query().map_or("/", PathAndQuery::as_str))
}

fn redirect(status: StatusCode, location: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    ours(headers);
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
    headers.insert(LOCATION, location);
    response
}

/// What all our answers carry; pages say more.
fn ours(headers: &mut HeaderMap) {
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(nothing);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
