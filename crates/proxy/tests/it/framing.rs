//! Class 4: whatever a visitor sends, the application sees one request or none. Class 10: and for one host.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    gateway::{Spec, as_user, gateway, path},
    peers::behaves,
};

/// How long the first answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// After which no other answer is expected.
const SILENCE: Duration = Duration::from_millis(150);

/// Sends raw bytes and closes; the raw requests that the application saw.
async fn seen(bytes: String) -> (Vec<String>, String) {
    let peer = behaves::echoes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut client = gateway.connect().await;
    client.send(bytes).await;
    let answers = String::from_utf8_lossy(&read_all(&mut client).await).into_owned();
    (peer.seen.requests(), answers)
}

/// What comes until the gateway has nothing more to say. It says something, or closes.
async fn read_all(client: &mut crate::raw::Client) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let patience = if all.is_empty() { ANSWER } else { SILENCE };
        let Ok(Ok(())) = timeout(patience, client.stream.readable()).await else {
            break;
        };
        let mut block = [0; 4096];
        match client.stream.try_read(&mut block) {
            Ok(0) => break,
            Ok(count) => all.extend(&block[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smuggled_request_never_arrives() {
    let (to, alice) = (path("/"), as_user("alice"));
    let head = format!("POST {to} HTTP/1.1\r\nHost: gw.test\r\n{alice}");
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: gw.test\r\n\r\n";
    let chunked = format!("0\r\n\r\n{smuggled}");
    let length = chunked.len();
    for (what, bytes) in [
        (
            "CL.TE",
            format!("{head}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"),
        ),
        (
            "TE.CL",
            format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunked}"),
        ),
        (
            "TE.TE",
            format!("{head}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{chunked}"),
        ),
        (
            "chunked twice",
            format!("{head}Transfer-Encoding: chunked, chunked\r\n\r\n{chunked}"),
        ),
        (
            "xchunked",
            format!("{head}Transfer-Encoding: xchunked\r\nContent-Length: {length}\r\n\r\n{chunked}"),
        ),
        (
            "chunked not last",
            format!("{head}Transfer-Encoding: chunked, gzip\r\n\r\n{chunked}"),
        ),
        (
            "gzip, chunked",
            format!("{head}Transfer-Encoding: gzip, chunked\r\n\r\n{chunked}"),
        ),
        (
            "space before colon",
            format!("{head}Transfer-Encoding : chunked\r\nContent-Length: {length}\r\n\r\n{chunked}"),
        ),
        (
            "tab in coding",
            format!("{head}Transfer-Encoding:\tchunked\x0b\r\nContent-Length: {length}\r\n\r\n{chunked}"),
        ),
        (
            "folded coding",
            format!("{head}Transfer-Encoding:\r\n chunked\r\nContent-Length: {length}\r\n\r\n{chunked}"),
        ),
        (
            "HTTP/1.0 chunked",
            format!("POST {to} HTTP/1.0\r\nHost: gw.test\r\n{alice}Transfer-Encoding: chunked\r\n\r\n{chunked}"),
        ),
        (
            "two lengths",
            format!(
                "{head}Content-Length: 0\r\nContent-Length: {}\r\n\r\n{smuggled}",
                smuggled.len()
            ),
        ),
        (
            "list of lengths",
            format!("{head}Content-Length: 0, {}\r\n\r\n{smuggled}", smuggled.len()),
        ),
        (
            "signed length",
            format!("{head}Content-Length: +{length}\r\n\r\n{chunked}"),
        ),
        ("negative length", format!("{head}Content-Length: -1\r\n\r\n{chunked}")),
        ("length in hex", format!("{head}Content-Length: 0x0\r\n\r\n{chunked}")),
        (
            "underscored length",
            format!("{head}Content_Length: {length}\r\n\r\n{chunked}"),
        ),
        (
            "bad chunk size",
            format!("{head}Transfer-Encoding: chunked\r\n\r\nZZ\r\n{smuggled}"),
        ),
        (
            "chunk size with sign",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n{smuggled}"),
        ),
        (
            "overflowing chunk",
            format!("{head}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff1\r\n{smuggled}"),
        ),
        (
            "chunk ended by LF",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n0\n\n{smuggled}"),
        ),
        (
            "upgrade with body",
            format!(
                "{head}Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: {}\r\n\r\n{smuggled}",
                smuggled.len()
            ),
        ),
        ("NUL in a value", format!("{head}X: a\0b\r\nContent-Length: 0\r\n\r\n")),
        (
            "CR in a value",
            format!("{head}X: a\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
        ),
        ("no colon", format!("{head}Nonsense\r\nContent-Length: 0\r\n\r\n")),
        ("space in a name", format!("{head}Content Length: 5\r\n\r\n")),
        (
            "first line folded",
            format!("GET\r\n {to} HTTP/1.1\r\nHost: gw.test\r\n{alice}\r\n"),
        ),
        ("HTTP/0.9", format!("GET {to}\r\n\r\n")),
        ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("HTTP/1.2", format!("GET {to} HTTP/1.2\r\nHost: gw.test\r\n{alice}\r\n")),
    ] {
        let (requests, answers) = seen(bytes).await;
        assert!(requests.len() <= 1, "{what}: {requests:#?}");
        assert!(
            !requests.iter().any(|request| request.contains("/smuggled ")),
            "{what}: {requests:#?}"
        );
        // The rest of a body may be answered as a request of its own, but only with a refusal.
        assert!(
            answers.matches("HTTP/1.1 200").count() <= requests.len(),
            "{what}: {answers}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn framing_that_the_library_would_let_through_is_refused() {
    let peer = behaves::echoes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    for headers in [
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n",
    ] {
        let head = format!("POST {} HTTP/1.1\r\nHost: gw.test\r\n{}", path("/"), as_user("alice"));
        let reply = gateway.raw(format!("{head}{headers}\r\n")).await;
        assert_eq!(reply.code(), "bad_framing", "{headers}");
    }
    assert_eq!(peer.seen.connections(), 0);
}

/// With both, the body is chunked and nothing follows it: the connection is closed.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_request_with_two_framings_the_connection_is_closed() {
    let (to, alice) = (path("/"), as_user("alice"));
    let next = format!("GET {to} HTTP/1.1\r\nHost: gw.test\r\n{alice}\r\n");
    let (requests, answers) = seen(format!(
        "POST {to} HTTP/1.1\r\nHost: gw.test\r\n{alice}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{next}"
    ))
    .await;
    assert!(requests.len() <= 1, "{requests:#?}");
    assert!(
        !requests
            .iter()
            .any(|request| request.to_lowercase().contains("content-length")),
        "{requests:#?}"
    );
    assert!(
        answers.matches("HTTP/1.1").count() <= 1 || !answers.contains("keep-alive"),
        "{answers}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_on_one_connection_are_each_decided() {
    let (to, alice) = (path("/"), as_user("alice"));
    let peer = behaves::echoes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut client = gateway.connect().await;
    client
        .send(format!(
            "GET {to}1 HTTP/1.1\r\nHost: gw.test\r\n{alice}\r\nGET {to}2 HTTP/1.1\r\nHost: gw.test\r\n\r\n\
             GET {to}3 HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n{alice}\r\n"
        ))
        .await;
    let answers = String::from_utf8_lossy(&client.rest().await).into_owned();
    let requests = peer.seen.requests();
    assert_eq!(requests.len(), 2, "{requests:#?}");
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    // The echoed requests hold the version once each, after their path.
    assert_eq!(
        statuses
            .iter()
            .filter(|status| status.starts_with(|first: char| first.is_ascii_digit()))
            .collect::<Vec<_>>(),
        [&"200", &"401", &"200"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_names_one_host_and_it_is_ours() {
    let peer = behaves::echoes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let to = path("/x?y");
    for (hosts, expected) in [
        ("", "bad_host"),
        ("Host: gw.test\r\nHost: gw.test\r\n", "bad_host"),
        ("Host: gw.test\r\nhost: evil.test\r\n", "bad_host"),
        ("Host: \r\n", "bad_host"),
        ("Host: gw.test, evil.test\r\n", "bad_host"),
        ("Host: user@gw.test\r\n", "bad_host"),
        ("Host: evil.test\r\n", "unknown_host"),
        ("Host: gw.test.\r\n", "unknown_host"),
        ("Host: gw.test:81\r\n", "unknown_host"),
        ("Host: 127.0.0.1\r\n", "unknown_host"),
        ("Host: gw.test.evil.test\r\n", "unknown_host"),
    ] {
        let reply = gateway
            .raw(format!("GET {to} HTTP/1.1\r\n{hosts}{}\r\n", as_user("alice")))
            .await;
        assert_eq!(reply.code(), expected, "{hosts}");
        if expected == "unknown_host" {
            assert!(!reply.body.contains("evil"), "{}", reply.body);
            assert!(reply.body.contains("http://gw.test/"), "{}", reply.body);
        }
    }
    assert_eq!(peer.seen.connections(), 0);
    for host in ["gw.test", "GW.test", "gw.test:80", "also.test:81"] {
        let reply = gateway
            .raw(format!("GET {to} HTTP/1.1\r\nHost: {host}\r\n{}\r\n", as_user("alice")))
            .await;
        assert_eq!(reply.status, 200, "{host}");
        assert!(
            reply.body.contains(&format!("Host: {host}\r\n")),
            "the application sees the visitor's host: {}",
            reply.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_a_gateway_must_not_forward_are_refused() {
    let peer = behaves::echoes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    for (method, target) in [
        ("TRACE", path("/")),
        ("TRACK", path("/")),
        ("CONNECT", "gw.test:80".to_owned()),
    ] {
        let reply = gateway
            .raw(format!(
                "{method} {target} HTTP/1.1\r\nHost: gw.test\r\n{}\r\n",
                as_user("alice")
            ))
            .await;
        assert_eq!(reply.code(), "method_not_forwarded", "{method}");
    }
    assert_eq!(peer.seen.connections(), 0);
}
