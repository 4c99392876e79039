//! Bodies that flow: events, large files both ways, and visitors or applications that leave in between.

use std::time::Duration;

use portico_proxy::record::Kind;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::broadcast,
};

use crate::{
    gateway::{Spec, as_user, gateway, path, request},
    peers::{behaves, misbehaves},
    world::eventually,
};

const LARGE: usize = 200 * 1024 * 1024;

/// Resident memory of this process, in bytes: the gateway runs inside it, and other tests beside it.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_one_by_one() {
    let (next, _) = broadcast::channel(16);
    let peer = behaves::sends_events(next.clone()).await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut client = gateway.connect().await;
    client.send(request(&path("/"), &as_user("alice"))).await;
    let head = client.head().await.unwrap();
    assert!(
        head.to_lowercase().contains("content-type: text/event-stream"),
        "{head}"
    );
    for number in 0..3 {
        next.send(format!("data: {number}\n\n")).unwrap();
        let expected = format!("9\r\ndata: {number}\n\n\r\n");
        let got = client.some(expected.len()).await;
        assert_eq!(String::from_utf8_lossy(&got), expected);
    }
    drop(client);
    eventually("the application is told that the visitor left", || {
        (peer.seen.ended() == 1).then_some(())
    })
    .await;
    let record = eventually("a record", || gateway.records.all().pop()).await;
    assert_eq!((record.kind, record.is_complete), (Kind::Events, false));
    assert_eq!(record.sent, 27);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_download_needs_no_memory() {
    let peer = behaves::sends_bytes(LARGE).await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut client = gateway.connect().await;
    client.send(request(&path("/"), &as_user("alice"))).await;
    client.head().await.unwrap();
    let before = resident();
    let mut count = client.some(0).await.len();
    let mut block = vec![0; 256 * 1024];
    let mut most = 0;
    while count < LARGE {
        count += client.stream.read(&mut block).await.unwrap();
        most = most.max(resident());
    }
    assert!(most < before + LARGE / 2, "grew by {} bytes", most - before);
    let record = eventually("a record", || gateway.records.all().pop()).await;
    assert_eq!((record.sent, record.is_complete), (LARGE as u64, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_needs_no_memory() {
    let peer = behaves::counts_bytes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut client = gateway.connect().await;
    client
        .send(format!(
            "POST {} HTTP/1.1\r\nHost: gw.test\r\n{}Content-Length: {LARGE}\r\n\r\n",
            path("/"),
            as_user("alice")
        ))
        .await;
    let before = resident();
    let block = vec![b'x'; 256 * 1024];
    let mut most = 0;
    for _ in 0..LARGE / block.len() {
        client.stream.write_all(&block).await.unwrap();
        most = most.max(resident());
    }
    assert!(most < before + LARGE / 2, "grew by {} bytes", most - before);
    assert_eq!(client.reply().await.body, LARGE.to_string());
    let record = eventually("a record", || gateway.records.all().pop()).await;
    assert_eq!((record.received, record.is_complete), (LARGE as u64, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_may_answer_before_the_upload_ends() {
    let peer = misbehaves::answers_early().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut client = gateway.connect().await;
    client
        .send(format!(
            "POST {} HTTP/1.1\r\nHost: gw.test\r\n{}Content-Length: 1000000\r\n\r\nsome",
            path("/"),
            as_user("alice")
        ))
        .await;
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.body.as_str()), (413, "large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_asked_for_when_somebody_wants_it() {
    let peer = behaves::echoes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut client = gateway.connect().await;
    client
        .send(format!(
            "POST {} HTTP/1.1\r\nHost: gw.test\r\n{}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n",
            path("/"),
            as_user("alice")
        ))
        .await;
    assert_eq!(client.head().await.unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("body").await;
    assert!(client.reply().await.body.ends_with("\r\n\r\nbody"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_leaves_cancels_the_request() {
    let peer = misbehaves::stalls().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut client = gateway.connect().await;
    client.send(request(&path("/"), &as_user("alice"))).await;
    eventually("the request is there", || peer.seen.requests().pop()).await;
    assert_eq!(gateway.exchanges.len(), 1);
    drop(client);
    eventually("the application is told", || (peer.seen.ended() == 1).then_some(())).await;
    let record = eventually("a record", || gateway.records.all().pop()).await;
    assert_eq!((record.status, record.is_complete), (None, false));
    assert!(gateway.exchanges.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_leaves_during_an_upload_breaks_it_off() {
    let peer = behaves::counts_bytes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut client = gateway.connect().await;
    client
        .send(format!(
            "POST {} HTTP/1.1\r\nHost: gw.test\r\n{}Content-Length: 100\r\n\r\nhalf",
            path("/"),
            as_user("alice")
        ))
        .await;
    eventually("the request is there", || peer.seen.requests().pop()).await;
    drop(client);
    eventually("the application is told", || (peer.seen.ended() == 1).then_some(())).await;
    eventually("a record", || gateway.records.all().pop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_body_is_not_taken_for_a_whole_one() {
    let peer = misbehaves::stops_midway().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut client = gateway.connect().await;
    client.send(request(&path("/"), &as_user("alice"))).await;
    assert!(client.head().await.unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(client.rest().await, b"half");
    let record = eventually("a record", || gateway.records.all().pop()).await;
    assert_eq!((record.status.unwrap().as_u16(), record.is_complete), (200, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_byte_by_byte_arrives_whole() {
    let peer = misbehaves::sends_one_byte().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let reply = gateway.get(&path("/")).await;
    assert_eq!(
        (reply.header("x-slow").as_deref(), reply.body.as_str()),
        (Some("yes"), "slowly")
    );
}

/// Class 22: one thread, one endpoint that stalls in every way, another at full speed.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_endpoint_does_not_hinder_its_neighbor() {
    let (stalls, never_reads) = (misbehaves::stalls().await, misbehaves::never_reads().await);
    let good = behaves::says("").await;
    let (mut second, mut third) = (Spec::at(never_reads.address), Spec::at(good.address));
    (second.task, third.task) = (2, 3);
    let gateway = gateway(&[Spec::at(stalls.address), second, third]).await;
    let mut held = Vec::new();
    for number in 0..50 {
        let mut client = gateway.connect().await;
        let target = format!("/service/{}/", crate::gateway::task(1 + number % 2));
        client
            .send(format!(
                "POST {target} HTTP/1.1\r\nHost: gw.test\r\n{}Content-Length: 9999999\r\n\r\n",
                as_user("alice")
            ))
            .await;
        let _ = client.stream.try_write(&vec![b'x'; 1 << 20]);
        held.push(client);
    }
    // A visitor who does not read its answer.
    let began = std::time::Instant::now();
    for _ in 0..20 {
        assert_eq!(
            gateway
                .get(&format!("/service/{}/", crate::gateway::task(3)))
                .await
                .status,
            200
        );
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_empty_answers_have_no_body() {
    let peer = behaves::answers(|head| match head.split(' ').next() {
        Some("HEAD") => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec(),
        Some("GET") => b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
    })
    .await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut client = gateway.connect().await;
    for (method, status, length) in [
        ("HEAD", "200", true),
        ("GET", "304", false),
        ("DELETE", "204", false),
        ("HEAD", "200", true),
    ] {
        client
            .send(format!(
                "{method} {} HTTP/1.1\r\nHost: gw.test\r\n{}\r\n",
                path("/"),
                as_user("alice")
            ))
            .await;
        let head = client.head().await.unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        assert_eq!(head.to_lowercase().contains("content-length: 5"), length, "{head}");
    }
    assert_eq!(peer.seen.connections(), 1);
    let records = eventually("all are recorded", || {
        let records = gateway.records.all();
        (records.len() == 4).then_some(records)
    })
    .await;
    assert!(records.iter().all(|record| record.is_complete), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_gets_an_answer_that_ends_with_the_connection() {
    let peer =
        behaves::answers(|_| b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_vec())
            .await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let reply = gateway
        .raw(format!(
            "GET {} HTTP/1.0\r\nHost: gw.test\r\n{}\r\n",
            path("/"),
            as_user("alice")
        ))
        .await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "ok"));
    assert_eq!(reply.header("transfer-encoding"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_reach_a_visitor_who_takes_them() {
    let peer = behaves::answers(|_| {
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum, Set-Cookie\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 9\r\nSet-Cookie: a=1\r\n\r\n".to_vec()
    })
    .await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut client = gateway.connect().await;
    client
        .send(request(
            &path("/"),
            &format!("{}TE: trailers\r\nConnection: TE\r\n", as_user("alice")),
        ))
        .await;
    client.head().await.unwrap();
    let expected = "2\r\nok\r\n0\r\nx-sum: 9\r\n\r\n";
    assert_eq!(
        String::from_utf8_lossy(&client.some(expected.len()).await).to_lowercase(),
        expected
    );
    assert!(peer.seen.requests()[0].to_lowercase().contains("te: trailers\r\n"));
}
