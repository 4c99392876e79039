//! What comes and goes leaves nothing behind.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use portico_core::access::Who;
use tokio::{net::TcpStream, task::JoinSet};

use super::{at, echo, free_port, is_served, open, peers};
use crate::{
    gateway::{Gateway, Spec},
    world::eventually,
};

const VISITORS: usize = 10_000;
const AT_ONCE: usize = 32;
const LISTENING: &str = "0A";
/// Waiting for late packets, which the kernel does without a descriptor.
const GONE: &str = "06";

/// Connections at one of these ports that somebody still has.
fn connections_at(ports: [u16; 2]) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let port = |word: &str| u16::from_str_radix(word.rsplit(':').next().unwrap(), 16).unwrap();
    let is_there = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_here = ports.contains(&port(words[1])) || ports.contains(&port(words[2]));
        is_here && ![LISTENING, GONE].contains(&words[3])
    };
    table.lines().skip(1).filter(is_there).count()
}

async fn visit(port: u16, number: usize) {
    let mut stream = TcpStream::connect(at(port)).await.unwrap();
    // Some are gone before the application is reached.
    if !number.is_multiple_of(4) {
        assert_eq!(echo(&mut stream, b"hello").await.unwrap(), b"hello");
    }
    // All but some by a reset: what is closed in order waits a minute in the kernel, for late packets.
    if number % 4 != 1 {
        stream.set_zero_linger().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_visitors_leave_nothing_behind() {
    let peer = peers::echoes().await;
    let port = free_port();
    let gateway = Gateway::start(&[Spec::tcp(peer.address, port)], Who::Visible, |settings| {
        settings.threads = 2;
    })
    .await;
    open(&gateway, port).await;
    let left = Arc::new(AtomicUsize::new(VISITORS));
    let mut visitors = JoinSet::new();
    for _ in 0..AT_ONCE {
        let left = left.clone();
        visitors.spawn(async move {
            let next = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            while let Ok(number) = next() {
                visit(port, number).await;
            }
        });
    }
    visitors.join_all().await;
    // Of those who were gone at once the kernel need not tell.
    let certain = VISITORS / 4 * 3;
    eventually("all have ended", || {
        let threads = gateway.counters.threads();
        let came: u64 = threads.iter().map(|thread| thread.streams_accepted).sum();
        let is_over = gateway.exchanges.is_empty() && threads.iter().all(|thread| thread.streams == 0);
        (is_over && came >= certain as u64).then_some(())
    })
    .await;
    eventually("no connection is left", || {
        (connections_at([port, peer.address.port()]) == 0).then_some(())
    })
    .await;
    let records = gateway.records.all().len();
    assert!((certain..=VISITORS).contains(&records), "{records}");
    assert!(is_served(port).await);
    gateway.publish(&[]);
    eventually("the port is closed", || {
        std::net::TcpStream::connect(at(port)).err().map(drop)
    })
    .await;
}
