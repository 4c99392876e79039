//! What a task asks for: from runtime keys, as the SDK writes them, and from the user property `portico`.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use portico_core::{
    endpoint::{Prefix, Protocol},
    foreign_text::cut,
    notation,
    observe::{Ask, Published, Request, RequestFault, RequestOrigin, StreamClaims},
    streams::address,
};
use serde_json::Value;

use super::{
    row::{Row, Runtime, key, suffix},
    streams,
    value::{kind, read_port},
};

/// The most endpoints that one task may have.
pub(super) const ENDPOINTS_MAX: usize = notation::ENTRIES_MAX;
/// The longest name of an endpoint, in characters.
const NAME_MAX: usize = 256;
/// The longest published address that is kept, in bytes; ours are shorter.
const URL_MAX: usize = 2048;

/// What a task asks for.
pub(super) fn asked(row: &Row) -> Vec<Request> {
    let mut asked = requests(row.is_tagged().then_some(&row.runtime), row.property(key::PORTICO));
    let session = streams::session(|name| row.property(name));
    for request in asked.iter_mut().filter(|request| request.protocol == Protocol::Tcp) {
        streams::complete(request, &row.runtime, session.as_ref());
    }
    asked
}

/// The requests of a task, sorted by protocol and name. A runtime key's port and address win over the property's.
pub(super) fn requests(runtime: Option<&Runtime>, property: Option<&str>) -> Vec<Request> {
    let mut requests: BTreeMap<(Protocol, Option<Arc<str>>), Request> = BTreeMap::new();
    for request in property.into_iter().flat_map(from_property) {
        let place = (request.protocol, request.name.clone());
        requests
            .entry(place)
            .and_modify(|first| first.ask = Err(RequestFault::Notation("an entry is given twice".to_owned())))
            .or_insert(request);
    }
    if let Some(runtime) = runtime {
        for protocol in [Protocol::Http, Protocol::Tcp] {
            for request in from_runtime(runtime, protocol) {
                let place = (request.protocol, request.name.clone());
                let request = match requests.remove(&place) {
                    Some(property) => with_options(request, &property.ask),
                    None => request,
                };
                requests.insert(place, request);
            }
        }
    }
    let mut requests: Vec<Request> = requests.into_values().collect();
    if requests.len() > ENDPOINTS_MAX {
        requests.truncate(ENDPOINTS_MAX + 1);
        if let Some(first_too_many) = requests.last_mut() {
            first_too_many.ask = Err(RequestFault::TooMany(ENDPOINTS_MAX));
        }
    }
    requests
}

/// A request by runtime keys, with what the property's entry of the same name says besides: a task may tighten its rule there.
/// An entry that cannot be understood closes the endpoint, and its owner is told: it may have meant to tighten.
fn with_options(mut request: Request, property: &Result<Ask, RequestFault>) -> Request {
    match (&mut request.ask, property) {
        (Ok(ask), Ok(options)) => {
            (ask.prefix, ask.access) = (options.prefix, options.access.clone());
            ask.stream = options.stream.clone();
        }
        (ask @ Ok(_), Err(fault)) => *ask = Err(fault.clone()),
        (Err(_), _) => {}
    }
    request
}

fn from_property(text: &str) -> Vec<Request> {
    let mut requests = notation::parse(text, RequestOrigin::Property);
    for request in &mut requests {
        match request.name.as_deref() {
            Some("") => {
                request.name = None;
                request.ask = Err(RequestFault::Notation("an entry's name is empty".to_owned()));
            }
            Some(name) if is_too_long(name) => {
                request.name = Some(shortened(name));
                request.ask = Err(RequestFault::NameTooLong);
            }
            _ => {}
        }
    }
    requests
}

