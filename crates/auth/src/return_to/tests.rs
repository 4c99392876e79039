#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use proptest::prelude::*;
use url::Url;

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn site() -> Site {
    Site {
        name: "test".into(),
        router: Origin::parse("https://gw.example.com").unwrap(),
        console: Some(Origin::parse("https://console.example.com:8443").unwrap()),
        extra_hosts: vec!["gw.internal:8080".into()],
    }
}

fn led(asked: &str) -> String {
    return_to(Some(asked), &site())
}

#[test]
fn a_path_of_ours_is_returned_to_as_it_is() {
    for path in [
        "/",
        &format!("/service/{ID}/"),
        &format!("/service/{ID}__ui/lab/tree/a%20b.ipynb?reset&x=%2F%2Fy#top"),
        &format!("/service/{ID}/a//b/c;d=e/%41%25/~x/...?next=https://other.example/&up=%5C.."),
        "/_gateway/open?router=main&task=0123&path=%2F%2Fevil",
        "/_gateway/loginname",
        "/a.b/..c/.d/...",
    ] {
        assert_eq!(led(path), path);
    }
}

#[test]
fn a_url_of_one_of_our_hosts_becomes_its_path() {
    for (url, path) in [
        ("https://gw.example.com/a?b", "/a?b"),
        ("HTTPS://GW.example.com/a", "/a"),
        ("https://gw.example.com", "/"),
        ("https://console.example.com:8443/x", "/x"),
        ("http://gw.internal:8080/x", "/x"),
        ("https://gw.internal:8080/x", "/x"),
    ] {
        assert_eq!(led(url), path, "{url}");
    }
}

/// Class 5.
#[test]
fn everything_else_leads_home() {
    let long = format!("/{}", "a".repeat(4096));
    assert_eq!(led(&long[..4096]), long[..4096]);
    for hostile in [
        "",
        "evil.example",
        "service/x",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\\/evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/ /evil.example",
        "/\u{0}/evil.example",
        "/\u{a0}/evil.example",
        "/\u{2044}/evil.example",
        "/%2fevil.example",
        "/%2F%2Fevil.example",
        "/%252fevil.example",
        "/%25252fevil.example",
        "/%5cevil.example",
        "/%5Cevil.example",
        "/%09/evil.example",
        "/%0d%0aLocation:%20https://evil.example",
        "/%00",
        "/./evil",
        "/../evil",
        "/..//evil.example",
        "/.//evil.example",
        "/a/..//evil.example",
        "/a/%2e%2e//evil.example",
        "/a/%2E./x",
        "/a/%252e%252e/x",
        "/a/.",
        "/a?next=\\evil.example",
        "/a/..",
        "https://evil.example/",
        "http://gw.example.com/",
        "https://gw.example.com:444/",
        "https://gw.example.com.evil.example/",
        "https://gw.example.com@evil.example/",
        "https://evil.example\\@gw.example.com/",
        "https://evil.example#gw.example.com/",
        "https://evil.example?gw.example.com/",
        "https://evil.example;gw.example.com/",
        "https://gw.example.com//evil.example",
        "https://gw.example.com/\\evil.example",
        "https://gw.example.com\\evil.example",
        "https://gw.example.com?x",
        "https:///gw.example.com/",
        "https:gw.example.com/",
        "https:/evil.example",
        "https://",
        "http://console.example.com:8443/",
        "ftp://gw.internal:8080/x",
        "javascript://gw.example.com/%0aalert(1)",
        "javascript:alert(1)",
        "data:text/html,x",
        "//gw.example.com/",
        "?next=//evil.example",
        "#//evil.example",
        "/_gateway/login",
        "/_gateway/login?return_to=/_gateway/login",
        "/_gateway/%6cogin",
        "/_gateway/logout",
        "/_gateway/callback?code=x",
        &long,
    ] {
        assert_eq!(led(hostile), "/", "{hostile:?}");
    }
    assert_eq!(return_to(None, &site()), "/");
}

fn piece() -> impl Strategy<Value = String> {
    let tricks = [
        "/",
        "//",
        "\\",
        ".",
        "..",
        "%2f",
        "%5c",
        "%2e",
        "%252f",
        "%09",
        "\t",
        "\n",
        "\r",
        "\0",
        " ",
        "@",
        ":",
        "#",
        "?",
        ";",
        "http:",
        "https:",
        "https://",
        "javascript:",
        "evil.example",
        "gw.example.com",
        "console.example.com:8443",
        "gw.internal:8080",
        "a",
        "[::1]",
        "\u{ff0f}",
        "\u{3002}",
        "_gateway",
        "login",
    ];
    prop_oneof![
        4 => prop::sample::select(tricks.to_vec()).prop_map(str::to_owned),
        1 => ".{0,4}",
    ]
}

proptest! {
    /// Class 5: wherever the result is sent from, a browser stays on that host, and so does whoever decodes it once
    /// more.
    #[test]
    fn a_redirect_never_leaves_the_host(pieces in prop::collection::vec(piece(), 0..10)) {
        let asked = pieces.concat();
        let led = led(&asked);
        for base in [
            "https://gw.example.com/_gateway/login?x",
            "https://console.example.com:8443/deep/path",
            "http://gw.internal:8080/",
        ] {
            let base = Url::parse(base).unwrap();
            let target = base.join(&led).unwrap();
            prop_assert_eq!(target.origin(), base.origin(), "{} led to {}", asked, led);
            prop_assert!(target.username().is_empty());
            prop_assert!(!target.path().starts_with("//"), "{}", led);
            let again = String::from_utf8(decoded(led.as_bytes())).unwrap_or_default();
            if let Ok(target) = base.join(&again) {
                prop_assert_eq!(target.origin(), base.origin(), "{} decoded to {}", led, again);
            }
        }
        prop_assert!(led.starts_with('/') && !led.starts_with("//"));
        prop_assert!(http::HeaderValue::try_from(&*led).is_ok());
        prop_assert_eq!(return_to(Some(&led), &site()), led, "a result is its own result");
    }
}
