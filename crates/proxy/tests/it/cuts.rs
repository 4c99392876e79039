//! Class 12: what is no longer allowed ends, with a code, and a neighbor does not notice.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::{SinkExt as _, StreamExt as _};
use portico_core::{
    access::Who,
    audit::AuditKind,
    observe::{TaskStatus, Workload},
    principal::UserId,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::broadcast};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use crate::{
    gateway::{Gateway, Spec, as_user, gateway, path, request, task},
    peers::{Peer, behaves, misbehaves, nowhere},
    stream::judged_again,
    tunnels::{as_alice, handshake, open},
    world::{eventually, second_token, token},
};

async fn close_code(socket: &mut WebSocketStream<TcpStream>) -> u16 {
    loop {
        match tokio::time::timeout(Duration::from_secs(5), socket.next())
            .await
            .expect("cut within 5 s")
        {
            Some(Ok(Message::Close(frame))) => return frame.expect("a code").code.into(),
            Some(Ok(_)) => {}
            other => panic!("no close frame: {other:?}"),
        }
    }
}

async fn bobs(gateway: &Gateway) -> WebSocketStream<TcpStream> {
    let bearer = ("x-gateway-authorization", format!("Bearer {}", token("bob")));
    open(gateway, handshake(&path("/"), &[bearer])).await.unwrap()
}

async fn is_alive(socket: &mut WebSocketStream<TcpStream>) -> bool {
    socket.send(Message::text("still there?")).await.is_ok()
        && matches!(socket.next().await, Some(Ok(Message::Text(_))))
}

