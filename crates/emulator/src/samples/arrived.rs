//! The request as it arrived: as a page, or as JSON for whoever accepts that.

use std::net::SocketAddr;

use http::{Request, Response, header};
use serde_json::{Value, json};

use super::page::{escape, page};
use crate::server::answer::{self, Body};

/// Answers whatever is asked.
pub(super) fn answer<B>(request: &Request<B>, peer: SocketAddr) -> Response<Body> {
    let accepts = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if accepts.starts_with("application/json") {
        return answer::json(200, &as_json(request, peer));
    }
    let row = |name: &str, value: &str| {
        format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
            escape(name),
            escape(value)
        )
    };
    let headers: String = headers(request).map(|(name, value)| row(name, &value)).collect();
    let prefix = header_text(request, "x-forwarded-prefix")
        .unwrap_or_else(|| "none named: it was cut off silently, or there is none".to_owned());
    let line = [
        row("Method", request.method().as_str()),
        row("Path", request.uri().path()),
        row("Query", request.uri().query().unwrap_or_default()),
        row("Version", &format!("{:?}", request.version())),
        row("Prefix", &prefix),
        row("From", &peer.to_string()),
    ];
    page(
        "What arrived",
        &format!(
            "<h1>What arrived</h1><p>This is the request as it reached the workload.</p>\
             <section><table>{}</table></section><h2>Headers</h2><section><table>{headers}</table></section>\
             <p>A relative link: <a href=\"further/down?x=1\">further down</a></p>",
            line.concat()
        ),
    )
}

fn as_json<B>(request: &Request<B>, peer: SocketAddr) -> Value {
    json!({
        "method": request.method().as_str(),
        "path": request.uri().path(),
        "query": request.uri().query(),
        "version": format!("{:?}", request.version()),
        "prefix": header_text(request, "x-forwarded-prefix"),
        "from": peer.to_string(),
        "headers": headers(request).map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
    })
}

fn headers<B>(request: &Request<B>) -> impl Iterator<Item = (&str, String)> {
    request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
}

fn header_text<B>(request: &Request<B>, name: &str) -> Option<String> {
    request
        .headers()
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
