//! The console's listener, over real connections, and the pages as the data plane asks for them.

use std::net::SocketAddr;

use axum::http::{Request, StatusCode};
use portico_console::GatewayPages;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::world::{World, visitor};

struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<std::io::Result<()>>,
}

async fn served(world: &World, trusted: &[&str]) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let trusted = trusted.iter().map(|network| network.parse().unwrap()).collect();
    #[expect(clippy::disallowed_methods, reason = "the test waits for it and sees it panic")]
    let ended = tokio::spawn(portico_console::serve(
        listener,
        world.state.clone(),
        trusted,
        stop.clone(),
    ));
    Served { address, stop, ended }
}

/// Sends bytes and reads until the other side closes.
async fn exchange(address: SocketAddr, sent: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

fn log_in(host: &str, more: &str) -> String {
    let body = "user=alice&password=wrong&token=0123456789abcdef0123456789abcdef";
    let mark = World::new().state.site.mark();
    format!(
        "POST /login HTTP/1.1\r\nHost: {host}\r\nOrigin: https://{host}\r\nConnection: close\r\n{more}\
         Cookie: __Host-portico-form-{mark}=0123456789abcdef0123456789abcdef\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn the_console_answers_on_its_listener_and_stops_when_told() {
    let world = World::new();
    let served = served(&world, &[]).await;
    let page = exchange(
        served.address,
        "GET /login HTTP/1.1\r\nHost: console.example.com\r\nAccept: text/html\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(
        page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("<h1>Log in</h1>"),
        "{page}"
    );
    let page = exchange(
        served.address,
        "GET / HTTP/1.1\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(page.starts_with("HTTP/1.1 404 Not Found\r\n"), "{page}");

    // A connection that is kept does not keep the console from stopping.
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET /login HTTP/1.1\r\nHost: console.example.com\r\n\r\n")
        .await
        .unwrap();
    idle.read_exact(&mut [0; 15]).await.unwrap();
    served.stop.cancel();
    served.ended.await.unwrap().unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn a_visitors_address_is_read_through_trusted_proxies_only() {
    for (trusted, expected) in [(&["127.0.0.0/8"][..], "198.51.100.7"), (&[], "127.0.0.1")] {
        let mut world = World::new();
        let served = served(&world, trusted).await;
        let answer = exchange(
            served.address,
            &log_in("console.example.com", "X-Forwarded-For: 198.51.100.7\r\n"),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        let [event] = &world.audited()[..] else {
            panic!("one event")
        };
        assert_eq!(
            event.address.map(|address| address.to_string()).as_deref(),
            Some(expected)
        );
    }
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let world = World::new();
    let served = served(&world, &[]).await;
    let mut kept = Vec::new();
    for _ in 0..64 {
        let mut socket = TcpStream::connect(served.address).await.unwrap();
        socket
            .write_all(b"GET /login HTTP/1.1\r\nHost: console.example.com\r\n\r\n")
            .await
            .unwrap();
        socket.read_exact(&mut [0; 15]).await.unwrap();
        kept.push(socket);
    }
    let mut turned_away = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(turned_away.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn the_data_plane_gets_whole_pages() {
    let world = World::new();
    let request = Request::builder()
        .uri("/_gateway/login")
        .header("host", "gateway.example.com")
        .body("".into())
        .unwrap();
    let answer = GatewayPages::new(world.state.clone()).answer(request, visitor()).await;
    assert_eq!((answer.status(), answer.body().len()), (StatusCode::SEE_OTHER, 0));
}
