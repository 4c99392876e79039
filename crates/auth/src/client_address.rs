//! From where a request comes, when proxies stand in front.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// More proxies than this stand in front of nobody.
const HOPS: usize = 32;
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The visitor's address: the rightmost of `X-Forwarded-For` that is no trusted proxy, if `peer` is one. The list grows
/// to the right, so whatever a visitor wrote into it stands to the left of that. A list that cannot be read counts as
/// none.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(peer, trusted) {
        return peer;
    }
    through(headers, trusted).unwrap_or(peer)
}

/// True if the address belongs to a trusted proxy.
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

fn through(headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut lines = Vec::new();
    for line in headers.get_all(FORWARDED_FOR) {
        lines.push(line.to_str().ok()?);
    }
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    let mut furthest = None;
    for (count, hop) in hops.enumerate() {
        if count == HOPS {
            return None;
        }
        let address = parsed(hop.trim())?;
        if !is_trusted(address, trusted) {
            return Some(address);
        }
        furthest = Some(address);
    }
    furthest
}

/// An address, as proxies write it: bare, with a port, or in brackets.
fn parsed(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|hop| hop.strip_suffix(']'))
        .unwrap_or(hop);
    bare.parse()
        .ok()
        .or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        headers
    }

    fn seen(peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        client_address(peer.parse().unwrap(), &headers(lines), &trusted).to_string()
    }

    #[test]
    fn a_peer_that_is_no_trusted_proxy_is_the_visitor_whatever_it_says() {
        assert_eq!(seen("198.51.100.7", &["203.0.113.1"]), "198.51.100.7");
        assert_eq!(
            client_address("10.0.0.1".parse().unwrap(), &headers(&["203.0.113.1"]), &[]).to_string(),
            "10.0.0.1"
        );
    }

    #[test]
    fn the_rightmost_untrusted_address_is_the_visitor() {
        for (peer, lines, expected) in [
            ("10.0.0.1", vec!["203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", vec!["1.1.1.1, 203.0.113.1"], "203.0.113.1"),
            (
                "10.0.0.1",
                vec!["1.1.1.1, 203.0.113.1,10.0.0.2 , 10.0.0.3"],
                "203.0.113.1",
            ),
            ("10.0.0.1", vec!["1.1.1.1", "203.0.113.1", "10.0.0.3"], "203.0.113.1"),
            ("10.0.0.1", vec!["203.0.113.1:4711"], "203.0.113.1"),
            ("10.0.0.1", vec!["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", vec!["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", vec!["2001:db8::1"], "2001:db8::1"),
            ("fd00::1", vec!["::ffff:203.0.113.1"], "203.0.113.1"),
            ("::ffff:10.0.0.1", vec!["203.0.113.1"], "203.0.113.1"),
            ("10.0.0.1", vec!["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
        ] {
            assert_eq!(seen(peer, &lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_counts_as_none() {
        let many = vec!["10.0.0.2"; HOPS + 1].join(",");
        for line in [
            "",
            "unknown",
            "_hidden",
            "203.0.113.1 garbage",
            "203.0.113.1,",
            "203.0.113.1, evil, 10.0.0.2",
            &many,
        ] {
            assert_eq!(seen("10.0.0.1", &[line]), "10.0.0.1", "{line}");
        }
    }

    proptest! {
        /// Class 1: what a visitor writes into the header changes nothing, because the proxy appends the visitor's own
        /// address.
        #[test]
        fn a_visitor_cannot_choose_its_address(forged in "[ -~]{0,60}") {
            prop_assert_eq!(seen("10.0.0.1", &[&forged, "203.0.113.9"]), "203.0.113.9");
            let line = format!("{forged}, 203.0.113.9");
            prop_assert_eq!(seen("10.0.0.1", &[&line]), "203.0.113.9");
        }
    }
}
