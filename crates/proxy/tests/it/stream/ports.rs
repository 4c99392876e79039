//! Which ports stand open, for whom, and what becomes of those behind which nobody is.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use portico_core::{access::Who, audit::AuditKind, endpoint::EndpointId, observe::Workload};
use portico_proxy::{StreamRefusal, StreamSettings, record::Kind};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

use super::{at, echo, free_port, is_reset, is_served, is_turned_away, open, peers, stream_to};
use crate::{
    gateway::{Gateway, Spec, gateway, now, task},
    peers::nowhere,
    world::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_reaches_the_application_and_is_recorded() {
    let peer = peers::greets().await;
    let (mut gateway, port) = stream_to(peer.address).await;
    let mut stream = TcpStream::connect(at(port)).await.unwrap();
    let mut banner = [0; 21];
    stream.read_exact(&mut banner).await.unwrap();
    assert_eq!(&banner, b"SSH-2.0-OpenSSH_9.2\r\n", "the application speaks first");
    assert_eq!(echo(&mut stream, b"hello").await.unwrap(), b"hello");
    let open = gateway.exchanges.snapshot();
    assert_eq!((open.len(), open[0].kind(), open[0].is_tunnel()), (1, Kind::Tcp, true));
    assert!(gateway.records.all().is_empty(), "recorded at its end");
    eventually("the bytes are seen while it is open", || {
        (gateway.counters.threads()[0].stream_sent == 26).then_some(())
    })
    .await;
    let idle = open[0].idle();
    eventually("it grows idle", || (open[0].idle() > idle).then_some(())).await;
    drop(stream);
    let record = eventually("a record", || gateway.records.all().pop()).await;
    assert_eq!(
        (record.kind, record.method, record.path),
        (Kind::Tcp, None, format!(":{port}"))
    );
    assert_eq!((record.received, record.sent), (5, 26));
    assert_eq!((record.refusal, record.cut, record.status), (None, None, None));
    assert!(record.is_complete && record.connect.is_some());
    assert_eq!(record.endpoint.unwrap().task, task(1));
    let event = gateway.audit.recv().await.unwrap();
    assert_eq!((event.event, event.task), (AuditKind::StreamOpened, Some(task(1))));
    assert_eq!(event.address, Some([127, 0, 0, 1].into()));
    assert_eq!(event.detail, Some(format!("port {port}")));
    eventually("nothing is open", || gateway.exchanges.is_empty().then_some(())).await;
    let counts = gateway.counters.threads();
    assert_eq!((counts[0].streams, counts[0].streams_accepted), (0, 1));
    assert_eq!((counts[0].stream_received, counts[0].stream_sent), (5, 26));
    let id = open[0].endpoint.id;
    let traffic = gateway.upstreams.traffic(id).unwrap();
    assert_eq!((traffic.opened, traffic.received, traffic.sent), (1, 5, 26));
    assert_eq!(traffic.last_activity, Some(now()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_port_is_refused_by_the_kernel_and_its_streams_are_cut() {
    let (peer, other) = (peers::echoes().await, peers::echoes().await);
    let (mut gateway, port) = stream_to(peer.address).await;
    let beside = free_port();
    let neighbor = super::beside(other.address, beside);
    gateway.publish(&[Spec::tcp(peer.address, port), neighbor.clone()]);
    open(&gateway, beside).await;
    let mut stream = TcpStream::connect(at(port)).await.unwrap();
    let mut stays = TcpStream::connect(at(beside)).await.unwrap();
    echo(&mut stream, b"hello").await.unwrap();
    echo(&mut stays, b"hello").await.unwrap();
    gateway.publish(&[neighbor]);
    assert!(is_reset(&mut stream).await);
    // It is told first that the port is no more, and those who came before that are taken in.
    eventually("nobody says that the port is open", || {
        (!gateway.open_ports.get().open.contains_key(&port)).then_some(())
    })
    .await;
    eventually("the port is closed", || {
        let error = std::net::TcpStream::connect(at(port)).err()?;
        (error.kind() == std::io::ErrorKind::ConnectionRefused).then_some(())
    })
    .await;
    let record = eventually("a record", || {
        gateway.records.all().into_iter().find(|record| record.cut.is_some())
    })
    .await;
    assert_eq!((record.cut, record.is_complete), (Some("ended"), false));
    let cut = eventually("an audit event", || {
        std::iter::from_fn(|| gateway.audit.try_recv().ok()).find(|event| event.event == AuditKind::ExchangeCut)
    })
    .await;
    assert_eq!(cut.task, Some(task(1)));
    assert_eq!(echo(&mut stays, b"still there?").await.unwrap(), b"still there?");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_listens_the_visitor_is_closed_at_once() {
    let (gateway, port) = stream_to(nowhere().await).await;
    let began = Instant::now();
    assert!(is_turned_away(port).await);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let record = eventually("a record", || gateway.records.all().pop()).await;
    assert_eq!((record.refusal, record.is_complete), (Some("not_listening"), false));
    assert!(gateway.exchanges.is_empty());
    assert!(
        gateway
            .counters
            .stream_refusals()
            .contains(&(StreamRefusal::NotListening, 1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_open_goes_on_while_the_address_is_not_proven() {
    let peer = peers::echoes().await;
    let (gateway, port) = stream_to(peer.address).await;
    let mut stays = TcpStream::connect(at(port)).await.unwrap();
    assert_eq!(echo(&mut stays, b"hello").await.unwrap(), b"hello");
    let mut unproven = Spec::tcp(peer.address, port);
    unproven.workload = Workload::Unproven;
    gateway.publish(&[unproven]);
    eventually("a refusal", || {
        drop(std::net::TcpStream::connect(at(port)));
        let refusals = gateway.counters.stream_refusals();
        let mut unproven = refusals.iter().filter(|(why, _)| *why == StreamRefusal::Unproven);
        unproven.any(|(_, count)| *count > 0).then_some(())
    })
    .await;
    assert_eq!(echo(&mut stays, b"still there?").await.unwrap(), b"still there?");
}

/// An address that takes no connection and sends no word: its queue is full.
struct Silent {
    address: SocketAddr,
    _held: (Socket, Vec<Socket>),
}

fn silent() -> Silent {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&at(0).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let visitor = || {
        let visitor = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        visitor.set_nonblocking(true).unwrap();
        let _ = visitor.connect(&address.into());
        visitor
    };
    Silent {
        address,
        _held: (socket, (0..4).map(|_| visitor()).collect()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_answers_the_visitor_is_closed_in_time_and_a_neighbor_is_served() {
    let silent = silent();
    let peer = peers::echoes().await;
    let (port, beside) = (free_port(), free_port());
    let neighbor = super::beside(peer.address, beside);
    let gateway = Gateway::start(&[Spec::tcp(silent.address, port), neighbor], Who::Visible, |settings| {
        let streams = settings.streams.as_mut().unwrap();
        streams.connect = Duration::from_secs(3);
        streams.dials_per_endpoint = 10;
    })
    .await;
    open(&gateway, port).await;
    open(&gateway, beside).await;
    let mut waiting = JoinSet::new();
    (0..15).for_each(|_| drop(waiting.spawn(is_turned_away(port))));
    eventually("all have come", || {
        (gateway.counters.threads()[0].streams_accepted == 15).then_some(())
    })
    .await;
    assert!(is_served(beside).await);
    assert!(waiting.join_all().await.into_iter().all(|turned_away| turned_away));
    let refusals = gateway.counters.stream_refusals();
    assert!(refusals.contains(&(StreamRefusal::Busy, 5)), "{refusals:?}");
    assert!(refusals.contains(&(StreamRefusal::Unreachable, 10)), "{refusals:?}");
    assert!(is_served(beside).await);
}

/// With `SO_REUSEPORT` alone, two gateways would take half of each other's visitors without any error.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_somebody_else_has_is_told_and_opened_when_it_is_free() {
    let peer = peers::echoes().await;
    let port = free_port();
    let holder = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    holder.set_reuse_address(true).unwrap();
    holder.set_reuse_port(true).unwrap();
    holder.bind(&at(port).into()).unwrap();
    holder.listen(1).unwrap();
    let gateway = gateway(&[Spec::tcp(peer.address, port)]).await;
    let why = eventually("it is told", || gateway.open_ports.get().failed.get(&port).cloned()).await;
    assert!(why.contains("Address already in use"), "{why}");
    assert!(gateway.open_ports.get().open.is_empty());
    drop(holder);
    open(&gateway, port).await;
    assert!(gateway.open_ports.get().failed.is_empty());
    assert!(is_served(port).await);
    gateway.publish(&[]);
    eventually("nothing is wanted", || {
        (*gateway.open_ports.get() == portico_core::ports::OpenPorts::default()).then_some(())
    })
    .await;
}

/// Class 21: the address that a task had may be somebody else's now.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_restarts_elsewhere_keeps_its_port_and_takes_nobody_along() {
    let (old, new) = (peers::echoes().await, peers::echoes().await);
    let (gateway, port) = stream_to(old.address).await;
    let mut stream = TcpStream::connect(at(port)).await.unwrap();
    echo(&mut stream, b"hello").await.unwrap();
    let mut knocking = JoinSet::new();
    knocking.spawn(async move {
        for _ in 0..200 {
            // Who comes while the task moves may be turned away, but the port is never closed.
            let knock = TcpStream::connect(at(port)).await.map_err(|error| error.kind());
            assert_ne!(knock.err(), Some(std::io::ErrorKind::ConnectionRefused));
        }
    });
    // It ends elsewhere than it began, so what was open at the beginning is cut at the latest then.
    for round in 0..21 {
        let now = if round % 2 == 0 { &new } else { &old };
        gateway.publish(&[Spec::tcp(now.address, port)]);
        tokio::task::yield_now().await;
    }
    knocking.join_all().await;
    // Some who knocked may still wait to be accepted. Whoever comes now comes after them.
    assert!(is_served(port).await);
    assert!(is_reset(&mut stream).await);
    eventually("all have gone", || gateway.exchanges.is_empty().then_some(())).await;
    let visitors = || [&old, &new].map(|peer| peer.seen.connections());
    let before = visitors();
    let last = peers::echoes().await;
    gateway.publish(&[Spec::tcp(last.address, port)]);
    assert!(is_served(port).await);
    assert_ne!(last.seen.connections(), 0);
    assert_eq!(visitors(), before, "nobody is led to where the task was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_changes_hands_leads_to_its_new_endpoint_only() {
    let (first, second) = (peers::echoes().await, peers::echoes().await);
    let (gateway, port) = stream_to(first.address).await;
    let id = |gateway: &Gateway| -> Option<EndpointId> { gateway.open_ports.get().open.get(&port).copied() };
    let before = id(&gateway).unwrap();
    gateway.publish(&[super::beside(second.address, port)]);
    eventually("the port is another's", || id(&gateway).filter(|now| *now != before)).await;
    assert!(is_served(port).await);
    assert_eq!((first.seen.connections(), second.seen.connections()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_spread_over_the_threads() {
    let peer = peers::echoes().await;
    let port = free_port();
    let gateway = Gateway::start(&[Spec::tcp(peer.address, port)], Who::Visible, |settings| {
        settings.threads = 2;
    })
    .await;
    open(&gateway, port).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(at(port)).await.unwrap();
        echo(&mut stream, b"x").await.unwrap();
        streams.push(stream);
    }
    let open: Vec<usize> = gateway.counters.threads().iter().map(|thread| thread.streams).collect();
    assert_eq!(open, [5, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv4_and_ipv6_may_be_listened_on_beside_each_other() {
    let peer = peers::echoes().await;
    let port = free_port();
    let gateway = Gateway::start(&[Spec::tcp(peer.address, port)], Who::Visible, |settings| {
        settings.streams = Some(StreamSettings {
            listen: vec!["127.0.0.1".parse().unwrap(), "::".parse().unwrap()],
            ..StreamSettings::default()
        });
    })
    .await;
    open(&gateway, port).await;
    let mut streams = Vec::new();
    for address in [at(port), format!("[::1]:{port}").parse().unwrap()] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'x', "{address}");
        streams.push(stream);
    }
    let clients: Vec<_> = gateway
        .exchanges
        .snapshot()
        .iter()
        .map(Arc::clone)
        .map(|open| open.client)
        .collect();
    assert!(clients.contains(&"127.0.0.1".parse().unwrap()), "{clients:?}");
}
