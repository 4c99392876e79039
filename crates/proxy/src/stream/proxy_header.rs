//! The header with which a proxy in front tells whose connection it passes on: the PROXY protocol of HAProxy, versions 1 and 2
//! (`proxy-protocol.txt`).

use std::{
    future::poll_fn,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};

use super::{refusal::StreamRefusal, socket::poll_read};

/// The longest header that is read. Version 1 has at most 107 bytes; of version 2, whose length says up to 64 KiB, load balancers
/// use a few hundred.
const MAX: usize = 4096;
const LINE_MAX: usize = 107;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Whom a header names: nobody where the proxy speaks for itself.
type Source = Option<IpAddr>;

/// A header.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    /// The visitor.
    source: Source,
    /// Bytes of the header.
    length: usize,
}

/// What the beginning of a connection is.
#[derive(Debug, PartialEq, Eq)]
enum Beginning {
    /// The beginning of a header.
    Part,
    Whole(Header),
    /// No header.
    Other,
}

/// Reads the header: the visitor's address, if it tells one, and what was read beyond it.
pub(super) async fn read(socket: &TcpStream, limit: Duration) -> Result<(Source, Vec<u8>), StreamRefusal> {
    let reading = async {
        let mut bytes = vec![0; MAX];
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            let count = poll_fn(|context| poll_read(socket, context, room)).await.ok()?;
            filled += count;
            match beginning(bytes.get(..filled)?) {
                Beginning::Whole(header) => {
                    let rest = bytes.get(header.length..filled)?.to_vec();
                    return Some((header.source, rest));
                }
                Beginning::Part if count > 0 => {}
                Beginning::Part | Beginning::Other => return None,
            }
        }
        None
    };
    let read = timeout(limit, reading).await;
    read.ok().flatten().ok_or(StreamRefusal::BadProxyHeader)
}

fn beginning(bytes: &[u8]) -> Beginning {
    if bytes.starts_with(SIGNATURE) {
        return binary(bytes);
    }
    if bytes.len() < SIGNATURE.len() && SIGNATURE.starts_with(bytes) {
        return Beginning::Part;
    }
    let line = bytes.get(..LINE_MAX).unwrap_or(bytes);
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        let is_line = bytes.len() < LINE_MAX && b"PROXY ".starts_with(bytes.get(..6).unwrap_or(bytes));
        return if is_line { Beginning::Part } else { Beginning::Other };
    };
    let line = line.get(..end).and_then(|line| std::str::from_utf8(line).ok());
    match line.and_then(text) {
        Some(source) => Beginning::Whole(Header {
            source,
            length: end + 2,
        }),
        None => Beginning::Other,
    }
}

/// `PROXY TCP4 <source> <destination> <port> <port>`, or `PROXY UNKNOWN …`.
fn text(line: &str) -> Option<Source> {
    let mut words = line.strip_prefix("PROXY ")?.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let (source, destination) = (words.next()?, words.next()?);
    let source: IpAddr = match family {
        "TCP4" => (source.parse::<Ipv4Addr>().ok()?, destination.parse::<Ipv4Addr>().ok()?)
            .0
            .into(),
        "TCP6" => (source.parse::<Ipv6Addr>().ok()?, destination.parse::<Ipv6Addr>().ok()?)
            .0
            .into(),
        _ => return None,
    };
    for _ in 0..2 {
        let port = words.next()?;
        if !port.bytes().all(|byte| byte.is_ascii_digit()) || port.parse::<u16>().is_err() {
            return None;
        }
    }
    words.next().is_none().then_some(Some(source))
}

fn binary(bytes: &[u8]) -> Beginning {
    let (Some([command, family, high, low]), true) = (bytes.get(12..16), bytes.len() >= 16) else {
        return Beginning::Part;
    };
    let length = 16 + usize::from(u16::from_be_bytes([*high, *low]));
    if length > MAX {
        return Beginning::Other;
    }
    let Some(addresses) = bytes.get(16..length) else {
        return Beginning::Part;
    };
    let source = match (command, family) {
        // The proxy's own connection, or an address that is none of IP.
        (0x20, _) | (0x21, 0x00 | 0x31 | 0x32) => None,
        (0x21, 0x11) => match addresses.first_chunk::<12>() {
            Some([a, b, c, d, ..]) => Some(Ipv4Addr::new(*a, *b, *c, *d).into()),
            None => return Beginning::Other,
        },
        (0x21, 0x21) => match addresses.first_chunk::<36>().and_then(|all| all.first_chunk::<16>()) {
            Some(source) => Some(Ipv6Addr::from(*source).into()),
            None => return Beginning::Other,
        },
        _ => return Beginning::Other,
    };
    Beginning::Whole(Header { source, length })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).expect("short").to_be_bytes();
        [SIGNATURE, [command, family].as_slice(), &length, addresses].concat()
    }

    /// What a header that is the whole of `bytes` names.
    fn whole(bytes: &[u8]) -> String {
        match beginning(bytes) {
            Beginning::Whole(header) if header.length == bytes.len() => {
                header.source.map_or("nobody".to_owned(), |source| source.to_string())
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn both_versions_tell_the_visitor() {
        assert_eq!(whole(b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n"), "192.0.2.7");
        assert_eq!(whole(b"PROXY TCP6 2001:db8::7 ::1 56324 443\r\n"), "2001:db8::7");
        assert_eq!(whole(b"PROXY UNKNOWN\r\n"), "nobody");
        assert_eq!(whole(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), "nobody");
        let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 0xdc, 0x04, 1, 0xbb];
        assert_eq!(whole(&v2(0x21, 0x11, &v4)), "192.0.2.7");
        assert_eq!(whole(&v2(0x21, 0x11, &[&v4[..], b"\x04\0\x01x"].concat())), "192.0.2.7");
        let mut v6 = [0; 36];
        v6[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().expect("an address").octets());
        assert_eq!(whole(&v2(0x21, 0x21, &v6)), "2001:db8::7");
        assert_eq!(whole(&v2(0x20, 0x00, b"")), "nobody", "its own health check");
    }

    #[test]
    fn what_is_no_header_is_none() {
        for bytes in [
            b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 56324\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443 1\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7  10.0.0.1 56324 443\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::7 ::1 56324 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 +1 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n".to_vec(),
            b"proxy TCP4 192.0.2.7 10.0.0.1 1 443\r\n".to_vec(),
            [b"PROXY UNKNOWN ", "x".repeat(120).as_bytes()].concat(),
            v2(0x21, 0x11, b"short"),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x12, &[0; 12]),
            v2(0x21, 0x11, &[0; 5000]),
        ] {
            assert_eq!(beginning(&bytes), Beginning::Other, "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn a_header_is_awaited_to_its_end_and_not_beyond(extra in proptest::collection::vec(any::<u8>(), 0..50)) {
            let headers = [
                b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n".to_vec(),
                v2(0x21, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 0, 1, 0, 1]),
            ];
            for header in headers {
                for end in 1..header.len() {
                    prop_assert_eq!(beginning(&header[..end]), Beginning::Part);
                }
                let bytes = [&header[..], &extra].concat();
                prop_assert_eq!(beginning(&bytes), Beginning::Whole(Header {
                    source: Some([192, 0, 2, 7].into()),
                    length: header.len(),
                }));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), is_v2: bool) {
            let start: &[u8] = if is_v2 { SIGNATURE } else { b"PROXY " };
            let _ = beginning(&[start, &bytes].concat());
            let _ = beginning(&bytes);
        }
    }
}
