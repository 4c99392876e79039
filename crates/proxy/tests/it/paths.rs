//! Class 2: what is routed and decided is what the application sees.

use crate::{
    gateway::{Spec, as_user, gateway, path, task},
    peers::behaves,
};

/// The request line as the application saw it, or the refusal's code.
async fn asked(target: &str) -> String {
    let peer = behaves::echoes().await;
    let mut other = Spec::at(peer.address);
    other.task = 2;
    other.owner = "carol";
    other.address = behaves::says("").await.address;
    let gateway = gateway(&[Spec::at(peer.address), other]).await;
    let mut bytes = b"GET ".to_vec();
    bytes.extend(target.as_bytes());
    bytes.extend(format!(" HTTP/1.1\r\nHost: gw.test\r\n{}\r\n", as_user("alice")).as_bytes());
    let reply = gateway.raw(bytes).await;
    match peer.seen.requests().first() {
        Some(seen) => seen.lines().next().unwrap().to_owned(),
        None => format!("{} {}", reply.status, reply.code()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_paths_arrive_byte_by_byte() {
    for rest in [
        "/",
        "/a/b?c=d&e",
        "/a%20b%2Fc",
        "/a;v=1/b",
        "//a//b",
        "/%E2%82%AC?x=%E2%82%AC",
        "/?",
        "/?/../x",
        "/a?b=http://x/../y",
        "/~!$&'()*+,=:@",
    ] {
        assert_eq!(asked(&path(rest)).await, format!("GET {rest} HTTP/1.1"), "{rest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tricks_reach_no_application() {
    let other = task(2);
    for target in [
        path("/.."),
        path("/../"),
        path(&format!("/../{other}/")),
        path(&format!("/..%2f{other}/")),
        path(&format!("/%2e%2e/{other}/")),
        path(&format!("/%2E%2E%2F{other}/")),
        path(&format!("/.%2e/{other}/")),
        path(&format!("/..;/{other}/")),
        path(&format!("/..;a=b/{other}/")),
        path(&format!("/..\\{other}/")),
        path(&format!("/..%5c{other}/")),
        path("/./"),
        path("/a/."),
        path("/%2e"),
        path("/a%00b"),
        path("/a%0d%0aX-Forwarded-For:%20x"),
        path("/a\\b"),
        path("/ä"),
        format!("/./service/{}/", task(1)),
        format!("/x/../service/{}/", task(1)),
        format!("/_gateway/../service/{}/", task(1)),
    ] {
        let got = asked(&target).await;
        assert!(got.starts_with("400 "), "{target}: {got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn look_alikes_of_a_prefix_lead_nowhere() {
    let id = task(1);
    for target in [
        format!("//service/{id}/"),
        format!("/service//{id}/"),
        format!("/Service/{id}/"),
        format!("/%73ervice/{id}/"),
        format!("/service/{id};x/"),
        format!("/service/{id}%2F"),
        format!("/service;x/{id}/"),
        format!("/service%2F{id}/"),
    ] {
        let got = asked(&target).await;
        assert!(got.starts_with("404 "), "{target}: {got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_bytes_and_spaces_in_the_request_line_are_no_request() {
    for target in [
        path("/a b"),
        path("/a\tb"),
        path("/a\0b"),
        path("/a\x7fb"),
        path("/a\x1bb"),
    ] {
        let got = asked(&target).await;
        assert!(got.starts_with("400"), "{target:?}: {got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_forms_of_the_target_name_the_same_host_or_nothing() {
    let absolute = format!("http://gw.test{}", path("/a?b"));
    assert_eq!(asked(&absolute).await, "GET /a?b HTTP/1.1");
    for target in [
        format!("http://other.test{}", path("/")),
        format!("http://user@gw.test{}", path("/")),
        format!("http://gw.test:81{}", path("/")),
        "*".to_owned(),
        "gw.test:80".to_owned(),
        "service".to_owned(),
    ] {
        let got = asked(&target).await;
        assert!(got.starts_with("400 "), "{target}: {got}");
    }
}
