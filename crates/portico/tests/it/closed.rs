//! No exemptions: nothing that a stranger sends to a closed endpoint gets anything from it.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::World;

/// The answer to these bytes, and its status; none if the connection is closed without one.
async fn exchange(world: &World, bytes: &str) -> (Option<u16>, String) {
    let mut stream = TcpStream::connect(world.place.http()).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    // A gateway may close the connection with what it has not read still in it.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(15), read)
        .await
        .unwrap_or_else(|_| panic!("no answer to {bytes:?}"));
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).map(|status| status.parse().unwrap());
    (status, answer)
}

async fn status(world: &World, bytes: &str) -> Option<u16> {
    let (status, answer) = exchange(world, bytes).await;
    assert!(!answer.contains("says hello"), "{bytes:?} reached the application");
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_nothing_from_a_closed_endpoint_whatever_the_request() {
    let world = World::start().await;
    let task = world.routed("alice", "closed").await;
    let hers = format!("/service/{task}");
    let id = &world.emulator.actor("alice").unwrap().id;

    let methods = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "PURGE",
        "M-SEARCH", "QUERY", "get", "INVENTED",
    ];
    let paths = [
        "{}/",
        "{}",
        "{}/hello",
        "{}/health",
        "{}/healthz",
        "{}/metrics",
        "{}/ready",
        "{}/favicon.ico",
        "{}/robots.txt",
        "{}/.well-known/x",
        "{}/static/a.js",
        "{}/public/a",
        "{}/_gateway/health",
        "{}/login",
        "{}/api/status",
        "{}//",
        "{}/;a=b",
        "{};a=b/",
        "{}/?public=1",
        "{}/%2e%2e/",
        "{}/..%2f",
        "{}/a/../",
        "{}/.",
        "{}/%00",
        "{}/\\",
        "{}%2f",
        "//{}/",
        "/./{}/",
        "/_gateway/..{}/",
        "/_gateway/%2e%2e{}/",
        "/_gateway/health/..{}/",
        "/_gateway/health{}/",
        "/_gateway/health;{}/",
        "http://gateway.test{}/",
        "http://other.test{}/",
        "{}__/",
        "{}__x/",
        "{}#/",
        "{}?/",
        "{}/ws",
    ];
    let headers = [
        "",
        "X-Forwarded-For: 127.0.0.1\r\nX-Real-Ip: 127.0.0.1\r\n",
        "X-Original-Url: /_gateway/health\r\nX-Rewrite-Url: /_gateway/health\r\nX-Forwarded-Uri: /_gateway/health\r\n",
        "X-Forwarded-User: {id}\r\nX-Auth-Request-User: {id}\r\nRemote-User: {id}\r\nX-Gateway-User: {id}\r\n",
        "X-Forwarded-Method: OPTIONS\r\nX-HTTP-Method-Override: OPTIONS\r\n",
        "Origin: http://gateway.test\r\nAccess-Control-Request-Method: GET\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Basic Og==\r\n",
        "Authorization: Basic YWxpY2U6\r\n",
        "Authorization: Bearer eyJhbGciOiJub25lIn0.e30.\r\n",
        "X-Gateway-Authorization: Bearer x\r\n",
        "Cookie: portico-session-00000000=v1.a.b\r\n",
        "Cookie: clearml_token_basic=eyJhbGciOiJub25lIn0.eyJpZGVudGl0eSI6eyJ1c2VyIjoieCJ9fQ.\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: authorization, cookie\r\n",
        "Purpose: prefetch\r\nSec-Purpose: prefetch\r\nUser-Agent: kube-probe/1.30\r\n",
        "Accept: text/html\r\n",
    ];
    let mut requests = Vec::new();
    for method in methods {
        for header in headers {
            requests.push((method, paths[0], header));
        }
        for path in paths {
            requests.push((method, path, ""));
        }
    }
    for path in paths {
        for header in headers {
            requests.push(("GET", path, header));
        }
    }
    let alice = world.by_basic("alice");
    let credential = &alice.headers[0].1;
    let mut reached = 0;
    for path in paths {
        let path = path.replace("{}", &hers);
        let bytes = format!(
            "GET {path} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: {credential}\r\nConnection: close\r\n\r\n"
        );
        let (_, answer) = exchange(&world, &bytes).await;
        reached += usize::from(answer.contains("says hello"));
    }
    assert!(
        reached >= 15,
        "with a credential, {reached} of these paths lead to the application"
    );

    let before = world.applications[0].requests();
    for group in requests.chunks(32) {
        let asked = group.iter().map(async |(method, path, header)| {
            let path = path.replace("{}", &hers);
            let header = header.replace("{id}", id);
            let host = if header.contains("Connection") {
                ""
            } else {
                "Connection: close\r\n"
            };
            let bytes = format!("{method} {path} HTTP/1.1\r\nHost: gateway.test\r\n{header}{host}\r\n");
            // Keep-alive connections are ended by a last request.
            let end = "GET /_gateway/health HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n";
            let bytes = if host.is_empty() {
                format!("{bytes}{end}")
            } else {
                bytes
            };
            (status(&world, &bytes).await, bytes)
        });
        for (status, bytes) in futures_util::future::join_all(asked).await {
            // Nothing of the endpoint's: these two are the gateway's own health.
            let own = bytes.contains(" /_gateway/health HTTP") && !bytes.contains("/service/");
            assert!(
                own || status.is_none_or(|status| status >= 300),
                "{status:?} to {bytes:?}"
            );
        }
    }
    for version in ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0"] {
        let status = status(&world, &format!("GET {hers}/ {version}\r\nHost: gateway.test\r\n\r\n")).await;
        assert!(status.is_none_or(|status| status >= 300), "{status:?} to {version}");
    }
    assert_eq!(
        world.applications[0].requests(),
        before,
        "the application was not even asked"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preflight_to_a_closed_endpoint_says_nothing() {
    let world = World::start().await;
    let task = world.routed("alice", "closed").await;
    let foreign = world
        .stranger()
        .with("origin", "http://evil.test")
        .with("access-control-request-method", "POST");
    let answer = foreign
        .ask(http::Method::OPTIONS, &format!("/service/{task}/"), "")
        .await
        .unwrap();
    assert_eq!(answer.status, 401);
    assert!(
        !answer
            .headers
            .keys()
            .any(|name| name.as_str().starts_with("access-control"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_page_cannot_use_a_visitor_s_cookies() {
    let world = World::start().await;
    let task = world.routed("alice", "closed").await;
    let path = format!("/service/{task}/");
    let mut alice = world.by_session("alice").await;
    alice.headers.retain(|(name, _)| name != "origin");
    for site in ["same-site", "cross-site"] {
        let page = alice
            .clone()
            .with("sec-fetch-site", site)
            .with("origin", "http://sibling.test");
        for answer in [page.get(&path).await, page.post(&path, "x=1").await] {
            assert_eq!(answer.verdict(), (403, "foreign_page".to_owned()), "{site}");
        }
        assert_eq!(page.connects(&format!("{path}ws")).await.err(), Some(403), "{site}");
    }
    let silent = alice.clone().with("origin", "http://evil.test");
    assert_eq!(silent.connects(&format!("{path}ws")).await.err(), Some(403));
    assert_eq!(silent.post(&path, "x=1").await.status, 403);
    assert_eq!(
        alice.connects(&format!("{path}ws")).await.err(),
        Some(403),
        "no origin at all"
    );
    let link = alice
        .with("sec-fetch-site", "cross-site")
        .with("sec-fetch-mode", "navigate")
        .with("sec-fetch-dest", "document");
    assert_eq!(link.get(&path).await.status, 200, "a link that was followed");
}
