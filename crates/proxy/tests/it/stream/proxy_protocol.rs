//! Behind a load balancer that tells whose connection it passes on. Class 6: only those who are trusted are believed.

use std::net::{IpAddr, Ipv4Addr};

use portico_core::{access::Who, streams::Admission};
use portico_proxy::{Settings, StreamRefusal};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{at, connect_from, echo, free_port, is_reset, open, peers};
use crate::{
    gateway::{Gateway, SHORT, Spec},
    peers::Peer,
    world::eventually,
};

const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 30000\r\n";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\x0a\0\0\x01\xdc\x04\x75\x30";
/// Its own health check.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0";

async fn balanced(change: impl FnOnce(&mut Settings)) -> (Gateway, Peer, u16) {
    let peer = peers::echoes().await;
    let port = free_port();
    let gateway = Gateway::start(&[Spec::tcp(peer.address, port)], Who::Visible, |settings| {
        settings.trusted_proxies = vec![IpAddr::from(BALANCER).into()];
        settings.streams.as_mut().unwrap().proxy_protocol = true;
        change(settings);
    })
    .await;
    open(&gateway, port).await;
    (gateway, peer, port)
}

/// The load balancer passes a connection on, with this header.
async fn through(header: &[u8], port: u16) -> std::io::Result<TcpStream> {
    let mut stream = connect_from(BALANCER, port).await?;
    stream.write_all(&[header, b"hello"].concat()).await?;
    let mut back = [0; 5];
    stream.read_exact(&mut back).await?;
    assert_eq!(&back, b"hello", "all behind the header arrives, and nothing of it");
    Ok(stream)
}

fn clients(gateway: &Gateway) -> Vec<String> {
    let open = gateway.exchanges.snapshot();
    let mut clients: Vec<_> = open.iter().map(|exchange| exchange.client.to_string()).collect();
    clients.sort();
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_name_the_visitor() {
    let (gateway, _peer, port) = balanced(|_| {}).await;
    let _held = [
        through(LINE, port).await.unwrap(),
        through(BINARY, port).await.unwrap(),
        through(LOCAL, port).await.unwrap(),
    ];
    assert_eq!(clients(&gateway), ["127.0.0.3", "192.0.2.7", "192.0.2.8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_trusted_is_not_believed() {
    let (gateway, _peer, port) = balanced(|_| {}).await;
    let mut stream = TcpStream::connect(at(port)).await.unwrap();
    assert_eq!(echo(&mut stream, LINE).await.unwrap(), LINE, "it is the application's");
    assert_eq!(clients(&gateway), ["127.0.0.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_option_nobody_is_believed() {
    let (gateway, _peer, port) = balanced(|settings| settings.streams.as_mut().unwrap().proxy_protocol = false).await;
    let mut stream = connect_from(BALANCER, port).await.unwrap();
    assert_eq!(echo(&mut stream, LINE).await.unwrap(), LINE);
    assert_eq!(clients(&gateway), ["127.0.0.3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_header_says_decides() {
    let (gateway, peer, port) = balanced(|settings| {
        let streams = settings.streams.as_mut().unwrap();
        streams.admission = Admission::Networks;
        streams.allowed_sources = vec!["192.0.2.7/32".parse().unwrap()];
        streams.connections_per_address = 1;
    })
    .await;
    assert!(through(BINARY, port).await.is_err(), "192.0.2.8 may not");
    assert!(through(LOCAL, port).await.is_err(), "nor may the load balancer itself");
    let _held = through(LINE, port).await.unwrap();
    assert!(through(LINE, port).await.is_err(), "it is one too many from there");
    assert_eq!(peer.seen.connections(), 1);
    let refusals = gateway.counters.stream_refusals();
    assert!(refusals.contains(&(StreamRefusal::SourceNotAllowed, 2)), "{refusals:?}");
    assert!(refusals.contains(&(StreamRefusal::AddressLimit, 1)), "{refusals:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_never_ends_is_not_waited_for() {
    let (gateway, peer, port) = balanced(|settings| settings.streams.as_mut().unwrap().proxy_header = SHORT).await;
    for header in [
        b"".as_slice(),
        b"PROXY TCP4 192.",
        &BINARY[..20],
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let mut stream = connect_from(BALANCER, port).await.unwrap();
        stream.write_all(header).await.unwrap();
        assert!(is_reset(&mut stream).await, "{}", header.escape_ascii());
    }
    assert_eq!(peer.seen.connections(), 0);
    eventually("all are counted", || {
        let refusals = gateway.counters.stream_refusals();
        refusals.contains(&(StreamRefusal::BadProxyHeader, 4)).then_some(())
    })
    .await;
}
