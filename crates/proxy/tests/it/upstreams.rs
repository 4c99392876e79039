//! Connections to applications, and the records of exchanges.

use portico_core::access::Who;

use crate::{
    gateway::{Gateway, SHORT, Spec, as_user, gateway, path, request, task},
    peers::{behaves, misbehaves},
    world::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_used_again() {
    let peer = behaves::says("").await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut client = gateway.connect().await;
    for _ in 0..20 {
        client.send(request(&path("/"), &as_user("alice"))).await;
        assert_eq!(client.reply().await.status, 200);
    }
    let counts = gateway.counters.threads()[0];
    assert_eq!((counts.accepted, counts.dialed, counts.reused), (1, 1, 19));
    assert_eq!(peer.seen.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_are_closed() {
    let peer = behaves::says("").await;
    let gateway = Gateway::start(&[Spec::at(peer.address)], Who::Visible, |settings| {
        settings.timeouts.upstream_idle = SHORT;
    })
    .await;
    gateway.get(&path("/")).await;
    eventually("the application is told", || (peer.seen.ended() == 1).then_some(())).await;
    assert_eq!(gateway.get(&path("/")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_idle_connections_are_kept() {
    let peer = behaves::takes_its_time(SHORT).await;
    let gateway = Gateway::start(&[Spec::at(peer.address)], Who::Visible, |settings| {
        settings.limits.idle_per_endpoint = 2;
    })
    .await;
    let to = path("/");
    futures_util::future::join_all((0..8).map(|_| gateway.get(&to))).await;
    eventually("six are closed", || (peer.seen.ended() == 6).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_can_be_repeated_survives_a_connection_that_just_closed() {
    let peer = misbehaves::closes_when_reused().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    for _ in 0..4 {
        assert_eq!(gateway.get(&path("/")).await.body, "once");
    }
    assert!(gateway.counters.threads()[0].retried >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_repeated_is_sent_once() {
    let peer = misbehaves::closes_when_reused().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    assert_eq!(gateway.get(&path("/")).await.status, 200);
    let post = format!(
        "POST {} HTTP/1.1\r\nHost: gw.test\r\n{}Content-Length: 1\r\n\r\nx",
        path("/once"),
        as_user("alice")
    );
    assert_eq!(gateway.raw(post).await.code(), "upstream_broken");
    assert_eq!(
        peer.seen
            .requests()
            .iter()
            .filter(|request| request.contains("/once"))
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_one_endpoint_serve_no_other() {
    let (one, two) = (
        behaves::says("X-App: one\r\n").await,
        behaves::says("X-App: two\r\n").await,
    );
    let mut second = Spec::at(two.address);
    second.task = 2;
    let gateway = gateway(&[Spec::at(one.address), second.clone()]).await;
    gateway.get(&path("/")).await;
    // Task 1 moves to where task 2 was, and the other way round.
    let (mut first, mut moved) = (Spec::at(two.address), Spec::at(one.address));
    (first.task, moved.task) = (1, 2);
    gateway.publish(&[first, moved]);
    assert_eq!(gateway.get(&path("/")).await.header("x-app").as_deref(), Some("two"));
    assert_eq!(
        gateway
            .get(&format!("/service/{}/", task(2)))
            .await
            .header("x-app")
            .as_deref(),
        Some("one")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_exchange_is_recorded_once() {
    let peer = behaves::echoes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let secret = "token=very-secret";
    gateway.get(&path(&format!("/a?{secret}"))).await;
    gateway.get_with(&path("/b"), "").await;
    gateway
        .raw("GET /_gateway/login HTTP/1.1\r\nHost: gw.test\r\n\r\n")
        .await;
    gateway.raw("GET / HTTP/1.1\r\n\r\n").await;
    let post = format!(
        "POST {} HTTP/1.1\r\nHost: gw.test\r\n{}Content-Length: 3\r\n\r\nxyz",
        path("/c"),
        as_user("bob")
    );
    gateway.raw(post).await;
    let records = eventually("five records", || {
        Some(gateway.records.all()).filter(|records| records.len() == 5)
    })
    .await;
    assert!(!format!("{records:?}").contains("secret"));
    let told: Vec<_> = records
        .iter()
        .map(|record| {
            (
                record.kind.word(),
                record.status.unwrap().as_u16(),
                record.refusal,
                record.principal.as_ref().map(ToString::to_string),
                record.endpoint.is_some(),
                record.received,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("http", 200, None, Some("alice".to_owned()), true, 0),
            ("http", 401, Some("log_in_required"), None, false, 0),
            ("page", 200, None, None, false, 0),
            ("http", 400, Some("bad_host"), None, false, 0),
            ("http", 200, None, Some("bob".to_owned()), true, 3),
        ]
    );
    let first = &records[0];
    assert_eq!(first.path, path("/a"));
    assert!(first.is_complete && first.connect.is_some() && first.first_byte.unwrap() <= first.total && first.sent > 0);
    assert!(records[4].connect.is_none(), "the connection was at hand");
}
