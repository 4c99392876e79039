//! Which addresses may be dialed. A task's own claim is never enough.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::port_range::PortRange;

/// Where a ClearML server's own parts listen: API, web, files; `MongoDB`, Redis, Elasticsearch.
pub const SERVER_PORTS: [u16; 6] = [8008, 8080, 8081, 27017, 6379, 9200];

/// What the configuration allows beyond the addresses that a source vouches for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialRules {
    /// `discovery.networks`: claimed addresses in here are believed.
    pub networks: Vec<IpNet>,
    /// Portico's own listeners and the ClearML server: never dialed.
    pub own: Vec<SocketAddr>,
    /// Portico's own public ports for streams, on each address under which this machine reaches them: never dialed.
    pub own_streams: Vec<(IpAddr, PortRange)>,
    /// Addresses of the ClearML server's machine: its [`SERVER_PORTS`] are never dialed.
    pub server: Vec<IpAddr>,
    /// Exact addresses that are allowed although they are on loopback: `portico dev`'s own samples.
    pub exempt: Vec<SocketAddr>,
}

/// Why an address is not dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undialable {
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// `169.254.0.0/16`, `fe80::/10`: also where clouds keep their metadata.
    LinkLocal,
    /// A cloud's metadata service outside the link-local range.
    Metadata,
    /// Unspecified, multicast, broadcast, or an IPv6 form that hides an IPv4 address.
    Special,
    /// One of Portico's own listeners, or the ClearML server.
    Own,
    /// A port of the ClearML server's machine at which a part of the server listens.
    ServerPort,
    /// Neither the address of the task's worker nor in an allowed network.
    NotVouchedFor,
    /// The task names none and its source knows none.
    Unknown,
}

impl DialRules {
    /// The address to dial for a task that claims `claimed` and of which the source knows the addresses `known`.
    ///
    /// # Errors
    /// The address in question (if there is one) and why it is not dialed.
    pub fn judge(
        &self,
        claimed: Option<IpAddr>,
        port: u16,
        known: &[IpAddr],
    ) -> Result<SocketAddr, (Option<IpAddr>, Undialable)> {
        let Some(address) = claimed.or_else(|| known.first().copied()) else {
            return Err((None, Undialable::Unknown));
        };
        let address = address.to_canonical();
        let target = SocketAddr::new(address, port);
        if self.exempt.contains(&target) {
            return Ok(target);
        }
        if let Some(why) = never(address) {
            return Err((Some(address), why));
        }
        let is_own = |own: &SocketAddr| own.ip().to_canonical() == address && own.port() == port;
        let is_stream = |(own, range): &(IpAddr, PortRange)| own.to_canonical() == address && range.contains(port);
        if self.own.iter().any(is_own) || self.own_streams.iter().any(is_stream) {
            return Err((Some(address), Undialable::Own));
        }
        let is_server = self.server.iter().any(|server| server.to_canonical() == address);
        if is_server && SERVER_PORTS.contains(&port) {
            return Err((Some(address), Undialable::ServerPort));
        }
        let is_known = known.iter().any(|known| known.to_canonical() == address);
        if is_known || self.networks.iter().any(|network| network.contains(&address)) {
            Ok(target)
        } else {
            Err((Some(address), Undialable::NotVouchedFor))
        }
    }
}

/// What no configuration can allow.
fn never(address: IpAddr) -> Option<Undialable> {
    match address {
        IpAddr::V4(v4) if v4.is_loopback() => Some(Undialable::Loopback),
        IpAddr::V4(v4) if v4.is_link_local() => Some(Undialable::LinkLocal),
        IpAddr::V4(v4) if v4.octets() == [100, 100, 100, 200] => Some(Undialable::Metadata),
        IpAddr::V4(v4) if v4.octets()[0] == 0 || v4.is_multicast() || v4.is_broadcast() => Some(Undialable::Special),
        IpAddr::V6(v6) if v6.is_loopback() => Some(Undialable::Loopback),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(Undialable::LinkLocal),
        IpAddr::V6(v6) if v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254) => Some(Undialable::Metadata),
        IpAddr::V6(v6) if v6.is_multicast() || hides_an_ipv4_address(v6) => Some(Undialable::Special),
        _ => None,
    }
}

