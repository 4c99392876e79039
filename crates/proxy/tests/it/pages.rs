//! Portico's own pages, and the health check.

use std::time::Duration;

use portico_core::access::Who;
use tokio::time::timeout;

use crate::{
    gateway::{Gateway, SHORT, gateway, request},
    world::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn health_is_answered_for_any_host() {
    let gateway = gateway(&[]).await;
    for host in ["gw.test", "10.0.0.1:8080", "whatever"] {
        let reply = gateway
            .raw(format!("GET /_gateway/health HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "ok\n"), "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_paths_lead_to_the_page_desk_with_their_visitor() {
    let gateway = gateway(&[]).await;
    for path in ["/", "/_gateway", "/_gateway/login?return_to=x", "/_gateway/healthy"] {
        let reply = gateway.get_with(path, "").await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(
            reply
                .body
                .starts_with(&format!("GET {path} Some(Visitor {{ address: 127.0.0.1")),
            "{}",
            reply.body
        );
        assert!(
            reply.body.contains(&reply.header("x-request-id").unwrap()),
            "{}",
            reply.body
        );
    }
    assert_eq!(gateway.get_with("/_gatewayx", "").await.status, 401);
    let other = gateway
        .raw("GET /_gateway/login HTTP/1.1\r\nHost: evil.test\r\n\r\n")
        .await;
    assert_eq!(other.code(), "unknown_host");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_too_large_is_refused() {
    let gateway = Gateway::start(&[], Who::Visible, |settings| settings.limits.page_body_bytes = 100).await;
    let post = |size: usize| {
        format!(
            "POST /_gateway/login HTTP/1.1\r\nHost: gw.test\r\nContent-Length: {size}\r\n\r\n{}",
            "x".repeat(size)
        )
    };
    assert_eq!(gateway.raw(post(100)).await.status, 200);
    assert_eq!(gateway.raw(post(101)).await.status, 431);
}

/// Class 16: a connection that says nothing, or never comes to an end, is closed.
#[tokio::test(flavor = "multi_thread")]
async fn slow_headers_and_silent_connections_are_closed() {
    let gateway = Gateway::start(&[], Who::Visible, |settings| {
        settings.timeouts.request_headers = Duration::from_millis(100);
        settings.timeouts.keep_alive = Duration::from_secs(5);
    })
    .await;
    let mut silent = gateway.connect().await;
    let mut slow = gateway.connect().await;
    slow.send("GET / HTTP/1.1\r\nHo").await;
    assert!(slow.head().await.is_none());
    let end = timeout(SHORT, silent.stream.peek(&mut [0])).await;
    assert!(end.is_err(), "headers have less time than silence");
    eventually("only the silent one is left", || {
        (gateway.counters.threads()[0].connections == 1).then_some(())
    })
    .await;
    assert!(silent.head().await.is_none());
    eventually("both are gone", || {
        (gateway.counters.threads()[0].connections == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_visitor_does_not_hinder_another() {
    let gateway = gateway(&[]).await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut client = gateway.connect().await;
        client.send("GET /_gateway/health HTTP/1.1\r\nX: ").await;
        slow.push(client);
    }
    assert_eq!(gateway.get_with("/_gateway/health", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn header_bombs_are_refused() {
    let gateway = gateway(&[]).await;
    let large = format!("X-Large: {}\r\n", "x".repeat(70 * 1024));
    let many = "X: y\r\n".repeat(500);
    for headers in [large, many] {
        let reply = gateway.get_with("/_gateway/health", &headers).await;
        assert_eq!(reply.status, 431);
    }
    assert_eq!(
        gateway
            .get_with("/_gateway/health", &format!("X: {}\r\n", "x".repeat(60 * 1024)))
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_take_all_connections() {
    let gateway = Gateway::start(&[], Who::Visible, |settings| {
        settings.limits.connections_per_address = 2;
    })
    .await;
    let health = request("/_gateway/health", "");
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = gateway.connect().await;
        client.send(&health).await;
        assert_eq!(client.reply().await.status, 200);
        held.push(client);
    }
    let mut third = gateway.connect().await;
    assert!(third.head().await.unwrap().starts_with("HTTP/1.1 503"));
    held.pop();
    eventually("room again", || {
        (gateway.counters.threads()[0].connections == 1).then_some(())
    })
    .await;
    assert_eq!(gateway.get_with("/_gateway/health", "").await.status, 200);
}
