//! How many may come, and that those who are too many hold nobody up. Class 22, for streams.

use std::{net::Ipv4Addr, time::Duration};

use portico_core::access::Who;
use portico_proxy::StreamRefusal;
use socket2::{Domain, Socket, Type};
use tokio::{net::TcpStream, task::JoinSet};

use super::{at, connect_from, echo, free_port, is_served, is_turned_away, is_turned_away_from, open, peers};
use crate::{
    gateway::{Gateway, Spec, gateway},
    world::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn too_many_connections_are_closed_at_once() {
    let peer = peers::echoes().await;
    let port = free_port();
    let gateway = Gateway::start(&[Spec::tcp(peer.address, port)], Who::Visible, |settings| {
        let streams = settings.streams.as_mut().unwrap();
        streams.connections = 4;
        streams.connections_per_address = 3;
    })
    .await;
    open(&gateway, port).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(at(port)).await.unwrap();
        echo(&mut stream, b"x").await.unwrap();
        held.push(stream);
    }
    assert!(is_turned_away(port).await, "one address does not take all");
    eventually("it has ended", || {
        (gateway.counters.threads()[0].streams == 3).then_some(())
    })
    .await;
    let mut other = connect_from(Ipv4Addr::new(127, 0, 0, 2), port).await.unwrap();
    echo(&mut other, b"x").await.unwrap();
    let third = Ipv4Addr::new(127, 0, 0, 3);
    assert!(is_turned_away_from(third, port).await, "all together are too many");
    let refusals = gateway.counters.stream_refusals();
    assert!(refusals.contains(&(StreamRefusal::AddressLimit, 1)), "{refusals:?}");
    assert!(refusals.contains(&(StreamRefusal::Limit, 1)), "{refusals:?}");
    held.pop();
    eventually("there is room again", || {
        (gateway.counters.threads()[0].streams == 3).then_some(())
    })
    .await;
    assert!(is_served(port).await);
}

/// A pool of database connections opens them all at once.
#[tokio::test(flavor = "multi_thread")]
async fn many_who_come_at_once_are_led_to_the_application_in_turn() {
    let peer = peers::echoes().await;
    let port = free_port();
    let gateway = Gateway::start(&[Spec::tcp(peer.address, port)], Who::Visible, |settings| {
        settings.streams.as_mut().unwrap().dials_per_endpoint = 1;
    })
    .await;
    open(&gateway, port).await;
    let mut visitors = JoinSet::new();
    for _ in 0..100 {
        visitors.spawn(is_served(port));
    }
    assert!(visitors.join_all().await.into_iter().all(|served| served));
}

/// Visitors who begin a connection and leave it at that.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_half_open_connections_holds_nobody_up() {
    let (peer, silent) = (peers::echoes().await, peers::stalls().await);
    let (port, beside) = (free_port(), free_port());
    let gateway = gateway(&[Spec::tcp(peer.address, port), super::beside(silent.address, beside)]).await;
    open(&gateway, port).await;
    open(&gateway, beside).await;
    let mut half_open = Vec::new();
    for number in 1..=600 {
        let visitor = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        visitor.set_nonblocking(true).unwrap();
        let _ = visitor.connect(&at(beside).into());
        half_open.push(visitor);
        if number % 100 == 0 {
            assert!(is_served(port).await, "{number}");
        }
    }
    for visitor in &half_open {
        visitor.set_linger(Some(Duration::ZERO)).unwrap();
    }
    drop(half_open);
    eventually("nothing is open", || gateway.exchanges.is_empty().then_some(())).await;
    assert!(is_served(port).await);
}
