//! Connections to applications.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time::timeout};

/// Probes of a silent connection start after this time and repeat at it.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Why nothing could be dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undialed {
    /// The machine is there, the port is closed.
    Refused,
    /// No route, or no answer.
    Unreachable,
    /// Nobody has confirmed for too long that the address is still the endpoint's.
    Unproven,
}

/// Connects within `limit`.
pub(crate) async fn dial(address: SocketAddr, limit: Duration) -> Result<TcpStream, Undialed> {
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(socket)) => {
            prepare(&socket);
            Ok(socket)
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(Undialed::Refused),
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "cannot connect");
            Err(Undialed::Unreachable)
        }
        Err(_) => Err(Undialed::Unreachable),
    }
}

/// Sends small writes at once, and notices a peer that vanished without a word.
pub(crate) fn prepare(socket: &TcpStream) {
    let socket = SockRef::from(socket);
    // A socket that does not take an option still carries bytes.
    let _ = socket.set_tcp_nodelay(true);
    let probes = TcpKeepalive::new()
        .with_time(KEEP_ALIVE)
        .with_interval(KEEP_ALIVE)
        .with_retries(3);
    let _ = socket.set_tcp_keepalive(&probes);
}

/// Whether something listens at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It accepted a connection.
    Listening,
    /// The machine is there, the port is closed.
    Refused,
    /// No route, or no answer in time.
    Unreachable,
}

/// Connects to `address` and closes the connection again.
pub async fn probe(address: SocketAddr, limit: Duration) -> Probe {
    match dial(address, limit).await {
        Ok(_) => Probe::Listening,
        Err(Undialed::Refused) => Probe::Refused,
        Err(Undialed::Unreachable | Undialed::Unproven) => Probe::Unreachable,
    }
}
