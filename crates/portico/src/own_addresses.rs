//! The addresses of this machine, as the kernel tells them: what `0.0.0.0` means here, and which upstreams are next door.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// This machine's addresses, loopback included, sorted. In a container: those of its network namespace.
pub fn own_addresses() -> Vec<IpAddr> {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let v4 = ipv4(&text("/proc/net/fib_trie")).into_iter().map(IpAddr::from);
    let v6 = ipv6(&text("/proc/net/if_inet6")).into_iter().map(IpAddr::from);
    let mut addresses: Vec<IpAddr> = v4.chain(v6).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The addresses under which listeners are reached from this machine: `0.0.0.0` stands for all IPv4 addresses, `[::]` for all.
pub fn expand(listeners: &[SocketAddr], own: &[IpAddr]) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = listeners
        .iter()
        .flat_map(|listener| {
            let port = listener.port();
            let means: Vec<IpAddr> = match listener.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => own.iter().copied().filter(IpAddr::is_ipv4).collect(),
                IpAddr::V6(ip) if ip.is_unspecified() => own.to_vec(),
                ip => vec![ip],
            };
            means.into_iter().map(move |ip| SocketAddr::new(ip, port))
        })
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Leaves of the routing table that are marked as local hosts:
///
/// ```text
///            |-- 192.0.2.7
///               /32 host LOCAL
/// ```
fn ipv4(fib_trie: &str) -> Vec<Ipv4Addr> {
    let mut leaf: Option<Ipv4Addr> = None;
    let mut addresses = Vec::new();
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            addresses.extend(leaf);
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// 32 hexadecimal digits begin each line.
fn ipv6(if_inet6: &str) -> Vec<Ipv6Addr> {
    let address = |line: &str| {
        let digits = line.split_whitespace().next().filter(|digits| digits.len() == 32)?;
        u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from)
    };
    if_inet6.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIB_TRIE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.7
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
Local:
        |-- 192.0.2.7
           /32 host LOCAL
";

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_kernels_tables_are_understood() {
        assert_eq!(ipv4(FIB_TRIE), [Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 0, 2, 7)]);
        let inet6 =
            "20010db8000000000000000000000007 02 40 00 80 eth0\n00000000000000000000000000000001 01 80 10 80 lo\nx\n";
        assert_eq!(
            ipv6(inet6).into_iter().map(IpAddr::from).collect::<Vec<_>>(),
            [ip("2001:db8::7"), ip("::1")]
        );
    }

    #[test]
    fn this_machine_has_a_loopback_address() {
        assert!(own_addresses().contains(&ip("127.0.0.1")), "{:?}", own_addresses());
    }

    #[test]
    fn unspecified_listeners_stand_for_all_addresses() {
        let own = [ip("127.0.0.1"), ip("192.0.2.7"), ip("2001:db8::7")];
        let expanded = |listener: &str| -> Vec<String> {
            let listener = listener.parse().expect("an address");
            expand(&[listener], &own).iter().map(ToString::to_string).collect()
        };
        assert_eq!(expanded("0.0.0.0:8080"), ["127.0.0.1:8080", "192.0.2.7:8080"]);
        assert_eq!(
            expanded("[::]:80"),
            ["127.0.0.1:80", "192.0.2.7:80", "[2001:db8::7]:80"]
        );
        assert_eq!(expanded("10.0.0.9:80"), ["10.0.0.9:80"]);
    }
}
