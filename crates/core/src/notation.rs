//! The notation for endpoints without the SDK: `ui=http:7860,access=owner; api=http:8000,prefix=keep`.
//!
//! Entries are separated by `;`. Each is `[name=]protocol:port[,option=value…]`. `db=tcp:5432,port=30005` wants the public port 30005
//! and no other. The entry `gateway=main` is no endpoint's: it names the gateway that shall own the task.

use std::sync::Arc;

use crate::{
    access::Who,
    endpoint::{Prefix, Protocol},
    foreign_text::cut,
    observe::{Ask, Request, RequestFault, RequestOrigin, StreamClaims},
    principal::UserId,
};

/// The most entries that one text may have.
pub const ENTRIES_MAX: usize = 32;

/// The longest name of an endpoint, in characters.
pub const NAME_MAX: usize = 256;

/// The longest name of a gateway, in bytes.
const GATEWAY_MAX: usize = 256;

/// The gateway that a text names; of several names the first.
pub fn gateway(text: &str) -> Option<&str> {
    text.split(';').find_map(named_gateway)
}

/// An endpoint's name stands in front of a protocol and a port.
fn named_gateway(entry: &str) -> Option<&str> {
    let name = entry
        .trim()
        .strip_prefix("gateway")?
        .trim_start()
        .strip_prefix('=')?
        .trim();
    let is_name = (1..=GATEWAY_MAX).contains(&name.len()) && !name.contains([':', ',']);
    is_name.then_some(name)
}

/// Reads the endpoints of the notation. Each entry that cannot be understood becomes a request with its fault, so that its owner can be told: one with
/// an empty name is the unnamed endpoint's, one with a name above [`NAME_MAX`] has as much of it.
pub fn parse(text: &str, origin: RequestOrigin) -> Vec<Request> {
    let entries: Vec<&str> = text
        .split(';')
        .map(str::trim)
        .filter(|entry| !entry.is_empty() && named_gateway(entry).is_none())
        .collect();
    if entries.len() > ENTRIES_MAX {
        let ask = Err(RequestFault::TooMany(ENTRIES_MAX));
        return vec![Request {
            protocol: Protocol::Http,
            name: None,
            origin,
            ask,
        }];
    }
    entries.into_iter().map(|entry| parse_entry(entry, origin)).collect()
}

fn parse_entry(entry: &str, origin: RequestOrigin) -> Request {
    let mut parts = entry.split(',').map(str::trim);
    let head = parts.next().unwrap_or_default();
    let (name, target) = match head.split_once('=') {
        Some((name, target)) => (Some(name.trim()), target.trim()),
        None => (None, head),
    };
    let (protocol, port) = target.split_once(':').unwrap_or((target, ""));
    let known = match protocol.trim() {
        "http" => Some(Protocol::Http),
        "tcp" => Some(Protocol::Tcp),
        _ => None,
    };
    let ask = match known {
        Some(protocol) => parse_port(port.trim()).and_then(|port| {
            let is_stream = protocol == Protocol::Tcp;
            let start = Ask {
                claimed: None,
                port,
                prefix: Prefix::Auto,
                access: None,
                stream: StreamClaims {
                    noted_port: is_stream.then_some(port),
                    ..StreamClaims::default()
                },
            };
            parts.try_fold(start, |ask, option| with_option(ask, option, is_stream))
        }),
        None => Err(RequestFault::Notation(format!(
            "the protocol {:?} is neither http nor tcp",
            cut(protocol)
        ))),
    };
    let (name, ask): (Option<Arc<str>>, _) = match name {
        Some("") => (None, Err(RequestFault::Notation("an entry's name is empty".to_owned()))),
        Some(name) => match name.char_indices().nth(NAME_MAX) {
            Some((end, _)) => (name.get(..end).map(Arc::from), Err(RequestFault::NameTooLong)),
            None => (Some(name.into()), ask),
        },
        None => (None, ask),
    };
    Request {
        protocol: known.unwrap_or(Protocol::Http),
        name,
        origin,
        ask,
    }
}

/// Reads a port from text; the SDK writes numbers, other clients write text.
pub fn parse_port(text: &str) -> Result<u16, RequestFault> {
    let number: i64 = text.parse().map_err(|_| RequestFault::PortNotANumber(cut(text)))?;
    match u16::try_from(number) {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(RequestFault::PortOutOfRange(number)),
    }
}

fn with_option(mut ask: Ask, option: &str, is_stream: bool) -> Result<Ask, RequestFault> {
    let (key, value) = option
        .split_once('=')
        .map_or((option, ""), |(key, value)| (key.trim(), value.trim()));
    match (key, value) {
        ("prefix", "auto") => ask.prefix = Prefix::Auto,
        ("prefix", "cut") => ask.prefix = Prefix::Cut,
        ("prefix", "keep") => ask.prefix = Prefix::Keep,
        ("access", value) => ask.access = Some(parse_who(value)?),
        ("port", value) if is_stream => ask.stream.fixed = Some(parse_port(value)?),
        _ => {
            return Err(RequestFault::Notation(format!(
                "the option {:?} is not known",
                cut(option)
            )));
        }
    }
    Ok(ask)
}