fn spec(address: SocketAddr) -> Spec {
    Spec::at(address)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_goes_on_while_the_address_is_not_proven_and_nothing_is_dialed() {
    let peer = behaves::chats().await;
    let gateway = gateway(&[spec(peer.address)]).await;
    let mut socket = as_alice(&gateway).await;
    let mut unproven = spec(peer.address);
    unproven.workload = Workload::Unproven;
    gateway.publish(&[unproven.clone()]);
    judged_again(&gateway).await;
    let before = peer.seen.connections();
    let reply = gateway.get(&path("/")).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "pods_unproven"));
    assert_eq!(reply.header("retry-after").as_deref(), Some("10"));
    let bearer = ("x-gateway-authorization", format!("Bearer {}", token("alice")));
    assert!(open(&gateway, handshake(&path("/"), &[bearer])).await.is_err());
    unproven.prefix = portico_core::endpoint::Prefix::Auto;
    gateway.publish(&[unproven]);
    assert_eq!(
        gateway.get(&path("/")).await.status,
        503,
        "not even to find out about the prefix"
    );
    assert_eq!(peer.seen.connections(), before);
    assert!(is_alive(&mut socket).await);
    gateway.publish(&[spec(peer.address)]);
    as_alice(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_ends_closes_its_websockets() {
    let (peer, other) = (behaves::chats().await, behaves::chats().await);
    let mut neighbor = spec(other.address);
    neighbor.task = 2;
    let mut gateway = gateway(&[spec(peer.address), neighbor.clone()]).await;
    let mut socket = as_alice(&gateway).await;
    let bearer = ("x-gateway-authorization", format!("Bearer {}", token("alice")));
    let to = format!("/service/{}/", task(2));
    let mut beside = open(&gateway, handshake(&to, &[bearer])).await.unwrap();
    let mut ended = spec(peer.address);
    ended.status = TaskStatus::Stopped;
    gateway.publish(&[ended, neighbor]);
    assert_eq!(close_code(&mut socket).await, 4404);
    assert!(is_alive(&mut beside).await);
    let record = eventually("a record", || gateway.records.all().pop()).await;
    assert_eq!((record.cut, record.is_complete), (Some("ended"), false));
    let event = std::iter::from_fn(|| gateway.audit.try_recv().ok())
        .find(|event| event.event == AuditKind::ExchangeCut)
        .unwrap();
    assert_eq!(
        (event.task, event.detail.as_deref()),
        (Some(task(1)), Some("ended (ended)"))
    );
}

/// Its address may be somebody else's soon; others may be asked about for 2 s.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_ends_is_cut_while_clearml_lets_others_wait() {
    let (peer, other) = (behaves::chats().await, behaves::chats().await);
    let mut neighbor = spec(other.address);
    neighbor.task = 2;
    let gateway = gateway(&[spec(peer.address), neighbor.clone()]).await;
    let mut socket = as_alice(&gateway).await;
    let bearer = ("x-gateway-authorization", format!("Bearer {}", token("bob")));
    let to = format!("/service/{}/", task(2));
    let mut beside = open(&gateway, handshake(&to, &[bearer])).await.unwrap();
    gateway.server.script().hangs = true;
    gateway.clock.advance(Duration::from_secs(61));
    eventually("a round that waits", || {
        (gateway.server.script().unanswered > 0).then_some(())
    })
    .await;
    let began = Instant::now();
    gateway.publish(&[neighbor]);
    assert_eq!(close_code(&mut socket).await, 4404);
    assert!(began.elapsed() < Duration::from_millis(1900), "{:?}", began.elapsed());
    assert!(is_alive(&mut beside).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tightened_rule_cuts_those_who_are_out_and_nobody_else() {
    let peer = behaves::chats().await;
    let gateway = gateway(&[spec(peer.address)]).await;
    let (mut bob, mut alice) = (bobs(&gateway).await, as_alice(&gateway).await);
    gateway.publish_with(&[spec(peer.address)], &Who::Owner);
    assert_eq!(close_code(&mut bob).await, 4403);
    assert!(is_alive(&mut alice).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_is_signed_out() {
    let peer = behaves::chats().await;
    let gateway = gateway(&[spec(peer.address)]).await;
    let (cookie, id) = gateway.session("alice");
    let headers = [("cookie", cookie), ("origin", "http://gw.test".to_owned())];
    let mut socket = open(&gateway, handshake(&path("/"), &headers)).await.unwrap();
    let mut other = as_alice(&gateway).await;
    let _ = gateway.register.revoke_session(id, &UserId::new("alice")).await;
    assert_eq!(close_code(&mut socket).await, 4401);
    assert!(is_alive(&mut other).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_is_signed_out_within_a_minute_of_the_clock() {
    let peer = behaves::chats().await;
    let gateway = gateway(&[spec(peer.address)]).await;
    let mut bob = bobs(&gateway).await;
    gateway.server.script().rejected.insert(UserId::new("bob"));
    gateway.clock.advance(Duration::from_secs(61));
    assert_eq!(close_code(&mut bob).await, 4401);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_log_ins_of_one_user_the_one_that_ended_is_cut() {
    let peer = behaves::chats().await;
    let gateway = gateway(&[spec(peer.address)]).await;
    let bearer = |token: String| handshake(&path("/"), &[("x-gateway-authorization", format!("Bearer {token}"))]);
    let mut stays = open(&gateway, bearer(token("bob"))).await.unwrap();
    let mut ends = open(&gateway, bearer(second_token("bob"))).await.unwrap();
    gateway.server.script().rejected_tokens.insert(second_token("bob"));
    gateway.clock.advance(Duration::from_secs(61));
    assert_eq!(close_code(&mut ends).await, 4401);
    assert!(is_alive(&mut stays).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_hidden_inside_clearml_is_cut() {
    let peer = behaves::chats().await;
    let gateway = gateway(&[spec(peer.address)]).await;
    let mut bob = bobs(&gateway).await;
    gateway.server.script().hidden.insert((UserId::new("bob"), task(1)));
    gateway.clock.advance(Duration::from_secs(61));
    assert_eq!(close_code(&mut bob).await, 4403);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_cut_while_clearml_is_away() {
    let peer = behaves::chats().await;
    let gateway = gateway(&[spec(peer.address)]).await;
    let mut socket = as_alice(&gateway).await;
    gateway.server.script().is_away = true;
    gateway.clock.advance(Duration::from_secs(61));
    judged_again(&gateway).await;
    assert!(is_alive(&mut socket).await);
}

/// Class 21: what is at the old address now may be somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_moves_takes_nobody_along() {
    let (old, new) = (behaves::chats().await, behaves::chats().await);
    let gateway = gateway(&[spec(old.address)]).await;
    let mut socket = as_alice(&gateway).await;
    gateway.publish(&[spec(new.address)]);
    assert_eq!(close_code(&mut socket).await, 4404);
    let mut again = as_alice(&gateway).await;
    assert!(is_alive(&mut again).await);
    assert_eq!(new.seen.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_under_way_is_aborted() {
    let (next, _) = broadcast::channel(16);
    let peer = behaves::sends_events(next.clone()).await;
    let gateway = gateway(&[spec(peer.address)]).await;
    let mut client = gateway.connect().await;
    client.send(request(&path("/"), &as_user("alice"))).await;
    client.head().await.unwrap();
    gateway.publish(&[]);
    let rest = client.rest().await;
    assert!(
        !rest.ends_with(b"0\r\n\r\n"),
        "an aborted answer must not look complete"
    );
    eventually("the application is told", || (peer.seen.ended() == 1).then_some(())).await;
    assert_eq!(
        eventually("a record", || gateway.records.all().pop()).await.cut,
        Some("ended")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_an_answer_yet_is_refused() {
    let peer = misbehaves::stalls().await;
    let gateway = gateway(&[spec(peer.address)]).await;
    let mut client = gateway.connect().await;
    client.send(request(&path("/"), &as_user("bob"))).await;
    eventually("the request is there", || peer.seen.requests().pop()).await;
    gateway.publish_with(&[spec(peer.address)], &Who::Owner);
    assert_eq!(client.reply().await.code(), "not_allowed");
    eventually("the application is told", || (peer.seen.ended() == 1).then_some(())).await;
}

/// The close frame waits for the end of the frame that is under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_frame_never_stands_inside_another_frame() {
    let (go, _) = broadcast::channel::<Vec<u8>>(16);
    let told = go.clone();
    let peer = Peer::start(move |mut stream, seen| {
        let mut bytes = told.subscribe();
        async move {
            let Some(head) = behaves::head(&mut stream, &mut Vec::new()).await else { return };
            seen.add(head);
            let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
            while let Ok(some) = bytes.recv().await {
                if stream.write_all(&some).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    let gateway = gateway(&[spec(peer.address)]).await;
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut client = gateway.connect().await;
    client
        .send(request(&path("/"), &format!("{}{upgrade}", as_user("alice"))))
        .await;
    assert!(client.head().await.unwrap().starts_with("HTTP/1.1 101"));
    // A frame of 10 bytes, of which 4 are there when the cut comes.
    go.send(b"\x82\x0a0123".to_vec()).unwrap();
    assert_eq!(client.some(6).await, b"\x82\x0a0123");
    gateway.exchanges.snapshot()[0].cut(portico_proxy::CutReason::NotAllowed);
    go.send(b"456789\x82\x03abc".to_vec()).unwrap();
    let rest = client.rest().await;
    assert_eq!(&rest[..6], b"456789");
    assert_eq!(&rest[6..10], [0x88, 13, 0x11, 0x33], "4403 follows at once: {rest:?}");
    assert_eq!(&rest[10..], b"not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_at_which_nothing_listens_holds_nothing_open() {
    let gateway = gateway(&[spec(nowhere().await)]).await;
    assert_eq!(gateway.get(&path("/")).await.status, 503);
    assert!(gateway.exchanges.is_empty());
}
