//! The headers of a request on its way to the application. Credentials are removed by `portico-auth`.

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, EXPECT, TE},
};
use portico_core::site::Site;

use super::hop::{self, Hop};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
/// Carries the id under which a request is recorded, to the application and back to the visitor.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names that applications take from a proxy they trust: the way a request came, and whose it is. Compared with `_` as `-`,
/// since many servers do not tell them apart.
const TRUSTED: [&str; 22] = [
    "client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "forwarded",
    "front-end-https",
    "proxy",
    "remote-user",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-host",
    "x-http-host-override",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-remote-user",
    "x-request-id",
    "x-rewrite-url",
    "x-scheme",
    "x-url-scheme",
];
const TRUSTED_PREFIXES: [&str; 6] = [
    "x-forwarded-",
    "x-gateway-",
    "x-portico-",
    "x-auth-request-",
    "x-webauth-",
    "x-envoy-",
];

/// What is the same in all requests.
#[derive(Debug)]
pub(crate) struct Forwarded {
    proto: HeaderValue,
    host: HeaderValue,
    port: HeaderValue,
}

impl Forwarded {
    /// From `ROUTER_URL`, the only truth for scheme, host and port.
    pub(crate) fn new(site: &Site) -> Self {
        let text = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("invalid"));
        Self {
            proto: text(site.router.scheme()),
            host: text(site.router.authority()),
            port: text(&site.router.port().to_string()),
        }
    }

    /// Removes what only a proxy may say and what belongs to the visitor's connection, and says it anew.
    ///
    /// `prefix`: what was cut from the path. Frameworks put it before the addresses that they make, so an application that got the
    /// whole path must not be told it.
    pub(crate) fn apply(
        &self,
        headers: &mut HeaderMap,
        client: HeaderValue,
        prefix: Option<&HeaderValue>,
        id: &HeaderValue,
    ) -> Hop {
        let hop = hop::strip(headers);
        strip_trusted(headers);
        headers.remove(EXPECT);
        headers.insert(FORWARDED_FOR, client);
        headers.insert(FORWARDED_PROTO, self.proto.clone());
        headers.insert(FORWARDED_HOST, self.host.clone());
        headers.insert(FORWARDED_PORT, self.port.clone());
        if let Some(prefix) = prefix {
            headers.insert(FORWARDED_PREFIX, prefix.clone());
        }
        headers.insert(REQUEST_ID, id.clone());
        if hop.takes_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        hop
    }
}

/// Removes every spelling of the names that only a proxy may say.
pub(crate) fn strip_trusted(headers: &mut HeaderMap) {
    hop::remove_all(headers, |name| is_trusted(name.as_str()));
}

/// True for every spelling of a name that only a proxy may say. `name` is in lower case, as all names in a [`HeaderMap`] are.
fn is_trusted(name: &str) -> bool {
    // Most names of a browser's request start otherwise.
    if !matches!(name.as_bytes().first(), Some(b'x' | b'c' | b'f' | b'p' | b'r' | b't')) {
        return false;
    }
    let is = |known: &str| name.len() == known.len() && is_prefix(known, name);
    TRUSTED.iter().any(|known| is(known)) || TRUSTED_PREFIXES.iter().any(|known| is_prefix(known, name))
}

fn is_prefix(known: &str, name: &str) -> bool {
    let dashed = name.bytes().map(|byte| if byte == b'_' { b'-' } else { byte });
    name.len() >= known.len() && known.bytes().zip(dashed).all(|(known, byte)| known == byte)
}

/// An address, as `X-Forwarded-For` has it.
pub(crate) fn address(client: IpAddr) -> HeaderValue {
    HeaderValue::from_str(&client.to_canonical().to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use portico_core::site::Origin;
    use proptest::prelude::*;

    use super::*;

    fn forwarded() -> Forwarded {
        Forwarded::new(&Site {
            name: "test".into(),
            router: Origin::parse("https://gw.example.com").expect("an origin"),
            console: None,
            extra_hosts: Vec::new(),
        })
    }

    fn applied(mut headers: HeaderMap) -> HeaderMap {
        let client = "::ffff:192.0.2.1".parse().expect("an address");
        let prefix = HeaderValue::from_static("/service/x");
        forwarded().apply(
            &mut headers,
            address(client),
            Some(&prefix),
            &HeaderValue::from_static("id"),
        );
        headers
    }

    #[test]
    fn the_application_learns_the_way_from_us() {
        let headers = applied(HeaderMap::new());
        for (name, value) in [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "gw.example.com"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-prefix", "/service/x"),
            ("x-request-id", "id"),
        ] {
            assert_eq!(headers.get(name).expect(name), value);
        }
    }

    #[test]
    fn trailers_are_asked_for_if_the_visitor_takes_them() {
        let mut headers = HeaderMap::new();
        headers.insert("te", HeaderValue::from_static("gzip, trailers"));
        let headers = applied(headers);
        assert_eq!(headers.get("te").expect("te"), "trailers");
        assert_eq!(headers.get("connection").expect("connection"), "te");
    }

    #[test]
    fn ordinary_headers_pass() {
        for name in [
            "x-requested-with",
            "x-xsrftoken",
            "x-api-key",
            "x-forward",
            "prefer",
            "range",
            "x-jupyter",
        ] {
            assert!(!is_trusted(name), "{name}");
        }
    }

    proptest! {
        /// Class 1: whatever a visitor sends, the application sees our values and no other spelling of their names.
        #[test]
        fn no_visitor_makes_a_trusted_header(
            names in prop::collection::vec(
                "[xX][-_]([fF]orwarded|gateway|PORTICO)[-_](for|For|proto|host|prefix|authorization|user)|[xX][-_]([rR]eal[-_]ip|request[-_]id|original[-_]url)|[fF]orwarded|FORWARDED|remote[-_]user|true_client-ip",
                0..8,
            ),
            connection in "(x-forwarded-for|X_Forwarded_Proto|x-request-id|close|te|, ){0,4}",
        ) {
            let mut headers = HeaderMap::new();
            for name in &names {
                headers.append(HeaderName::from_bytes(name.as_bytes()).expect("a name"), HeaderValue::from_static("forged"));
            }
            if let Ok(value) = HeaderValue::from_str(&connection) {
                headers.insert("connection", value);
            }
            let headers = applied(headers);
            prop_assert!(headers.values().all(|value| value != "forged"), "{:?}", headers);
            prop_assert_eq!(headers.get("x-forwarded-for").expect("ours"), "192.0.2.1");
            prop_assert_eq!(headers.get("x-request-id").expect("ours"), "id");
        }
    }
}