/// Endpoints exist by their port keys; `_SERVICE` is shared by protocols and says nothing.
fn from_runtime(runtime: &Runtime, protocol: Protocol) -> impl Iterator<Item = Request> {
    let (port_key, address_key) = match protocol {
        Protocol::Http => (key::PORT, key::ADDRESS),
        Protocol::Tcp => (key::TCP_PORT, key::TCP_ADDRESS),
    };
    runtime.0.iter().filter_map(move |(full, value)| {
        let name = suffix(full, port_key)?;
        let address = match name {
            None => runtime.0.get(address_key),
            Some(name) => runtime.0.get(&format!("{address_key}__{name}")),
        };
        let ask = match name {
            Some(name) if is_too_long(name) => Err(RequestFault::NameTooLong),
            _ => claimed(address, protocol).and_then(|claimed| ask(value, claimed)),
        };
        Some(Request {
            protocol,
            name: name.map(shortened),
            origin: RequestOrigin::Runtime,
            ask,
        })
    })
}

fn ask(port: &Value, claimed: Option<IpAddr>) -> Result<Ask, RequestFault> {
    Ok(Ask {
        claimed,
        port: read_port(port)?,
        prefix: Prefix::Auto,
        access: None,
        stream: StreamClaims::default(),
    })
}

/// Without an address the task's worker is meant; clearml-session writes an empty one after a reset. A TCP endpoint's address may
/// be a gateway's name: what it means is decided when routes are made.
fn claimed(value: Option<&Value>, protocol: Protocol) -> Result<Option<IpAddr>, RequestFault> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => match address(text) {
            None if protocol == Protocol::Http => Err(RequestFault::AddressNotAnIp(cut(text))),
            found => Ok(found),
        },
        Some(other) => Err(RequestFault::AddressNotAnIp(kind(other).to_owned())),
    }
}

type Field = fn(&mut Published) -> &mut Option<Arc<str>>;

/// The addresses that stand in a task, sorted by name.
pub(super) fn published<'r>(runtime: &Runtime, properties: impl Iterator<Item = (&'r str, &'r str)>) -> Vec<Published> {
    let mut published: BTreeMap<Option<Arc<str>>, Published> = BTreeMap::new();
    let mut of = |name: Option<&str>, set: &dyn Fn(&mut Published)| {
        if name.is_none_or(|name| !is_too_long(name)) && published.len() <= 2 * ENDPOINTS_MAX {
            let name: Option<Arc<str>> = name.map(Arc::from);
            set(published.entry(name.clone()).or_insert_with(|| Published {
                name,
                ..Published::default()
            }));
        }
    };
    for (full, value) in &runtime.0 {
        let text: Arc<str> = match value {
            Value::Null => continue,
            Value::String(text) => bounded(text),
            Value::Number(number) => number.to_string().into(),
            other => kind(other).into(),
        };
        let fields: [(&str, Field); 5] = [
            (key::ENDPOINT, |entry| &mut entry.endpoint),
            (key::BROWSER_ENDPOINT, |entry| &mut entry.browser_endpoint),
            (key::TCP_ADDRESS, |entry| &mut entry.external_address),
            (key::TCP_PORT, |entry| &mut entry.external_tcp_port),
            (key::UPSTREAM_PORT, |entry| &mut entry.upstream_task_port),
        ];
        for (base, field) in fields {
            if let Some(name) = suffix(full, base) {
                of(name, &|entry| *field(entry) = Some(text.clone()));
            }
        }
    }
    for (full, value) in properties {
        if let Some(name) = suffix(full, key::GATEWAY_URL) {
            of(name, &|entry| entry.property = Some(bounded(value)));
        }
    }
    published.into_values().collect()
}

fn bounded(text: &str) -> Arc<str> {
    let mut end = text.len().min(URL_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().into()
}

fn is_too_long(name: &str) -> bool {
    name.len() > NAME_MAX && name.chars().count() > NAME_MAX
}

fn shortened(name: &str) -> Arc<str> {
    if is_too_long(name) {
        name.chars().take(NAME_MAX).collect::<String>().into()
    } else {
        name.into()
    }
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
