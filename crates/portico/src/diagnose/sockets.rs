//! Who listens on this machine: the kernel's tables of TCP sockets.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The addresses on which somebody listens on this port, in this network namespace. Empty also where the tables cannot be read.
pub fn listening_on(port: u16) -> Vec<IpAddr> {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let mut addresses = parse(&text("/proc/net/tcp"), port);
    addresses.extend(parse(&text("/proc/net/tcp6"), port));
    // A table that changes while it is read may show a line twice.
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Lines such as `0: 0100007F:1F90 00000000:0000 0A …`: local address, remote address, state (`0A` listens).
fn parse(table: &str, port: u16) -> Vec<IpAddr> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, _remote, state) = (fields.next()?, fields.next()?, fields.next()?);
        let (address, local_port) = local.split_once(':')?;
        let is_it = state == "0A" && u16::from_str_radix(local_port, 16).ok()? == port;
        if is_it { ip(address) } else { None }
    };
    table.lines().filter_map(line).collect()
}

/// The kernel prints each 32-bit word as a number of this machine's byte order.
fn ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| -> Option<[u8; 4]> {
        let digits = hex.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_of_this_machine_are_found_with_their_addresses() {
        let here = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = here.local_addr().expect("an address").port();
        assert_eq!(listening_on(port), [IpAddr::from([127, 0, 0, 1])]);
        drop(here);
        let here = std::net::TcpListener::bind("[::1]:0").expect("a port");
        let port = here.local_addr().expect("an address").port();
        assert_eq!(listening_on(port), [IpAddr::from(Ipv6Addr::LOCALHOST)]);
    }

    #[test]
    fn open_connections_are_no_listeners() {
        let here = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = here.local_addr().expect("an address");
        let client = std::net::TcpStream::connect(address).expect("a connection");
        let own = client.local_addr().expect("an address").port();
        assert!(listening_on(own).is_empty());
    }

    #[test]
    fn lines_that_are_no_sockets_are_passed_over() {
        let table = "  sl  local_address rem_address   st\n   0: nonsense\n   1: 0100007F:1F90 00000000:0000 0A 0\n   2: é100007F:1F90 0 0A";
        assert_eq!(parse(table, 8080), [IpAddr::from([127, 0, 0, 1])]);
    }
}
