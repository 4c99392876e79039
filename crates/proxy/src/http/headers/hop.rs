//! Headers that speak about one connection and end with it (RFC 9110 7.6.1).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE},
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The headers of this connection, whatever they say.
fn is_of_connection(name: &HeaderName) -> bool {
    [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHORIZATION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ]
    .contains(name)
}

/// Removes every header that `is` names. One walk over the few that there are costs less than looking up each of the many names
/// that there could be.
pub(crate) fn remove_all(headers: &mut HeaderMap, is: impl Fn(&HeaderName) -> bool) {
    let found: Vec<HeaderName> = headers.keys().filter(|name| is(name)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Removes them, with those that `Connection` names, and tells what they said. `Connection` can neither remove the framing nor
/// the host.
pub(crate) fn strip(headers: &mut HeaderMap) -> Hop {
    let mut hop = Hop::default();
    if !headers.keys().any(is_of_connection) {
        return hop;
    }
    let mut named = Vec::new();
    for value in headers.get_all(CONNECTION) {
        for token in tokens(value) {
            match token {
                // By far the most common; nothing else to remove.
                "keep-alive" | "Keep-Alive" | "close" => {}
                token if token.eq_ignore_ascii_case("upgrade") => hop.is_upgrade = true,
                token => named.extend(HeaderName::from_bytes(token.as_bytes())),
            }
        }
    }
    hop.takes_trailers = headers
        .get_all(TE)
        .iter()
        .flat_map(tokens)
        .any(|token| token.eq_ignore_ascii_case("trailers"));
    for name in named {
        if name != HOST && name != CONTENT_LENGTH {
            headers.remove(name);
        }
    }
    remove_all(headers, is_of_connection);
    hop
}

/// What the removed headers said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    /// `Connection: upgrade`.
    pub(crate) is_upgrade: bool,
    /// `TE: trailers`.
    pub(crate) takes_trailers: bool,
}

/// The comma-separated members of a value.
pub(crate) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    let text = value.to_str().unwrap_or_default();
    text.split(',').map(str::trim).filter(|token| !token.is_empty())
}

/// True if one of the members of all values of `name` is `token`, in any case.
pub(crate) fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(tokens)
        .any(|member| member.eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn headers_of_one_connection_end_with_it() {
        let mut some = headers(&[
            ("connection", "keep-alive, X-Private"),
            ("connection", "upgrade"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eA=="),
            ("te", "trailers, deflate"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("x-private", "1"),
            ("x-other", "2"),
        ]);
        let hop = strip(&mut some);
        assert_eq!(some, headers(&[("x-other", "2")]));
        assert!(hop.is_upgrade && hop.takes_trailers);
    }

    #[test]
    fn connection_cannot_remove_host_and_framing() {
        let mut some = headers(&[
            ("connection", "host, content-length"),
            ("host", "a"),
            ("content-length", "3"),
        ]);
        strip(&mut some);
        assert_eq!(some, headers(&[("host", "a"), ("content-length", "3")]));
    }
}
