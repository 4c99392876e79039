//! What a request must be like before anybody looks at what it asks for.

use http::{
    Method,
    header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
};
use portico_core::{refusal::Refusal, site::Site};

/// `CONNECT` would open a tunnel to anywhere, `TRACE` would show a script the cookies that it must not see.
pub(super) fn method(parts: &Parts) -> Result<(), Refusal> {
    if matches!(parts.method, Method::CONNECT | Method::TRACE) || parts.method.as_str().eq_ignore_ascii_case("track") {
        Err(Refusal::MethodNotForwarded)
    } else {
        Ok(())
    }
}

/// Only plain `chunked` can be decoded here, and a switch of protocols has no body. The HTTP library has refused the rest: wrong or
/// different lengths, `chunked` that is not last, white space before colons, folded lines.
pub(super) fn framing(parts: &Parts) -> Result<(), Refusal> {
    let headers = &parts.headers;
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        _ => return Err(Refusal::BadFraming),
    };
    let has_length = headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    if headers.contains_key(UPGRADE) && (is_chunked || has_length) {
        return Err(Refusal::BadFraming);
    }
    Ok(())
}

/// The one host that the request names, as it stands there.
pub(super) fn host(parts: &Parts) -> Result<&str, Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Refusal::BadHost);
    };
    let host = host.to_str().map_err(|_| Refusal::BadHost)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_plain) {
        return Err(Refusal::BadHost);
    }
    // With the absolute form there are two hosts, of which the application would see one.
    match parts.uri.authority() {
        Some(authority) if !authority.as_str().eq_ignore_ascii_case(host) => Err(Refusal::BadHost),
        _ => Ok(host),
    }
}

/// True if the gateway goes by this name.
pub(super) fn is_ours(host: &str, site: &Site) -> bool {
    // The common case, without the normalization that costs an allocation.
    host == site.router.authority() || site.answers_to(host)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn a_request_names_exactly_one_host() {
        for (uri, headers, expected) in [
            ("/", &[("host", "a")][..], Ok("a")),
            ("/", &[("host", "A.example:8080")], Ok("A.example:8080")),
            ("/", &[("host", "[::1]:80")], Ok("[::1]:80")),
            ("http://a/", &[("host", "a")], Ok("a")),
            ("http://A/", &[("host", "a")], Ok("a")),
            ("/", &[], Err(Refusal::BadHost)),
            ("/", &[("host", "")], Err(Refusal::BadHost)),
            ("/", &[("host", "a"), ("host", "a")], Err(Refusal::BadHost)),
            ("/", &[("host", "a, b")], Err(Refusal::BadHost)),
            ("/", &[("host", "a@b")], Err(Refusal::BadHost)),
            ("/", &[("host", "a/b")], Err(Refusal::BadHost)),
            ("http://b/", &[("host", "a")], Err(Refusal::BadHost)),
            ("http://a:81/", &[("host", "a")], Err(Refusal::BadHost)),
            ("http://u@a/", &[("host", "a")], Err(Refusal::BadHost)),
        ] {
            assert_eq!(host(&parts(uri, headers)), expected, "{uri} {headers:?}");
        }
    }

    #[test]
    fn framing_that_can_be_read_in_two_ways_is_refused() {
        for headers in [
            &[("transfer-encoding", "gzip, chunked")][..],
            &[("transfer-encoding", "identity")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("upgrade", "websocket"), ("content-length", "3")],
            &[("upgrade", "websocket"), ("transfer-encoding", "chunked")],
        ] {
            assert_eq!(framing(&parts("/", headers)), Err(Refusal::BadFraming), "{headers:?}");
        }
        for headers in [
            &[("transfer-encoding", "Chunked")][..],
            &[("content-length", "3")],
            &[("upgrade", "websocket"), ("content-length", "0")],
        ] {
            assert_eq!(framing(&parts("/", headers)), Ok(()), "{headers:?}");
        }
    }
}
