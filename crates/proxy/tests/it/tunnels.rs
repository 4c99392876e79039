//! WebSockets.

use futures_util::{SinkExt as _, StreamExt as _};
use portico_proxy::record::Kind;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::Request},
};

use crate::{
    gateway::{Gateway, Spec, as_user, gateway, path},
    peers::{behaves, misbehaves},
    world::{eventually, token},
};

pub(crate) fn handshake(path: &str, headers: &[(&'static str, String)]) -> Request<()> {
    let mut request = format!("ws://gw.test{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

pub(crate) async fn open(gateway: &Gateway, request: Request<()>) -> Result<WebSocketStream<TcpStream>, Error> {
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    client_async(request, stream).await.map(|(socket, _)| socket)
}

pub(crate) async fn as_alice(gateway: &Gateway) -> WebSocketStream<TcpStream> {
    let bearer = ("x-gateway-authorization", format!("Bearer {}", token("alice")));
    open(gateway, handshake(&path("/chat"), &[bearer])).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_pass_both_ways() {
    let peer = behaves::chats().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let mut socket = as_alice(&gateway).await;
    for size in [0, 1, 125, 126, 70_000, 5_000_000] {
        let message = Message::binary(vec![7; size]);
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    assert_eq!(gateway.counters.threads()[0].tunnels, 1);
    assert!(gateway.exchanges.by_kind().contains(&(Kind::WebSocket, 1)));
    assert!(gateway.records.all().is_empty(), "a tunnel is recorded when it ends");
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    drop(socket);
    let record = eventually("a record", || gateway.records.all().pop()).await;
    assert_eq!((record.kind, record.status.unwrap().as_u16()), (Kind::WebSocket, 101));
    assert!(record.received > 5_000_000 && record.sent > 5_000_000, "{record:?}");
    eventually("the end", || (gateway.counters.threads()[0].tunnels == 0).then_some(())).await;
    assert!(gateway.exchanges.is_empty());
    assert_eq!(gateway.records.all().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_one_way_does_not_block_the_other() {
    let peer = behaves::chats().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let (mut to, mut from) = as_alice(&gateway).await.split();
    let sending = async {
        for _ in 0..200 {
            to.send(Message::binary(vec![1; 100_000])).await.unwrap();
        }
    };
    let receiving = async {
        for _ in 0..200 {
            assert_eq!(from.next().await.unwrap().unwrap().len(), 100_000);
        }
    };
    tokio::join!(sending, receiving);
}

/// Class 6, over WebSocket.
#[tokio::test(flavor = "multi_thread")]
async fn no_credential_arrives_with_a_handshake() {
    let peer = behaves::chats().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let (session, _) = gateway.session("alice");
    let headers = [
        (
            "cookie",
            format!("{session}; theirs=1; clearml_token_basic={}", token("alice")),
        ),
        ("origin", "http://gw.test".to_owned()),
        ("x-forwarded-for", "forged".to_owned()),
    ];
    open(&gateway, handshake(&path("/"), &headers)).await.unwrap();
    let seen = eventually("the handshake", || peer.seen.requests().pop()).await;
    assert!(
        seen.contains("theirs=1") && seen.contains("upgrade: websocket") && seen.contains("x-forwarded-for: 127.0.0.1"),
        "{seen}"
    );
    assert!(
        !seen.contains("portico") && !seen.contains(&token("alice")) && !seen.contains("forged"),
        "{seen}"
    );
}

/// A browser can send no header with a WebSocket, but it can offer sub-protocols, of which one must be chosen.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_may_come_as_a_sub_protocol() {
    let peer = behaves::chats().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let ours = format!("portico.bearer.{}", token("alice"));
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let offer = [
        ("sec-websocket-protocol", ours.clone()),
        ("origin", "http://elsewhere.test".to_owned()),
    ];
    let (_socket, response) = client_async(handshake(&path("/"), &offer), stream).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], *ours);
    let seen = eventually("the handshake", || peer.seen.requests().pop()).await;
    assert!(!seen.contains("portico") && !seen.contains(&token("alice")), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_no_tunnel_and_no_redirect() {
    let peer = behaves::chats().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let Err(Error::Http(refused)) = open(&gateway, handshake(&path("/"), &[])).await else {
        panic!("a tunnel for a stranger");
    };
    assert_eq!(refused.status().as_u16(), 401);
    assert_eq!(peer.seen.connections(), 0);
}

/// Class 4: what follows a request for a switch that was not made is a request of its own.
#[tokio::test(flavor = "multi_thread")]
async fn without_101_there_is_no_tunnel() {
    let peer = behaves::answers(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno".to_vec()).await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut client = gateway.connect().await;
    client
        .send(crate::gateway::request(
            &path("/"),
            &format!("{}{upgrade}", as_user("alice")),
        ))
        .await;
    client.send("GET /smuggled HTTP/1.1\r\nHost: gw.test\r\n\r\n").await;
    assert_eq!(client.reply().await.body, "no");
    // The second is refused, or the connection was closed.
    assert!(client.try_reply().await.is_none_or(|reply| reply.status == 401));
    assert!(!peer.seen.requests().iter().any(|request| request.contains("smuggled")));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_protocols_are_not_switched_to() {
    let peer = behaves::echoes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    for headers in [
        "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n",
    ] {
        let reply = gateway
            .get_with(&path("/"), &format!("{}{headers}", as_user("alice")))
            .await;
        assert_eq!(reply.status, 200);
        let seen = reply.body.to_lowercase();
        assert!(!seen.contains("upgrade:") && !seen.contains("http2-settings"), "{seen}");
    }
    let other = misbehaves::switches_to_something_else().await;
    gateway.publish(&[Spec::at(other.address)]);
    let Err(Error::Http(refused)) = open(
        &gateway,
        handshake(
            &path("/"),
            &[("x-gateway-authorization", format!("Bearer {}", token("alice")))],
        ),
    )
    .await
    else {
        panic!("a tunnel of another kind");
    };
    assert_eq!(refused.status().as_u16(), 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_vanishes_ends_the_tunnel() {
    let peer = behaves::chats().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    drop(as_alice(&gateway).await);
    eventually("the application is told", || (peer.seen.ended() == 1).then_some(())).await;
    eventually("a record", || gateway.records.all().pop()).await;
}
