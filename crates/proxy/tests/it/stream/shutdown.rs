//! The gateway stops: open streams have their time, and new ones go elsewhere.

use std::time::Duration;

use portico_core::access::Who;
use tokio::{net::TcpStream, time::Instant};

use super::{at, echo, free_port, is_reset, is_served, open, peers};
use crate::{
    gateway::{Gateway, SHORT, Spec},
    world::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_come_to_their_end_and_new_ones_are_refused() {
    let peer = peers::echoes().await;
    let port = free_port();
    let gateway = Gateway::start(&[Spec::tcp(peer.address, port)], Who::Visible, |settings| {
        settings.shutdown.delay = Duration::from_secs(1);
        settings.shutdown.grace = Duration::ZERO;
        settings.shutdown.stream_grace = Duration::from_mins(1);
    })
    .await;
    open(&gateway, port).await;
    let mut stream = TcpStream::connect(at(port)).await.unwrap();
    echo(&mut stream, b"hello").await.unwrap();
    gateway.shutdown.cancel();
    assert!(is_served(port).await, "until load balancers have looked");
    eventually("the port is closed", || {
        gateway.open_ports.get().open.is_empty().then_some(())
    })
    .await;
    assert!(TcpStream::connect(at(port)).await.is_err());
    assert_eq!(echo(&mut stream, b"still here").await.unwrap(), b"still here");
    drop(stream);
    gateway.ended.await.unwrap().unwrap();
    let records = gateway.records.all();
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record.is_complete), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_their_time_streams_are_cut() {
    let peer = peers::echoes().await;
    let port = free_port();
    let gateway = Gateway::start(&[Spec::tcp(peer.address, port)], Who::Visible, |settings| {
        settings.shutdown.grace = SHORT;
        settings.shutdown.stream_grace = SHORT * 2;
    })
    .await;
    open(&gateway, port).await;
    let mut stream = TcpStream::connect(at(port)).await.unwrap();
    echo(&mut stream, b"hello").await.unwrap();
    let began = Instant::now();
    gateway.shutdown.cancel();
    assert!(is_reset(&mut stream).await);
    assert!(began.elapsed() >= SHORT * 2, "{:?}", began.elapsed());
    gateway.ended.await.unwrap().unwrap();
    assert_eq!(gateway.records.all().pop().unwrap().cut, Some("shutting_down"));
}
