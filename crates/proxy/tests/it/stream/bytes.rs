//! What goes in comes out: all of it, in order, both ways, and no further than one side can take.

use std::{
    hash::{DefaultHasher, Hasher as _},
    time::Duration,
};

use portico_core::access::Who;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use super::{at, echo, free_port, is_reset, open, peers, stream_to};
use crate::{
    gateway::{Gateway, Spec},
    peers::Peer,
    world::eventually,
};

const BULK: usize = 64 * 1024 * 1024;

/// Bytes that do not repeat within what a buffer holds.
fn noise(seed: &mut u64, block: &mut [u8]) {
    for word in block.chunks_exact_mut(8) {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        word.copy_from_slice(&seed.to_le_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_arrives_unchanged_both_ways_at_once() {
    let peer = peers::echoes().await;
    let (gateway, port) = stream_to(peer.address).await;
    let (mut from, mut to) = TcpStream::connect(at(port)).await.unwrap().into_split();
    let mut sending = JoinSet::new();
    sending.spawn(async move {
        let (mut seed, mut hash, mut block) = (1, DefaultHasher::new(), vec![0; 1024 * 1024]);
        for _ in 0..BULK / block.len() {
            noise(&mut seed, &mut block);
            hash.write(&block);
            to.write_all(&block).await.unwrap();
        }
        to.shutdown().await.unwrap();
        hash.finish()
    });
    let (mut hash, mut block, mut count) = (DefaultHasher::new(), vec![0; 1024 * 1024], 0);
    loop {
        let some = from.read(&mut block).await.unwrap();
        if some == 0 {
            break;
        }
        count += some;
        hash.write(&block[..some]);
    }
    assert_eq!(count, BULK);
    assert_eq!(sending.join_next().await.unwrap().unwrap(), hash.finish());
    let record = eventually("a record", || gateway.records.all().pop()).await;
    assert_eq!((record.received, record.sent), (BULK as u64, BULK as u64));
    assert!(record.is_complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_messages_and_bulk_alternate() {
    let peer = peers::echoes().await;
    let (_gateway, port) = stream_to(peer.address).await;
    let stream = TcpStream::connect(at(port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut from, mut to) = stream.into_split();
    let mut seed = 7;
    for round in 0..60 {
        let mut sent = vec![0; if round % 6 == 5 { 4 * 1024 * 1024 } else { 64 }];
        noise(&mut seed, &mut sent);
        let (sending, mut back) = (sent.clone(), vec![0; sent.len()]);
        let (_, read) = tokio::join!(to.write_all(&sending), from.read_exact(&mut back));
        read.unwrap();
        assert!(back == sent, "round {round}");
    }
}

/// As `pg_dump … | nc`: one side has finished, the other works on.
#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_has_finished_gets_the_answer() {
    let peer = peers::counts().await;
    let (gateway, port) = stream_to(peer.address).await;
    let mut stream = TcpStream::connect(at(port)).await.unwrap();
    stream.write_all(&vec![7; 100_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "100000");
    let record = eventually("a record", || gateway.records.all().pop()).await;
    assert!(record.is_complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_half_closes_hears_the_visitor_out() {
    let peer = peers::half_closes().await;
    let (_gateway, port) = stream_to(peer.address).await;
    let mut stream = TcpStream::connect(at(port)).await.unwrap();
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0, "it has finished");
    stream.write_all(b"but I have not").await.unwrap();
    stream.shutdown().await.unwrap();
    let heard = eventually("it heard", || peer.seen.requests().pop()).await;
    assert_eq!(heard, "but I have not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_passed_on_as_a_reset() {
    let peer = peers::resets().await;
    let (gateway, port) = stream_to(peer.address).await;
    let mut stream = TcpStream::connect(at(port)).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    assert!(
        is_reset(&mut stream).await,
        "half of something must not look like the whole"
    );
    let record = eventually("a record", || gateway.records.all().pop()).await;
    assert_eq!((record.is_complete, record.cut), (false, None));
}

/// Whether the application reads or not: it learns that the visitor is gone, and the gateway forgets both.
#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_resets_while_the_application_does_not_read_leaves_nothing_behind() {
    let peer = peers::stalls().await;
    let (gateway, port) = stream_to(peer.address).await;
    let mut stream = TcpStream::connect(at(port)).await.unwrap();
    // More than all buffers on the way take.
    let block = vec![0; 1024 * 1024];
    while timeout(Duration::from_millis(300), stream.write_all(&block))
        .await
        .is_ok()
    {}
    stream.set_zero_linger().unwrap();
    drop(stream);
    eventually("nothing is open", || gateway.exchanges.is_empty().then_some(())).await;
    eventually("the application is told", || (peer.seen.ended() == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_finishes_and_then_vanishes_is_noticed() {
    let peer = peers::half_reads().await;
    let (gateway, port) = stream_to(peer.address).await;
    let mut stream = TcpStream::connect(at(port)).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.shutdown().await.unwrap();
    eventually("the application knows", || peer.seen.requests().pop()).await;
    stream.set_zero_linger().unwrap();
    drop(stream);
    eventually("nothing is open", || gateway.exchanges.is_empty().then_some(())).await;
}

/// Each neighbor is served on the one thread that the hostile ones have too.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_applications_and_visitors_hold_nothing_up() {
    let good = peers::echoes().await;
    let hostile: [(&'static str, Peer); 6] = [
        ("stalls", peers::stalls().await),
        ("half_closes", peers::half_closes().await),
        ("resets", peers::resets().await),
        ("sends_one_byte", peers::sends_one_byte().await),
        ("gushes", peers::gushes().await),
        ("echoes", peers::echoes().await),
    ];
    let mut specs = vec![Spec::tcp(good.address, free_port())];
    for (number, (name, peer)) in hostile.iter().enumerate() {
        specs.push(Spec {
            task: u8::try_from(number).unwrap() + 2,
            name: Some(name),
            ..Spec::tcp(peer.address, free_port())
        });
    }
    let gateway = Gateway::start(&specs, Who::Visible, |_| {}).await;
    for spec in &specs {
        open(&gateway, spec.port.unwrap()).await;
    }
    let port = specs[0].port.unwrap();
    let mut neighbor = TcpStream::connect(at(port)).await.unwrap();
    neighbor.set_nodelay(true).unwrap();
    let block = vec![7; 256 * 1024];
    let mut visitors = Vec::new();
    for ((name, _), spec) in hostile.iter().zip(&specs[1..]) {
        for number in 0..20 {
            let mut visitor = TcpStream::connect(at(spec.port.unwrap())).await.unwrap();
            match number % 4 {
                // Sends until nobody takes more, and never reads.
                0 => {
                    while timeout(Duration::from_millis(5), visitor.write_all(&block))
                        .await
                        .is_ok_and(|sent| sent.is_ok())
                    {}
                }
                1 => {
                    let _ = visitor.shutdown().await;
                }
                2 => {
                    let _ = visitor.write_all(b"x").await;
                }
                _ => {}
            }
            visitors.push(visitor);
            let back = timeout(Duration::from_secs(20), echo(&mut neighbor, b"neighbor")).await;
            assert_eq!(back.expect("in time").unwrap(), b"neighbor", "{name}");
        }
    }
    for _ in 0..100 {
        let back = timeout(Duration::from_secs(10), echo(&mut neighbor, b"neighbor")).await;
        assert_eq!(back.expect("in time").unwrap(), b"neighbor");
    }
    for visitor in &visitors {
        visitor.set_zero_linger().unwrap();
    }
    drop((visitors, neighbor));
    eventually("nothing is open", || gateway.exchanges.is_empty().then_some(())).await;
}
