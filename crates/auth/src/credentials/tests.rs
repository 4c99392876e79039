#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, COOKIE, SEC_WEBSOCKET_PROTOCOL, SET_COOKIE},
};
use portico_core::{secret::Secret, site::Origin};
use proptest::prelude::*;

use super::*;

const KEY: &str = "ABCDEFGHIJKLMNOPQRST";

fn names(configured: Option<&str>) -> CookieNames {
    let site = Site {
        name: "test".into(),
        router: Origin::parse("https://gw.example.com").unwrap(),
        console: None,
        extra_hosts: Vec::new(),
    };
    CookieNames::new(&site, configured, None)
}

fn token() -> String {
    jwt(
        r#"{"alg":"HS256","typ":"JWT"}"#,
        r#"{"identity":{"user":"u","company":"c","role":"user"},"exp":1}"#,
    )
}

fn jwt(header: &str, claims: &str) -> String {
    format!(
        "{}.{}.c2ln",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    )
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

fn stripped(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut headers = headers(pairs);
    strip_request(&mut headers, &names(Some("my_cookie")));
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect()
}

/// What an application's framework makes of a header's name: `HTTP_X_GATEWAY_…`.
fn variable(name: &HeaderName) -> String {
    name.as_str()
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

#[test]
fn a_clearml_token_is_known_by_its_structure() {
    let claims = r#"{"identity":{"user":"u","company":"c"}}"#;
    let header = r#"{"alg":"HS256"}"#;
    let good = token();
    let padded = format!(
        "{}.{}.c2ln",
        URL_SAFE.encode(r#"{"alg":"HS256" }"#),
        URL_SAFE.encode(claims)
    );
    assert!(padded.contains('='));
    for text in [&good, &padded, &jwt(header, claims)] {
        assert!(is_clearml_token(text.as_bytes()), "{text}");
    }
    for text in [
        String::new(),
        "..".into(),
        "a.b.c".into(),
        format!("{good}.more"),
        good.rsplit_once('.').unwrap().0.to_owned(),
        format!("{}.", good.rsplit_once('.').unwrap().0),
        jwt(r#"{"alg":"none"}"#, claims),
        jwt(r#"{"alg":"RS256"}"#, claims),
        jwt("{}", claims),
        jwt("not json", claims),
        jwt(header, r#"{"sub":"u"}"#),
        jwt(header, r#"{"identity":{"user":"u"}}"#),
        jwt(header, r#"{"identity":{"user":"","company":"c"}}"#),
        jwt(header, r#"{"identity":{"user":1,"company":"c"}}"#),
        jwt(header, r#"{"identity":"u"}"#),
    ] {
        assert!(!is_clearml_token(text.as_bytes()), "{text}");
    }
}

#[test]
fn only_what_looks_like_a_key_of_clearml_is_claimed() {
    let claimed = |name: &str, secret: &str| {
        let value = format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")));
        read(&headers(&[("authorization", &value)]), &names(None)).header
    };
    let given = Header::Given(ClearmlCredential::KeyPair {
        key: KEY.into(),
        secret: Secret::new("a:b"),
    });
    assert_eq!(claimed(KEY, "a:b"), given);
    assert_eq!(claimed(KEY, ""), Header::Rejected);
    for name in [
        "alice",
        "",
        &KEY[..19],
        &KEY.to_lowercase(),
        &KEY.repeat(3),
        "ABCDEFGHIJKLMNOPQRS-",
    ] {
        assert_eq!(claimed(name, "secret"), Header::Absent, "{name}");
    }
}

#[test]
fn our_own_header_takes_no_passwords() {
    let value = format!("Basic {}", STANDARD.encode("alice:hunter2"));
    let headers = headers(&[(GATEWAY_AUTHORIZATION, &value)]);
    assert_eq!(read(&headers, &names(None)).header, Header::Rejected);
}

#[test]
fn headers_count_in_their_order_and_only_the_one_that_counts_is_taken() {
    let [ours, theirs, protocol] = [1, 2, 3].map(|n| {
        jwt(
            r#"{"alg":"HS256"}"#,
            &format!(r#"{{"identity":{{"user":"u{n}","company":"c"}}}}"#),
        )
    });
    let all = [
        ("x-gateway-authorization", format!("bearer {ours}")),
        ("authorization", format!("Bearer {theirs}")),
        (
            "sec-websocket-protocol",
            format!("chat, portico.bearer.{protocol} , v2"),
        ),
    ];
    let given = |token: &str| Header::Given(ClearmlCredential::Token(Secret::new(token)));
    for (from, expected, passed_on) in [
        (
            0,
            &ours,
            vec![
                ("authorization", all[1].1.as_str()),
                ("sec-websocket-protocol", "chat, v2"),
            ],
        ),
        (1, &theirs, vec![("sec-websocket-protocol", "chat, v2")]),
        (2, &protocol, vec![("sec-websocket-protocol", "chat, v2")]),
    ] {
        let pairs: Vec<(&str, &str)> = all[from..]
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(read(&headers(&pairs), &names(None)).header, given(expected));
        let passed_on: Vec<(String, String)> = passed_on
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(stripped(&pairs), passed_on);
    }
}

#[test]
fn two_credentials_in_one_kind_of_header_are_rejected() {
    let bearer = format!("Bearer {}", token());
    let item = format!("portico.bearer.{}", token());
    for pairs in [
        vec![
            (GATEWAY_AUTHORIZATION, bearer.as_str()),
            (GATEWAY_AUTHORIZATION, "Basic x"),
        ],
        vec![("authorization", "Bearer own"), ("authorization", bearer.as_str())],
        vec![
            ("sec-websocket-protocol", item.as_str()),
            ("sec-websocket-protocol", item.as_str()),
        ],
        vec![("sec-websocket-protocol", "portico.bearer.garbage")],
        vec![(GATEWAY_AUTHORIZATION, "")],
        vec![(GATEWAY_AUTHORIZATION, "Bearer")],
    ] {
        assert_eq!(
            read(&headers(&pairs), &names(None)).header,
            Header::Rejected,
            "{pairs:?}"
        );
    }
    let own = [("authorization", "Bearer one"), ("authorization", "Bearer two")];
    assert_eq!(read(&headers(&own), &names(None)).header, Header::Absent);
}

#[test]
fn a_name_of_ours_spelled_otherwise_is_believed_by_nobody() {
    for name in [
        "x_gateway_authorization",
        "x-gateway_authorization",
        "x.gateway.authorization",
        "xgateway-authorization",
    ] {
        let bearer = format!("Bearer {}", token());
        assert_eq!(
            read(&headers(&[(name, &bearer)]), &names(None)).header,
            Header::Absent,
            "{name}"
        );
    }
}

/// Class 6.
#[test]
fn credentials_are_not_passed_on() {
    let token = token();
    let quoted = format!("note=\"{token}\"");
    let encoded = format!("note={}", token.replace('.', "%2E"));
    let cookies = [
        "portico-session-01234567=v1.a.b",
        "__Host-portico-session-01234567=v1.a.b",
        "__Secure-portico-x=1",
        "PORTICO=1",
        "portico",
        "=portico-session-01234567=v1.a.b",
        "clearml_token_basic=x",
        "clearml-token-k8s=x",
        "allegro_token_abc=x",
        "my_cookie=x",
        "My_Cookie=x",
        &format!("anything={token}"),
        &quoted,
        &encoded,
        &token,
    ];
    for cookie in cookies {
        assert_eq!(stripped(&[("cookie", cookie)]), [], "{cookie}");
        let among = format!("a=1; {cookie};b=2 ;{cookie}");
        assert_eq!(
            stripped(&[("cookie", &among)]),
            [("cookie".into(), "a=1; b=2".into())],
            "{cookie}"
        );
        let crumbs = [("cookie", "a=1"), ("cookie", cookie), ("cookie", "b=2")];
        assert_eq!(stripped(&crumbs), [("cookie".into(), "a=1; b=2".into())], "{cookie}");
    }
}

#[test]
fn an_applications_own_headers_and_cookies_pass_untouched() {
    let pairs = [
        ("authorization", "Bearer my-api-key"),
        ("cookie", "_xsrf=2|a;session=\"x y\";  jwt=a.b.c;not-portico=1;empty="),
        ("sec-websocket-protocol", "v1.kernel.websocket.jupyter.org"),
        ("x-gatewayed", "1"),
        ("x-gateway", "1"),
        ("x-forwarded-user", "me"),
    ];
    let expected: Vec<(String, String)> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    assert_eq!(stripped(&pairs), expected);
}

#[test]
fn an_applications_set_cookie_of_our_names_is_dropped() {
    let token = token();
    let mut answer = HeaderMap::new();
    for value in [
        "_xsrf=1; Path=/",
        "portico-session-01234567=stolen; Path=/",
        "__Host-portico-session-01234567=stolen; Path=/; Secure",
        " portico-nonce-1 =x",
        "=portico-session-01234567=x",
        "clearml_token_basic=x; Domain=example.com",
        "Allegro_Token=x",
        "my_cookie=x",
        &format!("innocent={token}; Path=/"),
        "theme=dark",
    ] {
        answer.append(SET_COOKIE, value.parse().unwrap());
    }
    strip_set_cookie(&mut answer, &names(Some("my_cookie")));
    let kept: Vec<&HeaderValue> = answer.get_all(SET_COOKIE).iter().collect();
    assert_eq!(kept, ["_xsrf=1; Path=/", "theme=dark"]);
}

#[test]
fn the_configured_cookie_takes_the_place_of_the_defaults() {
    let cookie = format!(
        "clearml_token_basic={}; my_cookie={}; allegro_token={}",
        token(),
        token(),
        token()
    );
    let headers = headers(&[("cookie", &cookie)]);
    assert_eq!(read(&headers, &names(Some("my_cookie"))).clearml.len(), 1);
    assert_eq!(read(&headers, &names(None)).clearml.len(), 2);
    assert_eq!(read(&headers, &names(Some(" "))).clearml.len(), 2);
}

fn arbitrary_name() -> impl Strategy<Value = HeaderName> {
    let near = "[xX][-_.~!][gG]ateway[-_.~^]([aA]uthorization|user|[a-z]{1,8})";
    prop_oneof![near, "[!#$%&'*+.^_`|~0-9a-zA-Z-]{1,30}"]
        .prop_filter_map("a header's name", |name| HeaderName::from_bytes(name.as_bytes()).ok())
}

fn arbitrary_value() -> impl Strategy<Value = HeaderValue> {
    let token = token();
    let ours = [
        "portico-session-01234567=v1.a.b".to_owned(),
        "__Host-portico-x=1".into(),
        format!("x={token}"),
        format!("y={}", token.replace('.', "%2e")),
        "PORTICO-seen=1".into(),
        "MY_cookie=1".into(),
        "theme=dark; a.b=c.d".into(),
        format!("portico.bearer.{token}"),
        format!("Bearer {token}"),
    ];
    let piece = prop_oneof![
        prop::sample::select(ours.to_vec()),
        "[ -~]{0,20}",
        prop::sample::select(vec!["; ", ";", ",", ", ", "=", "\"", " "]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..6)
        .prop_map(|pieces| pieces.concat())
        .prop_filter_map("a header's value", |value| HeaderValue::try_from(value).ok())
}

/// What is left of cookies, in the plainest words: piece by piece, everything copied.
fn plainly_stripped(lines: &[HeaderValue], names: &CookieNames) -> Vec<Vec<u8>> {
    let all: Vec<Vec<u8>> = lines
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .map(|piece| piece.trim_ascii().to_vec())
        .filter(|piece| !piece.is_empty())
        .collect();
    let is_kept = |piece: &&Vec<u8>| {
        let text = String::from_utf8_lossy(piece).into_owned();
        let text = text.trim_start_matches([' ', '\t', '=']);
        let (name, value) = text.split_once('=').unwrap_or((text, text));
        let name = name.trim().to_lowercase();
        let value = value.trim();
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(value);
        let beginnings = [
            "portico",
            "__host-portico",
            "__secure-portico",
            "clearml_token",
            "clearml-token",
            "allegro_token",
        ];
        !beginnings.iter().any(|beginning| name.starts_with(beginning))
            && names
                .clearml
                .as_ref()
                .is_none_or(|configured| name != configured.to_lowercase())
            && !is_clearml_token(value.as_bytes())
            && !is_clearml_token(&percent_decoded(value.as_bytes()))
    };
    let kept: Vec<Vec<u8>> = all.iter().filter(is_kept).cloned().collect();
    match lines {
        [line] if kept.len() == all.len() => vec![line.as_bytes().to_vec()],
        _ if kept.is_empty() => Vec::new(),
        _ => vec![kept.join(b"; ".as_slice())],
    }
}

#[test]
fn of_several_cookies_with_one_name_the_last_four_count_and_the_last_first() {
    let names = names(None);
    let cookie = ["a", "b", "c", "d", "e"]
        .map(|value| format!("{}=sealed-{value}", names.session()))
        .join("; ");
    let headers = headers(&[
        ("cookie", &cookie),
        ("cookie", &format!("{}=sealed-f", names.session())),
    ]);
    let presented = read(&headers, &names);
    let order: Vec<&str> = presented.sessions.iter().map(CookieValue::reveal).collect();
    assert_eq!(order, ["sealed-f", "sealed-e", "sealed-d", "sealed-c"]);
    let shown = format!("{presented:?}");
    assert!(!shown.contains("sealed-"), "{shown}");
}

proptest! {
    /// One pass and the plain way lead to the same.
    #[test]
    fn cookies_are_stripped_to_the_byte(
        lines in prop::collection::vec(arbitrary_value(), 1..4),
        configured in prop::sample::select(vec![None, Some("My_Cookie"), Some("x")]),
    ) {
        let names = names(configured);
        let mut headers = HeaderMap::new();
        for line in &lines {
            headers.append(COOKIE, line.clone());
        }
        strip_request(&mut headers, &names);
        let left: Vec<Vec<u8>> = headers.get_all(COOKIE).iter().map(|line| line.as_bytes().to_vec()).collect();
        prop_assert_eq!(left, plainly_stripped(&lines, &names));
    }

    /// Class 1: whatever a client sends, no header arrives that a framework could take for one of ours.
    #[test]
    fn no_client_byte_makes_a_header_of_ours(
        sent in prop::collection::vec((arbitrary_name(), arbitrary_value()), 0..12)
    ) {
        let mut headers: HeaderMap = HeaderMap::new();
        for (name, value) in sent {
            headers.append(name, value);
        }
        strip_request(&mut headers, &names(None));
        for name in headers.keys() {
            prop_assert!(!variable(name).starts_with("X_GATEWAY_"), "{name}");
        }
    }

    /// Class 6: whatever surrounds our cookies and tokens, they do not arrive.
    #[test]
    fn no_cookie_or_sub_protocol_of_ours_arrives(
        cookies in prop::collection::vec(arbitrary_value(), 0..5),
        protocols in prop::collection::vec(arbitrary_value(), 0..5),
    ) {
        let mut headers: HeaderMap = HeaderMap::new();
        for value in cookies {
            headers.append(COOKIE, value);
        }
        for value in protocols {
            headers.append(SEC_WEBSOCKET_PROTOCOL, value);
        }
        strip_request(&mut headers, &names(None));
        for value in headers.get_all(COOKIE) {
            for piece in value.to_str().unwrap().split(';') {
                let name = piece.trim_start_matches([' ', '=']);
                prop_assert!(!name.starts_with("portico") && !name.starts_with("__Host-portico"), "{piece}");
                let value = piece.split_once('=').map_or(piece, |(_, value)| value).trim().trim_matches('"');
                prop_assert!(value != token(), "{piece}");
            }
        }
        for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
            for item in value.to_str().unwrap().split(',') {
                prop_assert!(!item.trim().starts_with(SUB_PROTOCOL), "{item}");
            }
        }
        prop_assert!(headers.get_all(COOKIE).iter().count() <= 1);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let mut headers = HeaderMap::new();
            let ours = HeaderName::from_static(GATEWAY_AUTHORIZATION);
            for name in [COOKIE, AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL, ours] {
                headers.append(name, value.clone());
            }
            let _ = read(&headers, &names(None));
            strip_request(&mut headers, &names(None));
        }
        let _ = is_clearml_token(&bytes);
        let _ = percent_decoded(&bytes);
    }
}
