//! What only trying can tell: are the ports free, can the state be kept?

use std::{io::ErrorKind, net::TcpListener};

use super::{Loaded, Mistake, rules::all_listeners};

/// Tries what the gateway will need from this machine, and leaves nothing behind. Blocks.
pub fn probe(loaded: &Loaded) -> Vec<Mistake> {
    let config = &loaded.config;
    let mut mistakes = Vec::new();
    for (key, address) in all_listeners(config) {
        let Err(error) = TcpListener::bind(address) else {
            continue;
        };
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => "end the program that listens there, or choose another port",
            ErrorKind::PermissionDenied => "choose a port above 1023, or allow the gateway's user to bind lower ones",
            ErrorKind::AddrNotAvailable => "choose an address of this machine, or 0.0.0.0",
            _ => "choose another address",
        };
        mistakes.push(Mistake {
            place: loaded.place(key),
            what: format!("cannot listen on {address}: {error}"),
            remedy: remedy.into(),
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
    mistakes
}

fn try_to_write(directory: &std::path::Path) -> std::io::Result<()> {
    let path = directory.join(format!(".portico-check-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)
}
