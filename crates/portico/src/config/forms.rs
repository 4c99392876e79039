//! How single values are written: each form reads a text, or says what was expected.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use portico_core::{
    access::Who,
    principal::UserId,
    site::{BadOrigin, Origin},
    streams::Admission,
};

/// A kind of value.
pub(super) trait Form: Sized {
    /// How such a value is written, for the operator.
    const EXPECTED: &'static str;

    /// Reads it, or says what is wrong with it.
    fn read(text: &str) -> Result<Self, String>;
}

fn not(text: &str, what: &str) -> String {
    format!("{text:?} is not {what}")
}

impl Form for String {
    const EXPECTED: &'static str = "write a text";

    fn read(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("contains control characters".into());
        }
        Ok(text.to_owned())
    }
}

impl Form for PathBuf {
    const EXPECTED: &'static str = "write a path";

    fn read(text: &str) -> Result<Self, String> {
        String::read(text).map(Self::from)
    }
}

impl Form for bool {
    const EXPECTED: &'static str = "write true or false";

    fn read(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(not(text, "a yes or no")),
        }
    }
}

impl Form for usize {
    const EXPECTED: &'static str = "write a whole number";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| not(text, "a whole number"))
    }
}

impl Form for Duration {
    const EXPECTED: &'static str = "write a number with its unit: 500ms, 30s, 5m, 1h or 7d";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || not(text, "a duration");
        let unit_at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let millis = match unit.trim() {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" if number == 0 => 0,
            _ => return Err(wrong()),
        };
        // A thousand years are a slip of the finger, and sums with them may overflow.
        let longest = 366 * 86_400_000;
        match number.checked_mul(millis) {
            Some(total) if total <= longest => Ok(Self::from_millis(total)),
            _ => Err(format!("{text:?} is longer than a year")),
        }
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

impl Form for Size {
    const EXPECTED: &'static str = "write a number with its unit: 512B, 64KiB or 1MiB";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || not(text, "a size");
        let unit_at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let number: usize = number.parse().map_err(|_| wrong())?;
        let factor = match unit.trim().to_ascii_lowercase().as_str() {
            "b" => 1,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            _ => return Err(wrong()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(wrong)
    }
}

impl Form for SocketAddr {
    const EXPECTED: &'static str = "write an address and a port: 0.0.0.0:8080, [::]:8080, or the port alone";

    fn read(text: &str) -> Result<Self, String> {
        let port = text.strip_prefix(':').unwrap_or(text);
        if let Ok(port) = port.parse() {
            return Ok(Self::new(Ipv4Addr::UNSPECIFIED.into(), port));
        }
        text.parse().map_err(|_| not(text, "an address to listen on"))
    }
}

impl Form for IpAddr {
    const EXPECTED: &'static str = "write an IP address of this machine: 0.0.0.0, ::, or one of its own";

    fn read(text: &str) -> Result<Self, String> {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        bare.parse().map_err(|_| not(text, "an IP address"))
    }
}

impl Form for IpNet {
    const EXPECTED: &'static str = "write a network such as 10.0.0.0/8 or fd00::/8, or a single IP address";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || not(text, "a network");
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let network: Self = text.parse().map_err(|_| wrong())?;
        if network.addr() == network.network() {
            Ok(network)
        } else {
            Err(format!(
                "{text:?} has bits after its prefix: {} is the network",
                network.trunc()
            ))
        }
    }
}

impl Form for Origin {
    const EXPECTED: &'static str = "write scheme, host and port, as visitors type them: https://gateway.example.com";

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| match error {
            // Not shown: what stands in front of the host may be a password.
            BadOrigin::HasUser => error.to_string(),
            _ => format!("{text:?} {error}"),
        })
    }
}

/// A `Host` value that is answered besides `ROUTER_URL`'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host(pub(super) String);

impl Form for Host {
    const EXPECTED: &'static str = "write a host, with its port if it is not the scheme's: gateway.internal:8080";

