//! Class 23: what an application says about the whole origin is bounded to its prefix. Class 26: and what it says to caches.

use portico_core::{access::Who, endpoint::Prefix};

use crate::{
    gateway::{Gateway, Spec, gateway, path},
    peers::behaves,
};

async fn answer(headers: &'static str, prefix: Prefix) -> crate::raw::Reply {
    let peer = behaves::says(headers).await;
    let mut spec = Spec::at(peer.address);
    spec.prefix = prefix;
    gateway(&[spec]).await.get(&path("/a")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_bounded_to_its_prefix() {
    let reply = answer(
        "Location: /login\r\nContent-Location: http://gw.test/a\r\nRefresh: 0; url=/b\r\nSet-Cookie: a=1; Path=/; Domain=gw.test\r\nSet-Cookie: b=2\r\n\
         Service-Worker-Allowed: /\r\nClear-Site-Data: \"*\"\r\nAlt-Svc: h3=\":443\"\r\nNEL: {}\r\nReport-To: {}\r\nReporting-Endpoints: a=\"/\"\r\n\
         Strict-Transport-Security: max-age=1\r\nKeep-Alive: timeout=1\r\nX-App: 1\r\n",
        Prefix::Cut,
    )
    .await;
    for (name, value) in [
        ("location", Some(path("/login"))),
        ("content-location", Some(path("/a"))),
        ("refresh", Some(format!("0; url={}", path("/b")))),
        ("set-cookie", Some(format!("a=1; Path={}|b=2", path("/")))),
        ("service-worker-allowed", Some(path("/"))),
        ("x-app", Some("1".to_owned())),
        ("clear-site-data", None),
        ("alt-svc", None),
        ("nel", None),
        ("report-to", None),
        ("reporting-endpoints", None),
        ("strict-transport-security", None),
        ("keep-alive", None),
    ] {
        assert_eq!(reply.header(name), value, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_knows_its_prefix_is_left_as_it_is() {
    let reply = answer(
        "Location: /service/00000000000000000000000000000001/lab\r\nSet-Cookie: a=1; Path=/service/00000000000000000000000000000001/\r\n",
        Prefix::Keep,
    )
    .await;
    assert_eq!(reply.header("location"), Some(path("/lab")));
    assert_eq!(reply.header("set-cookie"), Some(format!("a=1; Path={}", path("/"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_closed_endpoints_are_private() {
    for (given, expected) in [
        ("", "private"),
        (
            "Cache-Control: public, max-age=60, s-maxage=60\r\nCDN-Cache-Control: max-age=60\r\nSurrogate-Control: max-age=60\r\n",
            "max-age=60, private",
        ),
        (
            "Cache-Control: max-age=60\r\nCache-Control: public\r\n",
            "max-age=60, private",
        ),
    ] {
        let reply = answer(given, Prefix::Cut).await;
        assert_eq!(reply.header("cache-control").as_deref(), Some(expected), "{given}");
        assert_eq!(
            (reply.header("cdn-cache-control"), reply.header("surrogate-control")),
            (None, None)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_answers_are_never_kept() {
    let gateway = gateway(&[]).await;
    for (path, headers) in [
        ("/nowhere", ""),
        ("/nowhere", "Accept: text/html\r\n"),
        ("/nowhere", crate::gateway::NAVIGATION),
        ("/", ""),
        ("/_gateway/x", ""),
    ] {
        let reply = gateway.get_with(path, headers).await;
        assert_eq!(reply.header("cache-control").as_deref(), Some("no-store"), "{path}");
        assert_eq!(
            reply.header("x-content-type-options").as_deref(),
            Some("nosniff"),
            "{path}"
        );
    }
    let refused = gateway.get_with("/nowhere", "").await;
    assert!(
        refused
            .header("content-security-policy")
            .unwrap()
            .contains("default-src 'none'")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_renews_a_session_is_private_even_if_the_endpoint_is_public() {
    let peer = behaves::says("Cache-Control: public, max-age=60\r\n").await;
    let gateway = Gateway::start(&[Spec::at(peer.address)], Who::Public, |_| {}).await;
    let (cookie, _) = gateway.session("alice");
    gateway.clock.advance(std::time::Duration::from_hours(20));
    let reply = gateway.get_with(&path("/"), &format!("Cookie: {cookie}\r\n")).await;
    assert!(reply.header("set-cookie").unwrap().contains("portico-session"));
    assert_eq!(reply.header("cache-control").as_deref(), Some("max-age=60, private"));
}
