#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::sync::Arc;

use portico_core::{
    principal::{CompanyId, Method as By, User, UserId},
    secret::Secret,
};

use super::*;

struct Case {
    method: Method,
    is_upgrade: bool,
    headers: Vec<(&'static str, &'static str)>,
}

fn case(method: &str, headers: &[(&'static str, &'static str)]) -> Case {
    Case {
        is_upgrade: method == "WS",
        method: if method == "WS" {
            Method::GET
        } else {
            method.parse().unwrap()
        },
        headers: headers.to_vec(),
    }
}

fn judged(case: &Case, by: Option<By>) -> Result<(), Refusal> {
    let mut headers = HeaderMap::new();
    for (name, value) in &case.headers {
        headers.append(*name, value.parse().unwrap());
    }
    let principal = by.map_or(Principal::Nobody, |method| {
        Principal::User(Arc::new(User {
            id: UserId::new("u"),
            company: CompanyId::new("c"),
            name: "u".into(),
            is_administrator: false,
            method,
            session: None,
            expires: None,
            token: Secret::default(),
        }))
    });
    let asked = Asked {
        method: &case.method,
        headers: &headers,
        is_upgrade: case.is_upgrade,
        own: &Origin::parse("https://gw.example.com").unwrap(),
        extra_hosts: &["gw.internal:8080".to_owned()],
    };
    guard(&principal, &asked)
}

const NAVIGATION: [(&str, &str); 2] = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];

/// Class 7.
#[test]
fn a_foreign_page_cannot_use_the_visitors_cookies() {
    let navigated = |site: &'static str| [("sec-fetch-site", site), NAVIGATION[0], NAVIGATION[1]];
    let cases = [
        case("GET", &[("sec-fetch-site", "cross-site")]),
        case("GET", &[("sec-fetch-site", "same-site")]),
        case(
            "GET",
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "cors"),
                ("sec-fetch-dest", "empty"),
            ],
        ),
        case(
            "GET",
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-dest", "image"),
            ],
        ),
        case(
            "GET",
            &[
                ("sec-fetch-site", "same-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "iframe"),
            ],
        ),
        case("GET", &[("sec-fetch-site", "cross-site"), NAVIGATION[0]]),
        case("GET", &[("sec-fetch-site", "cross-site"), NAVIGATION[1]]),
        case("POST", &navigated("cross-site")),
        case("POST", &navigated("same-site")),
        case("HEAD", &navigated("cross-site")),
        case("WS", &navigated("cross-site")),
        case(
            "WS",
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "websocket")],
        ),
        // What says who made the request must say it once, and nothing else.
        case(
            "GET",
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        ),
        case("GET", &[("sec-fetch-site", "same-origin, cross-site")]),
        case("GET", &[("sec-fetch-site", "Same-Origin")]),
        case("GET", &[("sec-fetch-site", "")]),
        // The browser's word counts more than an origin.
        case(
            "POST",
            &[("sec-fetch-site", "cross-site"), ("origin", "https://gw.example.com")],
        ),
        // Without the browser's word.
        case("POST", &[]),
        case("PUT", &[]),
        case("DELETE", &[]),
        case("PATCH", &[]),
        case("WS", &[]),
        case("PROPFIND", &[]),
        case("WS", &[("origin", "null")]),
        case("WS", &[("origin", "https://evil.example")]),
        case("POST", &[("origin", "http://gw.example.com")]),
        case("POST", &[("origin", "https://gw.example.com:444")]),
        case("POST", &[("origin", "https://gw.example.com.evil.example")]),
        case("POST", &[("origin", "https://app.gw.example.com")]),
        case(
            "POST",
            &[("origin", "https://gw.example.com"), ("origin", "https://evil.example")],
        ),
        case("POST", &[("origin", "https://gw.internal:8080")]),
        case(
            "POST",
            &[("origin", "https://gw.internal:8080"), ("host", "gw.example.com")],
        ),
        case(
            "POST",
            &[("origin", "ftp://gw.internal:8080"), ("host", "gw.internal:8080")],
        ),
        case("POST", &[("origin", "http://evil.example"), ("host", "evil.example")]),
    ];
    for case in &cases {
        for by in [By::Session, By::ClearmlCookie] {
            let (method, headers) = (&case.method, &case.headers);
            assert_eq!(
                judged(case, Some(by)),
                Err(Refusal::ForeignPage),
                "{method} {headers:?}"
            );
        }
        for by in [Some(By::Bearer), Some(By::Basic), None] {
            assert_eq!(judged(case, by), Ok(()));
        }
    }
}

#[test]
fn the_visitors_own_requests_and_followed_links_pass() {
    for case in [
        case("GET", &[("sec-fetch-site", "same-origin")]),
        case("POST", &[("sec-fetch-site", "same-origin")]),
        case(
            "WS",
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "websocket")],
        ),
        case("GET", &[("sec-fetch-site", "none"), NAVIGATION[0], NAVIGATION[1]]),
        case("POST", &[("sec-fetch-site", "none")]),
        case("GET", &[("sec-fetch-site", "cross-site"), NAVIGATION[0], NAVIGATION[1]]),
        case("GET", &[("sec-fetch-site", "same-site"), NAVIGATION[0], NAVIGATION[1]]),
        case("GET", &[]),
        case("HEAD", &[]),
        case("OPTIONS", &[("origin", "https://evil.example")]),
        case("POST", &[("origin", "https://gw.example.com")]),
        case("WS", &[("origin", "https://gw.example.com")]),
        case(
            "WS",
            &[("origin", "http://gw.internal:8080"), ("host", "GW.internal:8080")],
        ),
    ] {
        assert_eq!(
            judged(&case, Some(By::Session)),
            Ok(()),
            "{} {:?}",
            case.method,
            case.headers
        );
    }
}

#[test]
fn only_what_no_foreign_page_can_have_made_is_the_visitors_own_doing() {
    let own = Origin::parse("https://gw.example.com").unwrap();
    let is_own = |pairs: &[(&'static str, &'static str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        is_own_doing(&headers, &own, &["gw.internal:8080".to_owned()])
    };
    for pairs in [
        &[("sec-fetch-site", "same-origin")][..],
        &[("sec-fetch-site", "none"), NAVIGATION[0], NAVIGATION[1]],
        &[("origin", "https://gw.example.com")],
        &[("origin", "http://gw.internal:8080"), ("host", "gw.internal:8080")],
    ] {
        assert!(is_own(pairs), "{pairs:?}");
    }
    for pairs in [
        // A followed link.
        &[("sec-fetch-site", "cross-site"), NAVIGATION[0], NAVIGATION[1]][..],
        &[("sec-fetch-site", "same-site"), NAVIGATION[0], NAVIGATION[1]],
        // The browser's word counts more than an origin.
        &[("sec-fetch-site", "cross-site"), ("origin", "https://gw.example.com")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-origin, cross-site")],
        &[("sec-fetch-site", "")],
        // Without the browser's word.
        &[],
        &[("referer", "https://gw.example.com/")],
        &[("host", "gw.example.com")],
        &[("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("origin", "https://gw.example.com"), ("origin", "https://evil.example")],
        &[("origin", "http://evil.example"), ("host", "evil.example")],
        &[("origin", "http://gw.internal:8080"), ("host", "gw.example.com")],
    ] {
        assert!(!is_own(pairs), "{pairs:?}");
    }
}
