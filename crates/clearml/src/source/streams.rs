//! What a task's keys say of a TCP endpoint besides its port. Nothing is concluded here: core does.

use portico_core::{
    notation::parse_port,
    observe::{Request, RequestFault, SessionClaims},
    streams::address,
};
use serde_json::Value;

use super::{
    row::{Runtime, key},
    value::read_port,
};

/// The longest host that is kept, in characters.
const HOST_MAX: usize = 256;
/// The mode in which the public port is fixed.
const MODE_PORT: &str = "port";

/// Adds to the request for a TCP endpoint what stands beside it. Values may end in a newline (observed with clearml-session 0.17.0).
pub(super) fn complete(request: &mut Request, runtime: &Runtime, session: Option<&SessionClaims>) {
    let Ok(ask) = &mut request.ask else { return };
    let at = |base: &str| match request.name.as_deref() {
        None => runtime.0.get(base),
        Some(name) => runtime.0.get(&format!("{base}__{name}")),
    };
    let text = |base| at(base).and_then(Value::as_str).map(str::trim);
    let port = |base| at(base).and_then(|value| read_port(value).ok());
    let claims = &mut ask.stream;
    claims.host = text(key::TCP_ADDRESS)
        .filter(|host| !host.is_empty())
        .map(|host| host.chars().take(HOST_MAX).collect::<String>().into());
    claims.port = port(key::TCP_PORT);
    claims.upstream_port = port(key::UPSTREAM_PORT);
    if request.name.is_none() {
        claims.session = session.cloned();
    }
    // An HTTP endpoint of the same name shares the key: its modes are not ours.
    if text(key::MODE) == Some(MODE_PORT) {
        let fixed = at(key::MODE_PARAM)
            .ok_or_else(|| RequestFault::PortNotANumber(String::new()))
            .and_then(read_port);
        match fixed {
            Ok(port) => claims.fixed = claims.fixed.or(Some(port)),
            Err(fault) => request.ask = Err(fault),
        }
    }
}

/// What clearml-session says of its SSH server among the user properties.
pub(super) fn session<'p>(property: impl Fn(&str) -> Option<&'p str>) -> Option<SessionClaims> {
    let property = |name| property(name).map(str::trim).filter(|value| !value.is_empty());
    let stable = property(key::STABLE_SSH_PORT);
    let ssh = property(key::SSH_PORT).filter(|port| Some(*port) != stable);
    let claims = SessionClaims {
        address: property(key::SESSION_ADDRESS).and_then(address),
        ssh_port: ssh.and_then(|port| parse_port(port).ok()),
        is_kept_alive: stable.is_some(),
    };
    (claims != SessionClaims::default()).then_some(claims)
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
