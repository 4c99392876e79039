//! What a visitor is told when the application does not answer.

use std::time::Duration;

use portico_core::{access::Who, endpoint::Prefix, observe::TaskStatus};
use portico_proxy::{Probe, probe};
use tokio::net::TcpListener;

use crate::{
    gateway::{Gateway, SHORT, Spec, as_user, gateway, now, path, request},
    peers::{Peer, behaves, misbehaves, nowhere},
    world::eventually,
};

/// Longer than anything takes that comes to an end.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a visitor is told if the application may take so long.
async fn code(spec: Spec, patience: Duration) -> (u16, String) {
    let gateway = Gateway::start(&[spec], Who::Visible, |settings| {
        settings.timeouts.response_headers = patience;
        settings.timeouts.connect = PATIENCE;
    })
    .await;
    let reply = gateway.get(&path("/")).await;
    let record = eventually("a record", || gateway.records.all().pop()).await;
    let refusal = record.refusal;
    assert_eq!(refusal.unwrap(), reply.code());
    (reply.status, reply.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_not_answering_has_its_refusal() {
    for (what, peer, expected) in [
        ("stalls", misbehaves::stalls().await, (504, "upstream_timeout")),
        (
            "never reads",
            misbehaves::never_reads().await,
            (504, "upstream_timeout"),
        ),
        ("half-closes", misbehaves::half_closes().await, (502, "upstream_broken")),
        ("resets", misbehaves::resets().await, (502, "upstream_broken")),
        (
            "answers garbage",
            misbehaves::answers_garbage().await,
            (502, "upstream_broken"),
        ),
        (
            "oversized header",
            misbehaves::oversized_header().await,
            (502, "upstream_broken"),
        ),
        (
            "switches unasked",
            misbehaves::switches_unasked().await,
            (502, "upstream_broken"),
        ),
    ] {
        let patience = if expected.0 == 504 { SHORT } else { PATIENCE };
        let got = code(Spec::at(peer.address), patience).await;
        assert_eq!((got.0, got.1.as_str()), expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_means_starting_at_first_and_then_not_listening() {
    for prefix in [Prefix::Cut, Prefix::Auto] {
        let mut spec = Spec::at(nowhere().await);
        spec.prefix = prefix;
        spec.started = Some(now());
        let gateway = gateway(&[spec.clone()]).await;
        let reply = gateway.get(&path("/")).await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "starting"));
        assert_eq!(reply.header("retry-after").as_deref(), Some("2"));
        gateway.clock.advance(Duration::from_mins(16));
        let reply = gateway.get(&path("/")).await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "not_listening"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_once_listened_is_not_starting() {
    // An address of its own: another test could get the port of 127.0.0.1 that is given back here.
    let listener = TcpListener::bind("127.0.0.77:0").await.unwrap();
    let peer = Peer::on(listener, |stream, seen| {
        behaves::answering(stream, seen, |_| behaves::ok("", "ok"))
    });
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    assert_eq!(gateway.get(&path("/")).await.status, 200);
    drop(peer);
    let code = loop {
        // What was accepted before the listener closed may still end in another way.
        let code = gateway.get(&path("/")).await.code();
        if code != "upstream_broken" {
            break code;
        }
    };
    assert_eq!(code, "not_listening");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_comes_up_is_found() {
    let free = nowhere().await;
    let mut spec = Spec::at(free);
    spec.prefix = Prefix::Auto;
    let gateway = gateway(&[spec]).await;
    assert_eq!(gateway.get(&path("/")).await.code(), "starting");
    assert_eq!(probe(free, PATIENCE).await, Probe::Refused);
    let listener = TcpListener::bind(free).await.unwrap();
    let _peer = Peer::on(listener, |stream, seen| {
        behaves::answering(stream, seen, |_| behaves::ok("", "up"))
    });
    assert_eq!(gateway.get(&path("/")).await.body, "up");
    assert_eq!(probe(free, PATIENCE).await, Probe::Listening);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_task_says_so_to_those_who_may_see_it() {
    let mut spec = Spec::at(nowhere().await);
    spec.status = TaskStatus::Completed;
    let gateway = gateway(&[spec]).await;
    let reply = gateway.get(&path("/")).await;
    assert_eq!((reply.status, reply.code().as_str()), (410, "ended"));
    assert_eq!(gateway.get_with(&path("/"), "").await.code(), "log_in_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_pages_for_people_and_json_for_programs() {
    let gateway = gateway(&[Spec::at(nowhere().await)]).await;
    let page = gateway
        .get_with(&path("/"), &format!("{}Accept: text/html\r\n", as_user("alice")))
        .await;
    assert_eq!(page.header("content-type").as_deref(), Some("text/html; charset=utf-8"));
    assert!(
        page.body.starts_with("<!doctype html>") && page.body.contains("The application is starting"),
        "{}",
        page.body
    );
    let json = gateway.get(&path("/")).await;
    assert_eq!(json.header("content-type").as_deref(), Some("application/json"));
    assert!(
        json.body.contains(&json.header("x-request-id").unwrap()),
        "{}",
        json.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_gets_to_see_its_answer() {
    let gateway = gateway(&[]).await;
    let body = "x".repeat(2 * 1024 * 1024);
    let mut client = gateway.connect().await;
    client
        .send(format!(
            "POST {} HTTP/1.1\r\nHost: gw.test\r\nContent-Length: {}\r\n\r\n{body}",
            path("/"),
            body.len()
        ))
        .await;
    assert_eq!(client.reply().await.status, 401);
    client.send(request("/_gateway/health", "")).await;
    assert_eq!(
        client.reply().await.status,
        200,
        "the connection is good for the next request"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_first_whether_to_send_a_body_is_refused_without_it() {
    let gateway = gateway(&[]).await;
    let mut client = gateway.connect().await;
    client
        .send(format!(
            "POST {} HTTP/1.1\r\nHost: gw.test\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n",
            path("/")
        ))
        .await;
    assert!(client.head().await.unwrap().starts_with("HTTP/1.1 401"));
}
