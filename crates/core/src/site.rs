//! Where the gateway is seen from outside. `ROUTER_URL` is the only truth for scheme, host and origin.

use std::fmt::{self, Write as _};

use http::{Uri, uri::Authority};
use sha2::{Digest, Sha256};

use crate::endpoint::{Slug, TaskId};

/// The first path segment below which endpoints live.
pub const SERVICE: &str = "service";
/// The first path segment that belongs to Portico itself.
pub const RESERVED: &str = "_gateway";

/// An absolute URL of scheme, host and port, without path: `https://gateway.example.com`.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    text: String,
    host: String,
    port: u16,
    is_secure: bool,
}

/// Why a text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOrigin {
    /// Not `http://…` or `https://…` with a host.
    #[error("is not an absolute http:// or https:// URL")]
    NotAbsolute,
    /// Something follows the host.
    #[error("must end after the host and port; the path {0:?} is not supported")]
    HasPath(String),
    /// `user@host`.
    #[error("must not contain a user name or password")]
    HasUser,
}

impl Origin {
    /// Reads `http[s]://host[:port][/]`. Default ports are left out of the result, the host is lower-cased.
    pub fn parse(text: &str) -> Result<Self, BadOrigin> {
        let uri: Uri = text.trim().parse().map_err(|_| BadOrigin::NotAbsolute)?;
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(BadOrigin::NotAbsolute),
        };
        let authority: &Authority = uri.authority().ok_or(BadOrigin::NotAbsolute)?;
        if authority.as_str().contains('@') {
            return Err(BadOrigin::HasUser);
        }
        if authority.host().is_empty() {
            return Err(BadOrigin::NotAbsolute);
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(BadOrigin::HasPath(uri.path().to_owned()));
        }
        let default = if is_secure { 443 } else { 80 };
        let port = authority.port_u16().unwrap_or(default);
        let host = authority.host().to_ascii_lowercase();
        let scheme = if is_secure { "https" } else { "http" };
        let text = if port == default {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{host}:{port}")
        };
        Ok(Self {
            text,
            host,
            port,
            is_secure,
        })
    }

    /// As it stands in an `Origin` header: no trailing slash, no default port.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host in lower case; an IPv6 address keeps its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also when it is the scheme's default.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// As it stands in a `Host` header: without the scheme's default port.
    pub fn authority(&self) -> &str {
        self.text.split_once("://").map_or("", |(_, rest)| rest)
    }

    /// True for `https`.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// The names under which one gateway is reached.
#[derive(Clone, Debug)]
pub struct Site {
    /// `ROUTER_NAME`.
    pub name: String,
    /// `ROUTER_URL`: the applications' origin.
    pub router: Origin,
    /// The console's origin, where log-in lives. `None`: one URL only, the pages fall back to `/_gateway/…`.
    pub console: Option<Origin>,
    /// Further `Host` values (`host` or `host:port`, lower case) that are answered like the router's own.
    pub extra_hosts: Vec<String>,
}

impl Site {
    /// The path prefix of an endpoint, without the closing slash: `/service/<task>` or `/service/<task>__<slug>`.
    pub fn prefix(task: TaskId, slug: Option<&Slug>) -> String {
        let mut prefix =
            String::with_capacity(SERVICE.len() + TaskId::LENGTH + 4 + slug.map_or(0, |slug| slug.as_str().len()));
        let _ = write!(prefix, "/{SERVICE}/{task}");
        if let Some(slug) = slug {
            let _ = write!(prefix, "__{slug}");
        }
        prefix
    }

    /// The URL that programs use, with the closing slash (`clearml-protocol` of the SDK: its path is the public prefix).
    pub fn endpoint_url(&self, task: TaskId, slug: Option<&Slug>) -> String {
        format!("{}{}/", self.router, Self::prefix(task, slug))
    }

    /// The URL for a person with a browser: logs the visitor in and leads on.
    pub fn browser_url(&self, task: TaskId, slug: Option<&Slug>) -> String {
        let mut url = format!(
            "{}/{RESERVED}/open?router={}&task={task}",
            self.router,
            percent(&self.name)
        );
        if let Some(slug) = slug {
            url.push_str("&endpoint=");
            url.push_str(slug.as_str());
        }
        url
    }

    /// True if a `Host` header of this value is meant for this gateway. Case and a default port do not matter.
    pub fn answers_to(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let default = if self.router.is_secure() { ":443" } else { ":80" };
        let host = host.strip_suffix(default).unwrap_or(&host);
        host == self.router.authority() || self.extra_hosts.iter().any(|extra| extra == host)
    }

    /// 8 hex digits of SHA-256(`ROUTER_URL`): tells the cookies of several gateways on one host apart.
    pub fn mark(&self) -> String {
        crate::endpoint::hex(&Sha256::digest(self.router.as_str().as_bytes())[..4])
    }
}

/// Percent-encodes everything but unreserved characters (RFC 3986 2.3).
pub fn percent(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
