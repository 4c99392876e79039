//! Answers: pages, redirects and refusals, each with the headers that keep foreign hands off.

use askama::Template;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};
use portico_core::{
    page::{self, Context},
    refusal::Refusal,
    site::Site,
};

/// A page of ours.
pub(crate) fn page(site: &Site, status: StatusCode, template: &impl Template) -> Response<Body> {
    match template.render() {
        Ok(text) => respond(status, page::headers(&forms(site)), text),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            respond(
                StatusCode::INTERNAL_SERVER_ERROR,
                page::headers("'none'"),
                String::new(),
            )
        }
    }
}

/// Leads on, with GET.
pub(crate) fn redirect(to: &str) -> Response<Body> {
    let mut headers = page::headers("'none'");
    headers.remove(header::CONTENT_TYPE);
    match HeaderValue::from_str(to) {
        Ok(to) => headers.insert(header::LOCATION, to),
        Err(_) => return respond(StatusCode::BAD_REQUEST, headers, String::new()),
    };
    respond(StatusCode::SEE_OTHER, headers, String::new())
}

/// A refusal: a page for people, JSON for programs.
pub(crate) fn refusal(refusal: &Refusal, request: &HeaderMap, context: &Context) -> Response<Body> {
    let mut headers = page::headers("'none'");
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if wants_html(request) {
        respond(refusal.status(), headers, page::html(refusal, context))
    } else {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        respond(refusal.status(), headers, page::json(refusal, context))
    }
}

/// Adds a `Set-Cookie` header.
pub(crate) fn set_cookie(response: &mut Response<Body>, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// True for a browser that shows a page.
fn wants_html(request: &HeaderMap) -> bool {
    let accept = request.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Where our forms may lead: each origin's log-in and log-out end on the other one.
fn forms(site: &Site) -> String {
    match &site.console {
        Some(console) => format!("'self' {} {console}", site.router),
        None => "'self'".into(),
    }
}

fn respond(status: StatusCode, headers: HeaderMap, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
