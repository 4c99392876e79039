//! What only trying can tell: are the ports free, can the state be kept?

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener},
};

use super::{Loaded, Mistake, Mistakes, Notice, Streams, rules::all_listeners};

/// Tries what the gateway will need from this machine, and leaves nothing behind. Blocks.
pub fn probe(loaded: &Loaded) -> Mistakes {
    let config = &loaded.config;
    let mut found = Mistakes::default();
    let mistakes = &mut found.mistakes;
    for (key, address) in all_listeners(config) {
        let Err(error) = TcpListener::bind(address) else {
            continue;
        };
        mistakes.push(Mistake {
            place: loaded.place(key),
            what: format!("cannot listen on {address}: {error}"),
            remedy: remedy(&error).into(),
        });
    }
    if let Some(path) = &config.state.path {
        // The nearest directory that exists tells whether the others can be made.
        let near = path
            .ancestors()
            .skip(1)
            .find(|directory| directory.as_os_str().is_empty() || directory.exists());
        let near = near
            .filter(|directory| !directory.as_os_str().is_empty())
            .unwrap_or(std::path::Path::new("."));
        if let Err(error) = try_to_write(near) {
            mistakes.push(Mistake {
                place: loaded.place("state.path"),
                what: format!("{} cannot be written to: {error}", near.display()),
                remedy: "choose a path where the gateway's user may create files, or `memory`".into(),
            });
        }
    }
    if let Some(streams) = &config.streams {
        stream_ports(loaded, streams, &mut found);
    }
    found
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "end the program that listens there, or choose another port",
        ErrorKind::PermissionDenied => "choose a port above 1023, or allow the gateway's user to bind lower ones",
        ErrorKind::AddrNotAvailable => "choose an address of this machine, or 0.0.0.0",
        _ => "choose another address",
    }
}

/// The gateway passes over ports of the range that somebody else has, so they are worth a word; none left is a mistake.
fn stream_ports(loaded: &Loaded, streams: &Streams, found: &mut Mistakes) {
    for ip in &streams.listen {
        let mut taken: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        let mut last = None;
        for port in streams.range.iter() {
            if let Err(error) = TcpListener::bind(SocketAddr::new(*ip, port)) {
                taken.entry(error.to_string()).or_default().push(port);
                last = Some(error);
            }
        }
        let count: usize = taken.values().map(Vec::len).sum();
        let ports: Vec<String> = taken
            .iter()
            .map(|(error, ports)| format!("{}: {error}", spans(ports)))
            .collect();
        let ports = ports.join("; ");
        match last {
            Some(error) if count == streams.range.iter().len() => found.mistakes.push(Mistake {
                place: loaded.place("streams.port_range.start"),
                what: format!(
                    "none of the ports {} can be listened on at {ip} ({ports})",
                    streams.range
                ),
                remedy: remedy(&error).into(),
            }),
            Some(_) => found.notices.push(Notice {
                place: loaded.place("streams.port_range.start"),
                what: format!(
                    "some ports of {} cannot be listened on at {ip} and are passed over ({ports})",
                    streams.range
                ),
            }),
            None => {}
        }
    }
}

/// Ports in order, as people write them: `9000, 9002-9004`.
fn spans(ports: &[u16]) -> String {
    let mut spans: Vec<(u16, u16)> = Vec::new();
    for port in ports {
        match spans.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(*port) => *end = *port,
            _ => spans.push((*port, *port)),
        }
    }
    let span = |(start, end): &(u16, u16)| {
        if start == end {
            start.to_string()
        } else {
            format!("{start}-{end}")
        }
    };
    spans.iter().map(span).collect::<Vec<_>>().join(", ")
}

fn try_to_write(directory: &std::path::Path) -> std::io::Result<()> {
    let path = directory.join(format!(".portico-check-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)
}
