//! Listening sockets: one for each address and data thread, all there before any thread accepts.

pub(crate) mod permits;

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel keeps while the threads are busy.
pub(crate) const BACKLOG: i32 = 1024;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process is there.
    #[error("{address} is already in use: stop whatever listens there (`ss -ltnp` shows it), or set another port")]
    Taken {
        /// The address.
        address: SocketAddr,
    },
    /// This process may not.
    #[error("no permission to listen on {address}: ports below 1024 need root or CAP_NET_BIND_SERVICE")]
    Forbidden {
        /// The address.
        address: SocketAddr,
    },
    /// The address belongs to no interface of this machine.
    #[error("{address} is not an address of this machine: use 0.0.0.0 or [::] for all of them")]
    NotHere {
        /// The address.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {error}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

/// Sockets for `threads` threads on each address: the outer list is by thread. Tries alone first: with `SO_REUSEPORT` alone, a
/// second gateway on the same port would take half of the first one's connections without any error.
pub(crate) fn sockets(addresses: &[SocketAddr], threads: usize) -> Result<Vec<Vec<TcpListener>>, BindError> {
    let mut by_thread: Vec<Vec<TcpListener>> = (0..threads.max(1)).map(|_| Vec::new()).collect();
    for wanted in addresses {
        let explain = |error| explain(*wanted, error);
        let alone = socket(*wanted, false).map_err(explain)?;
        let address = alone
            .local_addr()
            .ok()
            .and_then(|address| address.as_socket())
            .unwrap_or(*wanted);
        drop(alone);
        for listeners in &mut by_thread {
            let shared = socket(address, true).map_err(explain)?;
            shared.listen(BACKLOG).map_err(explain)?;
            listeners.push(shared.into());
        }
    }
    Ok(by_thread)
}

fn socket(address: SocketAddr, is_shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a predecessor that linger in TIME_WAIT do not count as taken.
    socket.set_reuse_address(true)?;
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // `[::]` takes IPv4 too, whatever the system's default.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // Two sockets with SO_REUSEADDR may be bound while neither listens; only listening tells whether the port is free.
    if !is_shared {
        socket.listen(1)?;
    }
    Ok(socket)
}

/// One socket that listens on an address and shares it with nobody. `is_only_v6`: an IPv6 address leaves IPv4 to another socket.
pub(crate) fn exclusive(address: SocketAddr, is_only_v6: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(is_only_v6)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn explain(address: SocketAddr, error: io::Error) -> BindError {
    match error.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken { address },
        io::ErrorKind::PermissionDenied => BindError::Forbidden { address },
        io::ErrorKind::AddrNotAvailable => BindError::NotHere { address },
        _ => BindError::Other { address, error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_an_error_that_says_what_to_do() {
        let free: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let held = sockets(&[free], 2).expect("a free port");
        let address = held[0][0].local_addr().expect("an address");
        assert_eq!(
            held[1][0].local_addr().expect("an address"),
            address,
            "both threads share the port"
        );
        let error = sockets(&[address], 2).expect_err("taken");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
        assert!(error.to_string().contains("set another port"), "{error}");
    }

    #[test]
    fn a_foreign_address_is_explained() {
        let error = sockets(&["192.0.2.1:0".parse().expect("an address")], 1).expect_err("not ours");
        assert!(matches!(error, BindError::NotHere { .. }), "{error:?}");
    }
}
