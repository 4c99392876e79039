//! The gateway stops, and nobody loses what is under way.

use std::time::Duration;

use futures_util::StreamExt as _;
use portico_core::access::Who;
use tokio::{net::TcpStream, sync::broadcast};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    gateway::{Gateway, SHORT, Spec, as_user, path, request},
    peers::behaves,
    raw::Client,
    tunnels::as_alice,
    world::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_comes_to_its_end() {
    let peer = behaves::takes_its_time(Duration::from_secs(2)).await;
    let gateway = Gateway::start(&[Spec::at(peer.address)], Who::Visible, |settings| settings.threads = 2).await;
    let mut busy = gateway.connect().await;
    let mut idle = gateway.connect().await;
    busy.send(request(&path("/"), &as_user("alice"))).await;
    eventually("the request is there", || peer.seen.requests().pop()).await;
    gateway.shutdown.cancel();
    assert!(idle.head().await.is_none(), "idle connections are closed");
    let reply = busy.reply().await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "late"));
    assert_eq!(reply.header("connection").as_deref(), Some("close"));
    assert!(TcpStream::connect(gateway.address).await.is_err());
    gateway.ended.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn for_a_while_everybody_is_still_served_and_asked_to_leave() {
    let peer = behaves::says("").await;
    let gateway = Gateway::start(&[Spec::at(peer.address)], Who::Visible, |settings| {
        settings.shutdown.delay = Duration::from_secs(2);
    })
    .await;
    gateway.shutdown.cancel();
    eventually("the gateway knows", || {
        let health = std::net::TcpStream::connect(gateway.address).ok()?;
        drop(health);
        Some(())
    })
    .await;
    let mut replies = Vec::new();
    while let Ok(stream) = TcpStream::connect(gateway.address).await {
        let mut client = Client::on(stream);
        client.send(request(&path("/"), &as_user("alice"))).await;
        let Some(reply) = client.try_reply().await else { break };
        replies.push((reply.status, reply.header("connection")));
    }
    assert!(replies.len() > 1);
    assert!(replies.iter().all(|(status, _)| *status == 200), "{replies:?}");
    assert_eq!(replies.last().unwrap().1.as_deref(), Some("close"));
    let code = gateway.ended.await.unwrap();
    code.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_are_told_and_endless_answers_cut() {
    let (next, _) = broadcast::channel(16);
    let (chats, events) = (behaves::chats().await, behaves::sends_events(next.clone()).await);
    let mut second = Spec::at(events.address);
    second.task = 2;
    let gateway = Gateway::start(&[Spec::at(chats.address), second], Who::Visible, |settings| {
        settings.shutdown.grace = SHORT;
        settings.shutdown.stream_grace = SHORT * 2;
    })
    .await;
    let mut socket = as_alice(&gateway).await;
    let mut client = gateway.connect().await;
    client
        .send(request(
            &format!("/service/{}/", crate::gateway::task(2)),
            &as_user("alice"),
        ))
        .await;
    client.head().await.unwrap();
    gateway.shutdown.cancel();
    client.rest().await;
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else {
        panic!("no close frame");
    };
    assert_eq!(u16::from(frame.code), 1001);
    gateway.ended.await.unwrap().unwrap();
    assert_eq!(
        gateway
            .records
            .all()
            .iter()
            .filter(|record| record.cut == Some("shutting_down"))
            .count(),
        2
    );
}
