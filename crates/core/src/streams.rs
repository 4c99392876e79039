//! Stream endpoints: what is offered, and what a task's keys mean.

mod target;

use std::{fmt, net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::port_range::PortRange;

pub use target::{Target, target};

/// What is offered to tasks that ask for TCP endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPolicy {
    /// The public host, a name or an IP address, as it is written into tasks: no scheme, no port, no brackets.
    pub host: Arc<str>,
    /// The public ports.
    pub range: PortRange,
    /// Who may connect.
    pub admission: Admission,
}

/// Who may connect to a stream: TCP carries no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admission {
    /// Everybody who reaches the port; the application asks for a password itself.
    Open,
    /// Certain networks.
    Networks,
    /// Addresses from which somebody is signed in who may open the endpoint.
    SignedIn,
}

impl fmt::Display for Admission {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Open => "open",
            Self::Networks => "networks",
            Self::SignedIn => "signed-in",
        })
    }
}

impl StreamPolicy {
    /// True if this text, which stands in a task as its address, is the public host.
    pub fn is_own(&self, host: &str) -> bool {
        is_same_host(host, &self.host)
    }

    /// A port of the public host, as people and programs write it: brackets around an IPv6 address.
    pub fn address(&self, port: u16) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
            _ => format!("{}:{port}", self.host),
        }
    }
}

/// True if both texts mean one host: the same IP address in any form, or the same name.
pub fn is_same_host(one: &str, other: &str) -> bool {
    match (address(one), address(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => {
            let bare = |name: &str| name.trim().trim_end_matches('.').to_ascii_lowercase();
            bare(one) == bare(other)
        }
        _ => false,
    }
}

/// The IP address that a text is, with or without brackets.
pub fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address: IpAddr = bare.unwrap_or(text).parse().ok()?;
    Some(address.to_canonical())
}