/// `::/96` (compatible, with the unspecified address), `64:ff9b::/96` and `64:ff9b:1::/48` (NAT64), `2002::/16` (6to4),
/// `2001::/32` (Teredo): they lead to an IPv4 address that was not judged.
fn hides_an_ipv4_address(v6: Ipv6Addr) -> bool {
    matches!(
        v6.segments(),
        [0, 0, 0, 0, 0, 0, _, _]
            | [0x64, 0xff9b, 0, 0, 0, 0, _, _]
            | [0x64, 0xff9b, 1, ..]
            | [0x2002, ..]
            | [0x2001, 0, ..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn everywhere() -> DialRules {
        DialRules {
            networks: vec![
                "0.0.0.0/0".parse().expect("a network"),
                "::/0".parse().expect("a network"),
            ],
            own: vec!["10.0.0.9:8080".parse().expect("an address")],
            own_streams: PortRange::new(30000, 30010)
                .map(|range| (ip("10.0.0.9"), range))
                .into_iter()
                .collect(),
            server: vec![ip("10.0.0.20")],
            exempt: vec!["127.0.0.1:4001".parse().expect("an address")],
        }
    }

    #[test]
    fn loopback_metadata_and_hidden_forms_are_refused_even_if_every_network_is_allowed() {
        for (claimed, why) in [
            ("127.0.0.1", Undialable::Loopback),
            ("127.8.8.8", Undialable::Loopback),
            ("::1", Undialable::Loopback),
            ("::ffff:127.0.0.1", Undialable::Loopback),
            ("169.254.169.254", Undialable::LinkLocal),
            ("::ffff:169.254.169.254", Undialable::LinkLocal),
            ("fe80::1", Undialable::LinkLocal),
            ("100.100.100.200", Undialable::Metadata),
            ("fd00:ec2::254", Undialable::Metadata),
            ("0.0.0.0", Undialable::Special),
            ("0.1.2.3", Undialable::Special),
            ("255.255.255.255", Undialable::Special),
            ("224.0.0.1", Undialable::Special),
            ("ff02::1", Undialable::Special),
            ("::", Undialable::Special),
            ("::127.0.0.1", Undialable::Special),
            ("64:ff9b::7f00:1", Undialable::Special),
            ("2002:7f00:1::", Undialable::Special),
            ("2001:0:7f00:1::", Undialable::Special),
        ] {
            let known = [ip(claimed)];
            assert_eq!(
                everywhere()
                    .judge(Some(ip(claimed)), 80, &known)
                    .map_err(|(_, why)| why),
                Err(why),
                "{claimed}"
            );
        }
    }

    #[test]
    fn own_listeners_are_refused_and_their_neighbors_are_not() {
        assert_eq!(
            everywhere().judge(Some(ip("10.0.0.9")), 8080, &[]),
            Err((Some(ip("10.0.0.9")), Undialable::Own))
        );
        assert_eq!(
            everywhere().judge(Some(ip("::ffff:10.0.0.9")), 8080, &[]),
            Err((Some(ip("10.0.0.9")), Undialable::Own))
        );
        assert!(everywhere().judge(Some(ip("10.0.0.9")), 8081, &[]).is_ok());
        assert_eq!(
            everywhere().judge(Some(ip("::ffff:10.0.0.9")), 30010, &[]),
            Err((Some(ip("10.0.0.9")), Undialable::Own))
        );
        assert!(everywhere().judge(Some(ip("10.0.0.9")), 30011, &[]).is_ok());
        assert!(everywhere().judge(Some(ip("10.0.0.8")), 30010, &[]).is_ok());
    }

    #[test]
    fn parts_of_the_clearml_server_are_refused_wherever_its_machine_is_claimed() {
        for port in SERVER_PORTS {
            for claimed in [Some(ip("10.0.0.20")), Some(ip("::ffff:10.0.0.20")), None] {
                let judged = everywhere().judge(claimed, port, &[ip("10.0.0.20")]);
                assert_eq!(judged, Err((Some(ip("10.0.0.20")), Undialable::ServerPort)), "{port}");
            }
            assert!(everywhere().judge(Some(ip("10.0.0.21")), port, &[]).is_ok());
        }
        assert!(everywhere().judge(Some(ip("10.0.0.20")), 8888, &[]).is_ok());
        let allowed = DialRules {
            server: Vec::new(),
            ..everywhere()
        };
        assert!(allowed.judge(Some(ip("10.0.0.20")), 8080, &[]).is_ok());
    }

    #[test]
    fn a_claim_needs_somebody_who_vouches_for_it() {
        let rules = DialRules {
            networks: vec!["10.1.0.0/16".parse().expect("a network")],
            ..DialRules::default()
        };
        let worker = [ip("192.0.2.7")];
        assert_eq!(
            rules
                .judge(Some(ip("192.0.2.7")), 80, &worker)
                .map(|target| target.to_string()),
            Ok("192.0.2.7:80".into())
        );
        assert!(rules.judge(Some(ip("10.1.2.3")), 80, &[]).is_ok());
        assert_eq!(
            rules.judge(Some(ip("192.0.2.8")), 80, &worker),
            Err((Some(ip("192.0.2.8")), Undialable::NotVouchedFor))
        );
        assert_eq!(
            rules.judge(None, 80, &worker).map(|target| target.ip()),
            Ok(ip("192.0.2.7"))
        );
        assert_eq!(rules.judge(None, 80, &[]), Err((None, Undialable::Unknown)));
    }

    #[test]
    fn an_exemption_is_for_one_port_only() {
        assert!(everywhere().judge(Some(ip("127.0.0.1")), 4001, &[]).is_ok());
        assert!(everywhere().judge(Some(ip("127.0.0.1")), 4002, &[]).is_err());
    }
}
