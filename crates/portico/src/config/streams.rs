//! `streams`: under which address and on which ports TCP endpoints are offered, and to whom.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use portico_core::{port_range::PortRange, streams::Admission};

use super::{
    Config,
    forms::Form,
    keys,
    reader::Reader,
    rules::{all_listeners, mistake, notice, overlap},
};

/// `streams`, if TCP endpoints are served.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' documentation is the fields'")]
pub struct Streams {
    /// As it is published: a host name or an IP address.
    pub external: Arc<str>,
    pub range: PortRange,
    pub listen: Vec<IpAddr>,
    pub admission: Admission,
    pub allowed_sources: Vec<IpNet>,
    pub proxy_protocol: bool,
    pub connections: usize,
    pub connections_per_address: usize,
    pub cooling: Duration,
}

const EXTERNAL: &str = "streams.external_url";
const START: &str = "streams.port_range.start";
const END: &str = "streams.port_range.end";

/// The section; `None` if no address and no range are set: TCP endpoints are refused then.
pub(super) fn read(read: &mut Reader) -> Option<Streams> {
    let said = [EXTERNAL, START, END].map(|key| read.is_said(key));
    let external: Option<External> = read.optional(EXTERNAL);
    let (start, end): (Option<Port>, Option<Port>) = (read.optional(START), read.optional(END));
    let listen: Vec<IpAddr> = read.list("streams.listen");
    let admission = read.value("streams.admission");
    let allowed_sources = read.list("streams.allowed_sources");
    let proxy_protocol = read.value("streams.proxy_protocol");
    let connections = read.value("streams.connections");
    let connections_per_address = read.value("streams.connections_per_address");
    let cooling = read.value("streams.cooling");
    if said == [false; 3] {
        idle(read);
        return None;
    }
    for (key, is_said) in [EXTERNAL, START, END].into_iter().zip(said) {
        if !is_said {
            let remedy = if key == EXTERNAL {
                External::EXPECTED
            } else {
                Port::EXPECTED
            };
            mistake(
                read,
                key,
                "is not set, but other settings for TCP endpoints are",
                format!("{remedy}; or leave all three out"),
            );
        }
    }
    let (Port(start), Port(end)) = (start?, end?);
    let Some(range) = PortRange::new(start, end) else {
        mistake(
            read,
            END,
            format!("{end} comes before {START}, which is {start}"),
            "write the last port of the range",
        );
        return None;
    };
    Some(Streams {
        // Where it is missing or wrong, the rest is looked at as well.
        external: external.map_or_else(|| "gateway.invalid".into(), |External(host)| host),
        range,
        listen,
        admission,
        allowed_sources,
        proxy_protocol,
        connections,
        connections_per_address,
        cooling,
    })
}

/// Whoever restricts what is off may believe that it is on.
fn idle(read: &mut Reader) {
    let streams = keys::KEYS.iter().filter(|key| key.path.starts_with("streams."));
    for key in streams.map(|key| key.path) {
        if read.is_said(key) {
            notice(
                read,
                key,
                format!("has no effect: TCP endpoints are served once {EXTERNAL}, {START} and {END} are set"),
            );
        }
    }
}

/// What single values cannot tell.
pub(super) fn judge(config: &Config, read: &mut Reader) {
    let Some(streams) = &config.streams else { return };
    for (key, listener) in all_listeners(config).collect::<Vec<_>>() {
        let port = listener.port();
        let clashes = |ip: &IpAddr| overlap(listener, SocketAddr::new(*ip, port));
        if streams.range.contains(port) && streams.listen.iter().any(clashes) {
            mistake(
                read,
                key,
                format!(
                    "{listener} is in the range of ports for TCP endpoints, {}",
                    streams.range
                ),
                format!("choose a port outside of it, or another range by {START} and {END}"),
            );
        }
    }
    if streams.listen.is_empty() {
        mistake(read, "streams.listen", "is empty", IpAddr::EXPECTED);
    }
    if streams.connections == 0 {
        mistake(
            read,
            "streams.connections",
            "nobody could connect",
            "write a number above zero",
        );
    }
    if streams.connections_per_address == 0 {
        mistake(
            read,
            "streams.connections_per_address",
            "nobody could connect",
            "write a number above zero",
        );
    }
    admission(streams, read);
    if streams.proxy_protocol && config.http.trusted_proxies.is_empty() {
        mistake(
            read,
            "streams.proxy_protocol",
            "has no effect: a PROXY header is read only from http.trusted_proxies, which is empty",
            "name the load balancer's networks in http.trusted_proxies",
        );
    }
    let is_loopback = streams.external.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if is_loopback || &*streams.external == "localhost" {
        notice(
            read,
            EXTERNAL,
            "is loopback: only clients on this machine get to TCP endpoints",
        );
    }
}

fn admission(streams: &Streams, read: &mut Reader) {
    let has_sources = !streams.allowed_sources.is_empty();
    match streams.admission {
        Admission::Networks if !has_sources => mistake(
            read,
            "streams.allowed_sources",
            "is empty while streams.admission is networks: nobody could connect",
            IpNet::EXPECTED,
        ),
        Admission::Open | Admission::SignedIn if has_sources => mistake(
            read,
            "streams.allowed_sources",
            "restricts nothing while streams.admission is not networks",
            "set streams.admission to networks, or leave the list out",
        ),
        Admission::Open => notice(
            read,
            "streams.admission",
            format!(
                "is open: whoever reaches ports {} of this machine reaches the TCP endpoints of all tasks; what they ask for \
                 (a password, a key) is all that protects them",
                streams.range
            ),
        ),
        Admission::Networks | Admission::SignedIn => {}
    }
    if streams.admission == Admission::Networks && streams.allowed_sources.iter().any(|net| net.prefix_len() == 0) {
        notice(read, "streams.allowed_sources", "is everybody");
    }
}

/// A public host of TCP endpoints.
struct External(Arc<str>);

impl Form for External {
    const EXPECTED: &'static str = "write a host name or an IP address, without scheme and port: gateway.example.com";

    fn read(text: &str) -> Result<Self, String> {
        let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
        let bare = bare.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, bare) = bare
            .rsplit_once('@')
            .map_or((None, bare), |(user, host)| (Some(user), host));
        if user.is_some() {
            // Not shown: it may hold a password.
            return Err("must not contain a user name or password".into());
        }
        let host = match bare.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                if port.chars().all(|digit| digit.is_ascii_digit()) {
                    host
                } else {
                    bare
                }
            }
            _ => bare,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok();
        if address.is_some_and(|ip| ip.is_unspecified()) {
            return Err(format!("{text:?} is no address that a client can reach"));
        }
        if address.is_none() && !is_host_name(&host) {
            return Err(format!("{text:?} is not a host"));
        }
        let is_bare = text.eq_ignore_ascii_case(&host) || text.eq_ignore_ascii_case(&format!("[{host}]"));
        if is_bare {
            Ok(Self(host.into()))
        } else {
            Err(format!("{text:?} is more than a host: {host} is the host"))
        }
    }
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    // Four numbers that are no IPv4 address are a slip of the finger, not a name.
    let is_numeric = text
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 253 && !is_numeric && text.split('.').all(is_label)
}

/// A port that can be listened on.
struct Port(u16);

impl Form for Port {
    const EXPECTED: &'static str = "write a port from 1 to 65535";

    fn read(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(port) if port > 0 => Ok(Self(port)),
            _ => Err(format!("{text:?} is not a port")),
        }
    }
}

#[cfg(test)]
mod tests;
