//! A browser sends cookies along whoever wrote the page: which requests may count on them?

use http::{
    HeaderMap, HeaderValue, Method,
    header::{HOST, ORIGIN},
};
use portico_core::{principal::Principal, refusal::Refusal, site::Origin};

const SITE: &str = "sec-fetch-site";
const MODE: &str = "sec-fetch-mode";
const DESTINATION: &str = "sec-fetch-dest";

/// What of a request tells who wrote the page that made it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'r> {
    /// Its method.
    pub method: &'r Method,
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// True if it wants to switch protocols (WebSocket), however that is said in its version of HTTP.
    pub is_upgrade: bool,
    /// The origin under which the endpoint lives.
    pub own: &'r Origin,
    /// Further hosts (`host` or `host:port`, lower case) that are the endpoint's own too, when the request names them.
    pub extra_hosts: &'r [String],
}

/// Refuses what a foreign page made a visitor's browser send. Exempt is whoever comes in by a header or not at all:
/// browsers add neither by themselves. Endpoints that are public need not ask.
pub fn guard(principal: &Principal, asked: &Asked<'_>) -> Result<(), Refusal> {
    match principal {
        Principal::User(user) if user.method.is_ambient() && is_foreign(asked) => Err(Refusal::ForeignPage),
        Principal::User(_) | Principal::Nobody => Ok(()),
    }
}

/// True if a foreign page may have made the request.
///
/// Where the browser says from where it comes (`Sec-Fetch-Site`), only the endpoint's own origin and the visitor's own
/// hand count, and besides them a link that was followed: a top-level `GET` navigation. Sibling hosts are foreign.
/// Where the browser says nothing (plain HTTP, old browsers), unsafe methods and upgrades need the endpoint's own
/// `Origin`.
pub fn is_foreign(asked: &Asked<'_>) -> bool {
    let headers = asked.headers;
    if headers.contains_key(SITE) {
        return !is_said_to_be_own(headers) && !is_followed_link(asked);
    }
    let is_safe = matches!(*asked.method, Method::GET | Method::HEAD | Method::OPTIONS);
    (!is_safe || asked.is_upgrade) && !is_own_origin(asked.headers, asked.own, asked.extra_hosts)
}

/// True if certainly no foreign page made the request: more than that it is not [`is_foreign`], for a followed link passes there,
/// and so does a plain `GET` of a browser that does not say from where it comes.
///
/// Where the browser says it (`Sec-Fetch-Site`), only the endpoint's own origin and the visitor's own hand count; where it
/// says nothing, only the endpoint's own `Origin`, which browsers send along with what is no plain `GET`.
pub fn is_own_doing(headers: &HeaderMap, own: &Origin, extra_hosts: &[String]) -> bool {
    if headers.contains_key(SITE) {
        return is_said_to_be_own(headers);
    }
    is_own_origin(headers, own, extra_hosts)
}

fn is_said_to_be_own(headers: &HeaderMap) -> bool {
    matches!(only(headers, SITE), Some(b"same-origin" | b"none"))
}

fn is_followed_link(asked: &Asked<'_>) -> bool {
    *asked.method == Method::GET
        && !asked.is_upgrade
        && only(asked.headers, MODE) == Some(b"navigate")
        && only(asked.headers, DESTINATION) == Some(b"document")
}

fn is_own_origin(headers: &HeaderMap, own: &Origin, extra_hosts: &[String]) -> bool {
    let Some(origin) = only(headers, ORIGIN) else {
        return false;
    };
    if origin == own.as_str().as_bytes() {
        return true;
    }
    // Under another of our names the page's origin must be that same name.
    let Some(host) = only(headers, HOST).and_then(|host| std::str::from_utf8(host).ok()) else {
        return false;
    };
    let host = host.to_ascii_lowercase();
    extra_hosts.contains(&host)
        && [b"https://".as_slice(), b"http://"]
            .iter()
            .any(|scheme| origin.strip_prefix(*scheme) == Some(host.as_bytes()))
}

/// The value of a header that stands there once.
fn only(headers: &HeaderMap, name: impl http::header::AsHeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
