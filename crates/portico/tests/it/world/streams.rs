//! TCP endpoints: what stands behind them, the ports in front, and who connects.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener as Probe},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use portico_core::port_range::PortRange;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use super::{World, until, waiting::comes};

/// The public host of TCP endpoints: a name that nobody resolves.
pub(crate) const STREAMS: &str = "streams.test";
/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ports that nobody listens on, below those that the system hands out by itself.
pub(crate) fn free_ports(count: u16) -> PortRange {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs may run side by side.
    let offset = u16::try_from(std::process::id() % 97).unwrap() * 100;
    for _ in 0..1000 {
        let at = NEXT.fetch_add(count, Ordering::Relaxed);
        let start = 20_000 + (offset + at) % 12_000;
        let range = PortRange::new(start, start + count - 1).unwrap();
        let is_free = |port| Probe::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if range.end() < 32_000 && range.iter().all(is_free) {
            return range;
        }
    }
    panic!("no {count} ports in a row are free");
}

/// An application that says its name, then says everything again. Ends with the value.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    pub(crate) name: String,
    running: AbortHandle,
}

impl Line {
    pub(crate) async fn start(number: usize) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let name = format!("line {number}");
        let greeting = format!("{name}\n");
        let running = tokio::spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let greeting = greeting.clone();
                open.spawn(async move {
                    let (mut read, mut write) = stream.split();
                    write.write_all(greeting.as_bytes()).await?;
                    tokio::io::copy(&mut read, &mut write).await
                });
                while open.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            name,
            running: running.abort_handle(),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// A client's end of a TCP connection.
pub(crate) struct Wire(BufReader<TcpStream>);

impl Wire {
    /// Connects to a public port.
    pub(crate) async fn to(port: u16) -> io::Result<Self> {
        Self::from(Ipv4Addr::LOCALHOST, port).await
    }

    /// Connects from one of this machine's addresses.
    pub(crate) async fn from(client: Ipv4Addr, port: u16) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((client, 0).into())?;
        let stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The next line; `None` if the connection ends.
    pub(crate) async fn hears(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.0.read_line(&mut line))
            .await
            .expect("a line or the end");
        (read.ok()? > 0).then(|| line.trim_end().to_owned())
    }

    /// Says something and hears it again.
    pub(crate) async fn says(&mut self, text: &str) {
        self.0
            .get_mut()
            .write_all(format!("{text}\n").as_bytes())
            .await
            .unwrap();
        assert_eq!(self.hears().await.as_deref(), Some(text));
    }

    /// Waits for the other side to end the connection.
    pub(crate) async fn ends_within(&mut self, limit: Duration) {
        let mut rest = String::new();
        let end = async { while self.0.read_line(&mut rest).await.is_ok_and(|count| count > 0) {} };
        comes(limit, "the end of the connection", end).await;
    }
}

/// Who answers at a public port; `None` if nobody does.
pub(crate) async fn who_answers(port: u16) -> Option<String> {
    Wire::to(port).await.ok()?.hears().await
}

/// The runtime of a task that asks for a TCP endpoint, as the SDK leaves it.
pub(crate) fn tcp_runtime(address: SocketAddr) -> Map<String, Value> {
    Map::from_iter([
        ("_SERVICE".to_owned(), json!("EXTERNAL_TCP")),
        ("external_address".to_owned(), json!(address.ip().to_string())),
        ("external_tcp_port".to_owned(), json!(address.port())),
        ("upstream_task_port".to_owned(), json!(address.port())),
    ])
}

impl World {
    /// A running task of `user` that asks for a TCP endpoint.
    pub(crate) fn asks_tcp(&self, user: &str, name: &str, address: SocketAddr) -> String {
        self.asks_with(user, name, tcp_runtime(address))
    }

    /// The public port that stands in the task, once one does.
    pub(crate) async fn public_port(&self, task: &str) -> u16 {
        until("the public address is published", async || self.public_port_now(task)).await
    }

    pub(crate) fn public_port_now(&self, task: &str) -> Option<u16> {
        let runtime = self.emulator.runtime(task);
        if runtime.get("external_address")? != STREAMS {
            return None;
        }
        match runtime.get("external_tcp_port")? {
            Value::String(text) => text.parse().ok(),
            number => u16::try_from(number.as_u64()?).ok(),
        }
    }

    /// All metrics.
    pub(crate) async fn metrics(&self) -> String {
        self.operator().get("/metrics").await.text()
    }

    /// The refusal of a task's TCP endpoint, once it is this one.
    pub(crate) async fn is_refused(&self, task: &str, code: &str) {
        let id = portico_core::endpoint::TaskId::parse(task).unwrap();
        until(&format!("{task} is refused: {code}"), async || {
            let table = self.inside().table.get();
            let routes = table.task(id)?;
            let refusal = routes.routes.iter().find_map(|route| route.outcome.as_ref().err())?;
            (refusal.code() == code).then_some(())
        })
        .await;
    }
}
