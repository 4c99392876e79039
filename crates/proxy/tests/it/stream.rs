//! Streams: TCP endpoints on public ports of their own, over real sockets.

mod admission;
mod bounds;
mod bytes;
mod churn;
mod owners;
mod peers;
mod ports;
mod proxy_protocol;
mod shutdown;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    gateway::{Gateway, Spec},
    world::eventually,
};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A port that nobody else has now and no other test of this run gets: below those that the system gives away by itself.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

pub(crate) fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A gateway with one TCP endpoint at `upstream`, and its port, which is open.
pub(crate) async fn stream_to(upstream: SocketAddr) -> (Gateway, u16) {
    let port = free_port();
    let gateway = crate::gateway::gateway(&[Spec::tcp(upstream, port)]).await;
    open(&gateway, port).await;
    (gateway, port)
}

/// Waits until the port stands open.
pub(crate) async fn open(gateway: &Gateway, port: u16) {
    eventually("the port is open", || {
        gateway.open_ports.get().open.contains_key(&port).then_some(())
    })
    .await;
}

/// Asks an application that echoes.
pub(crate) async fn echo(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(bytes).await?;
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).await?;
    Ok(back)
}

/// A visitor of its own asks and is answered in time.
pub(crate) async fn is_served(port: u16) -> bool {
    let asking = async {
        let mut stream = TcpStream::connect(at(port)).await?;
        echo(&mut stream, b"are you there?").await
    };
    matches!(timeout(PATIENCE, asking).await, Ok(Ok(back)) if back == b"are you there?")
}

/// A second endpoint, of another task.
pub(crate) fn beside(address: SocketAddr, port: u16) -> Spec {
    Spec {
        task: 2,
        name: Some("beside"),
        ..Spec::tcp(address, port)
    }
}

/// True if a visitor of its own is turned away by a reset, however early.
pub(crate) async fn is_turned_away(port: u16) -> bool {
    is_turned_away_from(Ipv4Addr::LOCALHOST, port).await
}

pub(crate) async fn is_turned_away_from(address: Ipv4Addr, port: u16) -> bool {
    match connect_from(address, port).await {
        Ok(mut stream) => is_reset(&mut stream).await,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// A visitor's connection from this address of the machine.
pub(crate) async fn connect_from(address: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((address, 0).into())?;
    socket.connect(at(port)).await
}

/// Waits until all that is open has been decided again.
pub(crate) async fn judged_again(gateway: &Gateway) {
    // The round that is under way may have begun before.
    let enough = gateway.exchanges.rounds() + 3;
    eventually("all has been decided again", || {
        (gateway.exchanges.rounds() >= enough).then_some(())
    })
    .await;
}

/// Waits until the other side has closed the connection, and says whether by a reset.
pub(crate) async fn is_reset(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match timeout(PATIENCE, stream.read(&mut bytes))
            .await
            .expect("closed in time")
        {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
