//! What the operator asked about: a task's id, a path or a URL in any of the shapes that people copy.

use http::Uri;
use portico_core::{
    endpoint::{Slug, TaskId},
    routes::locate,
    site::{RESERVED, Site},
};

/// What was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All endpoints of a task.
    Task(TaskId),
    /// One endpoint.
    Endpoint {
        /// Its task.
        task: TaskId,
        /// Its slug; `None` for the unnamed one.
        slug: Option<String>,
    },
    /// A public port: where a TCP endpoint is reached.
    Port {
        /// The host in front of it, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A URL whose host is none of this gateway's.
    ForeignHost {
        /// That host.
        host: String,
        /// The same on this gateway, if the path could be one of its endpoints.
        right_url: Option<String>,
    },
    /// A browser link that names another gateway.
    ForeignGateway {
        /// That gateway's name.
        name: String,
    },
    /// An address of this gateway that is no endpoint's.
    Elsewhere {
        /// Its path.
        path: String,
    },
}

/// Not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a task's id (32 hexadecimal digits) nor a URL or path of an endpoint, nor the host and port of a TCP endpoint"
)]
pub struct NotUnderstood(pub String);

/// Longer questions are none.
const LONGEST: usize = 8 << 10;

/// Reads what was asked.
pub fn read(text: &str, site: &Site) -> Result<Asked, NotUnderstood> {
    let text = text.trim();
    let no = || NotUnderstood(text.chars().take(80).collect());
    if text.len() > LONGEST {
        return Err(no());
    }
    let lower = text.to_ascii_lowercase();
    if let Some(task) = TaskId::parse(&lower) {
        return Ok(Asked::Task(task));
    }
    if let Some(asked) = endpoint(&format!("/service/{text}")) {
        return Ok(asked);
    }
    if text.starts_with('/') {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        return Ok(on_this_host(path, query, site));
    }
    if let Some((host, port)) = host_and_port(text) {
        return Ok(Asked::Port { host, port });
    }
    let uri: Uri = text.parse().map_err(|_| no())?;
    let (Some(_), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(no());
    };
    let path = uri.path();
    let is_ours = site.answers_to(authority.as_str())
        || site
            .console
            .as_ref()
            .is_some_and(|console| console.authority().eq_ignore_ascii_case(authority.as_str()));
    if !is_ours {
        let right_url = locate(path).map(|_| format!("{}{path}", site.router));
        return Ok(Asked::ForeignHost {
            host: authority.as_str().to_owned(),
            right_url,
        });
    }
    Ok(on_this_host(path, uri.query().unwrap_or_default(), site))
}

/// `host:port` as it stands in ClearML, `tcp://host:port`, or `host port` as it stands behind `nc`.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let bare = ["tcp://", "ssh://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let bare = bare.unwrap_or(text).trim_end_matches('/');
    let (host, port) = bare.rsplit_once([':', ' '])?;
    let host = host.trim_end_matches(':').trim();
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = inner.is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok())
        || (!host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)));
    is_host.then_some((inner.unwrap_or(host).to_ascii_lowercase(), port.parse().ok()?))
}

fn endpoint(path: &str) -> Option<Asked> {
    let location = locate(path)?;
    Some(Asked::Endpoint {
        task: location.task,
        slug: location.slug.map(str::to_owned),
    })
}

fn on_this_host(path: &str, query: &str, site: &Site) -> Asked {
    let elsewhere = || Asked::Elsewhere { path: path.to_owned() };
    if let Some(asked) = endpoint(path) {
        return asked;
    }
    if path != format!("/{RESERVED}/open") {
        return elsewhere();
    }
    // Ids and slugs need no decoding; a name does only where it is strange, and then it is shown as it came.
    let value = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
    };
    if let Some(name) = value("router").filter(|name| *name != percent_free(&site.name)) {
        return Asked::ForeignGateway { name: name.to_owned() };
    }
    let Some(task) = value("task").and_then(TaskId::parse) else {
        return elsewhere();
    };
    match value("endpoint").map(Slug::parse) {
        Some(None) => elsewhere(),
        slug => Asked::Endpoint {
            task,
            slug: slug.flatten().map(|slug| slug.as_str().to_owned()),
        },
    }
}