    fn read(text: &str) -> Result<Self, String> {
        let is_host = text
            .parse::<http::uri::Authority>()
            .is_ok_and(|host| !host.as_str().contains('@'));
        if is_host {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(not(text, "a host"))
        }
    }
}

/// An absolute URL that may have a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base(pub(super) String);

impl Form for Base {
    const EXPECTED: &'static str = "write the address with its scheme: https://api.clear.ml";

    fn read(text: &str) -> Result<Self, String> {
        let uri: http::Uri = text.parse().map_err(|_| not(text, "a URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(not(text, "an http:// or https:// URL"));
        }
        if uri.query().is_some() || uri.authority().is_none_or(|host| host.as_str().contains('@')) {
            return Err("has a query, a user name or a password in it".into());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl Form for Who {
    const EXPECTED: &'static str = "write owner, visible, public, or a list of ClearML user ids";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "owner" => Ok(Self::Owner),
            "visible" => Ok(Self::Visible),
            "public" => Ok(Self::Public),
            _ => Err(not(text, "an access rule")),
        }
    }
}

/// A rule for named users besides the owner.
pub(super) fn users(ids: Vec<String>) -> Who {
    Who::Users(ids.into_iter().map(UserId::new).collect())
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $expected:literal, { $($(#[$word_doc:meta])* $variant:ident = $($word:literal)|+),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$word_doc])* $variant,)+
        }

        impl Form for $name {
            const EXPECTED: &'static str = concat!("write ", $expected);

            fn read(text: &str) -> Result<Self, String> {
                match text.to_ascii_lowercase().as_str() {
                    $($($word)|+ => Ok(Self::$variant),)+
                    _ => Err(format!("{text:?} is not known here")),
                }
            }
        }
    };
}

words! {
    /// How much is logged.
    LogLevel, "error, warn, info, debug or trace", {
        /// What failed and stays failed.
        Error = "error" | "critical" | "fatal",
        /// And what will need somebody.
        Warn = "warn" | "warning",
        /// And what happened.
        Info = "info",
        /// And why.
        Debug = "debug",
        /// And every step.
        Trace = "trace",
    }
}

words! {
    /// How log lines look.
    LogFormat, "text or json", {
        /// For people.
        Text = "text",
        /// One JSON object in each line.
        Json = "json",
    }
}

words! {
    /// Whether URLs are written into tasks.
    Publish, "always or never", {
        /// As the enterprise gateway does.
        Always = "always",
        /// Route without writing: for trials beside another gateway.
        Never = "never",
    }
}

impl Form for Admission {
    const EXPECTED: &'static str = "write open, networks or signed-in";

    fn read(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "open" => Ok(Self::Open),
            "networks" => Ok(Self::Networks),
            "signed-in" | "signed_in" => Ok(Self::SignedIn),
            _ => Err(format!("{text:?} is not known here")),
        }
    }
}

words! {
    /// From where tasks and their addresses are known.
    DiscoveryKind, "host or kubernetes", {
        /// Workers on hosts, as the ClearML server knows them.
        Host = "host",
        /// Pods of a namespace.
        Kubernetes = "kubernetes",
    }
}

words! {
    /// Where state is kept.
    StateKind, "file or kubernetes", {
        /// In a file, or in memory.
        File = "file",
        /// In Secrets.
        Kubernetes = "kubernetes",
    }
}

/// Where a stream of records goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// A file that is appended to, and opened again when it was moved away.
    File(PathBuf),
}

impl Form for Sink {
    const EXPECTED: &'static str = "write stdout, off, or the absolute path of a file";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "off" | "none" | "false" => Ok(Self::Off),
            "stdout" => Ok(Self::Stdout),
            _ if text.starts_with('/') => Ok(Self::File(text.into())),
            _ => Err(not(text, "a place for records")),
        }
    }
}