/// Reads whom to let in: `owner`, `visible`, `public`, or `users:<id>+<id>…`.
pub fn parse_who(text: &str) -> Result<Who, RequestFault> {
    match text {
        "owner" => Ok(Who::Owner),
        "visible" => Ok(Who::Visible),
        "public" => Ok(Who::Public),
        _ => match text.strip_prefix("users:") {
            Some(users) if !users.is_empty() => Ok(Who::Users(users.split('+').map(UserId::new).collect())),
            _ => Err(RequestFault::Notation(format!(
                "access {:?} is none of owner, visible, public, users:<id>+<id>",
                cut(text)
            ))),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> Request {
        parse(text, RequestOrigin::Property)
            .into_iter()
            .next()
            .expect("one entry")
    }

    #[test]
    fn entries_have_names_protocols_ports_and_options() {
        let requests = parse(
            "ui=http:7860,access=owner; api = http:8000,prefix=keep; tcp:5432;",
            RequestOrigin::Property,
        );
        let summary: Vec<_> = requests
            .iter()
            .map(|request| {
                (
                    request.name.as_deref(),
                    request.protocol,
                    request
                        .ask
                        .as_ref()
                        .map(|ask| (ask.port, ask.prefix, ask.access.clone())),
                )
            })
            .collect();
        assert_eq!(
            summary,
            [
                (Some("ui"), Protocol::Http, Ok((7860, Prefix::Auto, Some(Who::Owner)))),
                (Some("api"), Protocol::Http, Ok((8000, Prefix::Keep, None))),
                (None, Protocol::Tcp, Ok((5432, Prefix::Auto, None))),
            ]
        );
    }

    #[test]
    fn a_text_may_name_its_gateway() {
        for (text, name, endpoints) in [
            ("gateway=inside", Some("inside"), 0),
            ("ui=http:1; gateway = inside ;", Some("inside"), 1),
            ("gateway=a;gateway=b", Some("a"), 0),
            ("gateway=http:80", None, 1),
            ("gateway=", None, 1),
            ("gateways=x", None, 1),
            ("gateway=a,access=owner", None, 1),
            ("", None, 0),
        ] {
            assert_eq!(gateway(text), name, "{text}");
            assert_eq!(parse(text, RequestOrigin::Property).len(), endpoints, "{text}");
        }
        assert_eq!(gateway(&format!("gateway={}", "x".repeat(257))), None);
    }

    #[test]
    fn a_stream_may_want_a_certain_public_port() {
        let ask = one("db=tcp:5432,port=30005").ask.expect("an ask");
        assert_eq!(
            (ask.port, ask.stream.noted_port, ask.stream.fixed),
            (5432, Some(5432), Some(30005))
        );
        assert!(matches!(one("http:80,port=30005").ask, Err(RequestFault::Notation(_))));
        assert_eq!(one("tcp:80,port=x").ask, Err(RequestFault::PortNotANumber("x".into())));
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(one("http:zero").ask, Err(RequestFault::PortNotANumber("zero".into())));
        assert_eq!(one("http:70000").ask, Err(RequestFault::PortOutOfRange(70000)));
        assert_eq!(one("http:0").ask, Err(RequestFault::PortOutOfRange(0)));
        assert!(matches!(one("gopher:70").ask, Err(RequestFault::Notation(_))));
        assert!(matches!(one("http:70,colour=red").ask, Err(RequestFault::Notation(_))));
        assert!(matches!(
            one("http:70,access=everyone").ask,
            Err(RequestFault::Notation(_))
        ));
    }

    #[test]
    fn a_name_that_is_empty_or_too_long_is_a_fault_wherever_it_stands() {
        for origin in [RequestOrigin::Property, RequestOrigin::Annotation] {
            for text in ["=http:80", " = http:80,access=owner"] {
                let request = parse(text, origin).pop().expect("one entry");
                assert_eq!(request.name, None);
                assert!(matches!(request.ask, Err(RequestFault::Notation(_))), "{text}");
            }
            let longest = "ü".repeat(256);
            for (name, is_understood) in [(longest.clone(), true), (format!("{longest}x"), false)] {
                let request = parse(&format!("{name}=tcp:80"), origin).pop().expect("one entry");
                assert_eq!(request.name.as_deref(), Some(&*longest));
                assert_eq!(request.ask.err(), (!is_understood).then_some(RequestFault::NameTooLong));
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_within_bounds(text in ".{0,300}") {
            let requests = parse(&text, RequestOrigin::Property);
            prop_assert!(requests.len() <= ENTRIES_MAX);
            for name in requests.iter().filter_map(|request| request.name.as_deref()) {
                prop_assert!(!name.is_empty() && name.chars().count() <= NAME_MAX);
            }
        }
    }
}