/// The gateway's name as it stands in browser links.
fn percent_free(name: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use portico_core::site::Origin;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn site() -> Site {
        Site {
            name: "main router".into(),
            router: Origin::parse("https://gateway.example.com:8443").expect("an origin"),
            console: Some(Origin::parse("https://console.example.com").expect("an origin")),
            extra_hosts: vec!["gateway.internal".into()],
        }
    }

    fn asked(text: &str) -> Asked {
        read(text, &site()).expect("understood")
    }

    fn of(slug: Option<&str>) -> Asked {
        Asked::Endpoint {
            task: TaskId::parse(ID).expect("an id"),
            slug: slug.map(str::to_owned),
        }
    }

    #[test]
    fn every_shape_that_people_copy_is_understood() {
        assert_eq!(asked(ID), Asked::Task(TaskId::parse(ID).expect("an id")));
        assert_eq!(
            asked(&format!(" {} ", ID.to_uppercase())),
            Asked::Task(TaskId::parse(ID).expect("an id"))
        );
        for text in [
            format!("{ID}__ui"),
            format!("/service/{ID}__ui"),
            format!("/service/{ID}__ui/lab/tree?token=x"),
            format!("https://gateway.example.com:8443/service/{ID}__ui/lab?x=y#z"),
            format!("http://GATEWAY.internal/service/{ID}__ui/"),
            format!(
                "https://gateway.example.com:8443/_gateway/open?router=main%20router&task={ID}&endpoint=ui&path=%2F"
            ),
            format!("/_gateway/open?task={ID}&endpoint=ui"),
        ] {
            assert_eq!(asked(&text), of(Some("ui")), "{text}");
        }
        assert_eq!(
            asked(&format!("https://console.example.com/_gateway/open?task={ID}")),
            of(None)
        );
    }

    #[test]
    fn public_ports_are_understood_as_people_copy_them() {
        let port = |host: &str, port| Asked::Port {
            host: host.to_owned(),
            port,
        };
        for text in [
            "Gateway.example.com:9005",
            "tcp://gateway.example.com:9005",
            "tcp://gateway.example.com:9005/",
            " gateway.example.com 9005 ",
        ] {
            assert_eq!(asked(text), port("gateway.example.com", 9005), "{text}");
        }
        assert_eq!(asked("[2001:db8::1]:9005"), port("2001:db8::1", 9005));
        assert_eq!(asked("192.0.2.10:9005"), port("192.0.2.10", 9005));
        for text in [
            "gateway:70000",
            ":9005",
            "a b:9005",
            "[x]:9005",
            "2001:db8::1:9005",
            "gateway:",
        ] {
            assert!(read(text, &site()).is_err(), "{text}");
        }
    }

    #[test]
    fn another_host_is_told_with_the_right_url() {
        assert_eq!(
            asked(&format!("http://10.0.0.1:8080/service/{ID}/lab")),
            Asked::ForeignHost {
                host: "10.0.0.1:8080".into(),
                right_url: Some(format!("https://gateway.example.com:8443/service/{ID}/lab")),
            }
        );
        assert_eq!(
            asked("https://app.example.com/projects"),
            Asked::ForeignHost {
                host: "app.example.com".into(),
                right_url: None
            }
        );
    }

    #[test]
    fn another_gateways_link_is_told() {
        let link = format!("/_gateway/open?router=other&task={ID}");
        assert_eq!(asked(&link), Asked::ForeignGateway { name: "other".into() });
    }

    #[test]
    fn what_is_no_endpoint_is_told() {
        for text in [
            "/",
            "/service/xyz",
            "https://gateway.example.com:8443/_gateway/login",
            "/_gateway/open?task=1",
        ] {
            assert!(matches!(asked(text), Asked::Elsewhere { .. }), "{text}");
        }
        for text in ["", "hello", "0123", "ftp", &"x".repeat(10_000)] {
            assert!(read(text, &site()).is_err(), "{text}");
        }
    }
}
