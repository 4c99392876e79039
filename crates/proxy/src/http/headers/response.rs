//! The headers of an answer on its way to the visitor.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_LOCATION, LOCATION, REFRESH, SET_COOKIE, STRICT_TRANSPORT_SECURITY, TRAILER},
};

use super::{cache, hop, location::Place, set_cookie};

const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

/// What one application must not say about the origin that it shares.
const OF_THE_ORIGIN: [HeaderName; 10] = [
    HeaderName::from_static("alt-svc"),
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("origin-agent-cluster"),
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
    HeaderName::from_static("public-key-pins"),
    STRICT_TRANSPORT_SECURITY,
    // Orders to a web server in front, which would answer with files of its own.
    HeaderName::from_static("x-accel-redirect"),
    HeaderName::from_static("x-sendfile"),
];

/// What it may say about its own prefix only.
const REWRITTEN: [HeaderName; 5] = [LOCATION, CONTENT_LOCATION, REFRESH, SET_COOKIE, SERVICE_WORKER_ALLOWED];

/// Bounds an application's answer to its prefix and, unless everybody may have it, to its visitor. Our own cookies' names are
/// removed by `portico-auth`.
pub(crate) fn bound(headers: &mut HeaderMap, place: &Place<'_>, is_public: bool) {
    hop::strip(headers);
    if headers.keys().any(is_bounded) {
        bound_each(headers, place);
    }
    if !is_public {
        cache::make_private(headers);
    }
}

/// True for headers that are removed or rewritten. Most answers have none of them.
fn is_bounded(name: &HeaderName) -> bool {
    REWRITTEN.contains(name) || OF_THE_ORIGIN.contains(name) || *name == TRAILER
}

fn bound_each(headers: &mut HeaderMap, place: &Place<'_>) {
    hop::remove_all(headers, |name| OF_THE_ORIGIN.contains(name));
    rewrite(headers, LOCATION, |value| place.public(value));
    rewrite(headers, CONTENT_LOCATION, |value| place.public(value));
    rewrite(headers, REFRESH, |value| place.public_refresh(value));
    bound_cookies(headers, place.prefix);
    bound_service_worker(headers, place);
    // Announced trailers cannot carry what was just bounded.
    if headers.contains_key(TRAILER) {
        let allowed: Vec<&str> = headers
            .get_all(TRAILER)
            .iter()
            .flat_map(hop::tokens)
            .filter(|name| is_harmless_trailer(name))
            .collect();
        let value = HeaderValue::from_str(&allowed.join(", "))
            .ok()
            .filter(|value| !value.is_empty());
        match value {
            Some(value) => drop(headers.insert(TRAILER, value)),
            None => drop(headers.remove(TRAILER)),
        }
    }
}

/// False for trailers that a browser or a cache could take for headers.
pub(crate) fn is_harmless_trailer(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !REWRITTEN
        .iter()
        .chain(&OF_THE_ORIGIN)
        .any(|known| known.as_str() == name)
        && !name.contains("cache")
}

fn rewrite(headers: &mut HeaderMap, name: HeaderName, public: impl Fn(&str) -> Option<String>) {
    let http::header::Entry::Occupied(mut entry) = headers.entry(name) else {
        return;
    };
    for value in entry.iter_mut() {
        // Addresses in UTF-8 are not allowed but seen, and `to_str` would give up on them.
        let new = std::str::from_utf8(value.as_bytes()).ok().and_then(&public);
        if let Some(new) = new.and_then(|new| HeaderValue::from_str(&new).ok()) {
            *value = new;
        }
    }
}

fn bound_cookies(headers: &mut HeaderMap, prefix: &str) {
    let http::header::Entry::Occupied(mut entry) = headers.entry(SET_COOKIE) else {
        return;
    };
    for value in entry.iter_mut() {
        let text = String::from_utf8_lossy(value.as_bytes());
        if let Some(bounded) = set_cookie::bound(&text, prefix) {
            *value = HeaderValue::from_str(&bounded).unwrap_or(HeaderValue::from_static("invalid="));
        }
    }
}

/// A worker's scope cannot reach above the prefix. What is no plain path goes: the browser's own bound is the script's directory,
/// which is below the prefix.
fn bound_service_worker(headers: &mut HeaderMap, place: &Place<'_>) {
    let Some(value) = headers.remove(SERVICE_WORKER_ALLOWED) else {
        return;
    };
    let Ok(scope) = value.to_str() else { return };
    let is_plain = super::super::path::check(scope).is_ok() && !scope.starts_with("//") && !scope.contains(['?', '#']);
    if !is_plain {
        return;
    }
    let bounded = if place.is_below(scope) && scope != place.prefix {
        scope.to_owned()
    } else if scope == place.prefix {
        format!("{scope}/")
    } else {
        format!("{}{scope}", place.prefix)
    };
    if let Ok(value) = HeaderValue::from_str(&bounded) {
        headers.insert(SERVICE_WORKER_ALLOWED, value);
    }
}

#[cfg(test)]
mod tests {
    use portico_core::site::Origin;

    use super::*;

    fn bounded(list: &[(&'static str, &str)]) -> Vec<(String, String)> {
        let router = Origin::parse("https://gw.example.com").expect("an origin");
        let place = Place {
            prefix: "/service/x",
            router: &router,
            host: "gw.example.com",
            upstream: "10.0.0.7:80",
        };
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        bound(&mut headers, &place, true);
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn an_application_cannot_speak_for_the_whole_origin() {
        let headers = bounded(&[
            ("clear-site-data", "\"*\""),
            ("x-accel-redirect", "/internal/secrets"),
            ("x-sendfile", "/etc/passwd"),
            ("alt-svc", "h3=\":443\""),
            ("nel", "{}"),
            ("report-to", "{}"),
            ("reporting-endpoints", "a=\"/\""),
            ("strict-transport-security", "max-age=1"),
            ("connection", "close"),
            ("keep-alive", "timeout=5"),
            ("x-app", "1"),
        ]);
        assert_eq!(headers, [pair("x-app", "1")]);
    }

    #[test]
    fn each_cookie_is_bounded() {
        let headers = bounded(&[
            ("set-cookie", "a=1; Path=/"),
            ("set-cookie", "b=é; Domain=example.com; Path=/b"),
        ]);
        assert_eq!(
            headers,
            [
                pair("set-cookie", "a=1; Path=/service/x/"),
                pair("set-cookie", "b=é; Path=/service/x/b")
            ]
        );
    }

    #[test]
    fn a_service_worker_cannot_reach_above_the_prefix() {
        for (given, expected) in [
            ("/", Some("/service/x/")),
            ("/app/", Some("/service/x/app/")),
            ("/service/x/app/", Some("/service/x/app/")),
            ("/service/x", Some("/service/x/")),
            ("/service/x/../", None),
            ("/service/x/%2e%2e/", None),
            ("//gw.example.com/", None),
            ("https://gw.example.com/", None),
            ("../", None),
        ] {
            let headers = bounded(&[("service-worker-allowed", given)]);
            let expected: Vec<_> = expected
                .map(|value| pair("service-worker-allowed", value))
                .into_iter()
                .collect();
            assert_eq!(headers, expected, "{given}");
        }
    }

    #[test]
    fn trailers_cannot_bring_back_what_was_bounded() {
        assert_eq!(
            bounded(&[("trailer", "Server-Timing, Set-Cookie, X-Sum")]),
            [pair("trailer", "Server-Timing, X-Sum")]
        );
        assert_eq!(bounded(&[("trailer", "clear-site-data")]), []);
    }
}
