//! Endpoints and the names they go by.

use std::{fmt, net::SocketAddr, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    access::AccessRule,
    principal::{CompanyId, UserId},
};

/// The longest slug, in characters (RFC 1035 allows 63 for a host label; 32 are the task's).
const SLUG_MAX: usize = 29;
/// What is kept of a cleaned name in front of the digest.
const CLEANED_MAX: usize = 22;

/// A ClearML task's id: 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TaskId([u8; 16]);

impl TaskId {
    /// Characters of an id.
    pub const LENGTH: usize = 32;

    /// Reads 32 lower-case hexadecimal digits; anything else is no task id.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != Self::LENGTH {
            return None;
        }
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?;
        }
        Some(Self(id))
    }

    /// The id as bytes: uniformly distributed, for sharding.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

// As one number: lists of thousands of ids are searched and hashed for each change.
impl Ord for TaskId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for TaskId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::hash::Hash for TaskId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_be_bytes(self.0));
    }
}

fn letter(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[letter(byte >> 4), letter(byte & 15)]);
        }
        out.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Serialize for TaskId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not 32 lower-case hexadecimal digits"))
    }
}

/// What is spoken to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1 with WebSocket and server-sent events.
    Http,
    /// A byte stream on a port of its own.
    Tcp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
        })
    }
}

/// The identity of an endpoint: one thing of one task. Kept for as long as the task asks for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EndpointKey {
    /// Whose it is.
    pub task: TaskId,
    /// What is spoken.
    pub protocol: Protocol,
    /// The name that the task gave it; `None` for the unnamed endpoint.
    pub name: Option<Arc<str>>,
}

/// A short form of an [`EndpointKey`], equal across restarts and gateways: for counters, pools and limits that live outside the
/// route table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u64);

impl EndpointKey {
    /// 64 bits of the task's id (random, made by the server) for an unnamed endpoint; of SHA-256 over the key for a named one, so
    /// that nobody finds a name that meets another endpoint's id.
    pub fn id(&self) -> EndpointId {
        let first = |bytes: &[u8]| bytes.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte));
        match &self.name {
            None => EndpointId(first(self.task.as_bytes()) ^ self.protocol as u64),
            Some(name) => {
                let hash = Sha256::new()
                    .chain_update(self.task.as_bytes())
                    .chain_update([self.protocol as u8]);
                EndpointId(first(&hash.chain_update(name.as_bytes()).finalize()))
            }
        }
    }
}

/// An endpoint's name made fit for paths and host labels: `^[a-z0-9]([a-z0-9-]{0,27}[a-z0-9])?$`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Slug(Arc<str>);

impl Slug {
    /// The slug of a name: the name itself if it fits, else its cleaned beginning and 6 hex digits of its SHA-256, so that
    /// `My UI` and `my-ui` stay two.
    pub fn of(name: &str) -> Self {
        if let Some(slug) = Self::parse(name) {
            return slug;
        }
        let mut cleaned = String::with_capacity(SLUG_MAX);
        for letter in name.chars().flat_map(char::to_lowercase) {
            if cleaned.len() >= CLEANED_MAX {
                break;
            }
            if letter.is_ascii_alphanumeric() {
                cleaned.push(letter);
            } else if !cleaned.is_empty() && !cleaned.ends_with('-') {
                cleaned.push('-');
            }
        }
        let digest = Sha256::digest(name.as_bytes());
        let mark = hex(&digest[..3]);
        let cleaned = cleaned.trim_end_matches('-');
        Self(
            if cleaned.is_empty() {
                mark
            } else {
                format!("{cleaned}-{mark}")
            }
            .into(),
        )
    }

    /// Reads a slug as it stands in a URL.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let is_alnum = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = (1..=SLUG_MAX).contains(&bytes.len())
            && bytes.iter().all(|byte| is_alnum(byte) || *byte == b'-')
            && bytes.first().is_some_and(is_alnum)
            && bytes.last().is_some_and(is_alnum);
        fits.then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for Slug {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, out)
    }
}

/// Whether the public path prefix reaches the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prefix {
    /// Two harmless requests decide, once the application listens.
    #[default]
    Auto,
    /// The application sees `/…`; `X-Forwarded-Prefix` tells it the prefix.
    Cut,
    /// The application sees `/service/<task>/…`, as JupyterLab with a `base_url` needs it.
    Keep,
}

/// An endpoint that can be reached: what the data plane needs to know of it. Equal endpoints are shared between tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Short identity, for what lives outside the table.
    pub id: EndpointId,
    /// Identity.
    pub key: EndpointKey,
    /// The name in URLs; `None` for the unnamed endpoint.
    pub slug: Option<Slug>,
    /// Public path prefix without the closing slash: `/service/<task>[__<slug>]`.
    pub prefix: Arc<str>,
    /// The task's name, for people. Bounded, but otherwise whatever its owner typed: escape it.
    pub task_name: Arc<str>,
    /// The user whose task it is.
    pub owner: UserId,
    /// The company whose task it is.
    pub company: CompanyId,
    /// The address that is dialed. Never one that the task merely claims.
    pub upstream: SocketAddr,
    /// True if nobody has confirmed for too long that the address is still the task's: what is open goes on, and nothing is dialed.
    pub is_unproven: bool,
    /// The public port of a stream endpoint; `None` for one that is reached by its path.
    pub port: Option<u16>,
    /// Whether the prefix reaches the application.
    pub prefix_choice: Prefix,
    /// Who may reach it, and where that was said.
    pub access: AccessRule,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_fit_are_their_own_slug() {
        for name in ["a", "ui", "my-ui", "x9", &"a".repeat(29)] {
            assert_eq!(Slug::of(name).as_str(), name);
        }
    }

    #[test]
    fn names_that_do_not_fit_are_cleaned_and_marked() {
        assert_eq!(Slug::of("My UI").as_str(), "my-ui-66062e");
        assert_eq!(Slug::of("a/b.c__d").as_str().split('-').count(), 5);
        assert_eq!(Slug::of("🙂").as_str().len(), 6);
        assert_eq!(Slug::of("").as_str().len(), 6);
        assert_ne!(Slug::of("My UI"), Slug::of("my ui"));
    }

    #[test]
    fn a_task_id_is_32_lower_case_hexadecimal_digits() {
        let text = "0123456789abcdef0123456789abcdef";
        assert_eq!(TaskId::parse(text).map(|id| id.to_string()).as_deref(), Some(text));
        for bad in [
            "",
            "0123",
            &text.to_uppercase(),
            &text.replace('0', "g"),
            &format!("{text}0"),
            "é123456789abcdef0123456789abcde",
        ] {
            assert_eq!(TaskId::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_name_has_a_slug_that_is_fit_for_a_url(name in ".{0,80}") {
            let slug = Slug::of(&name);
            prop_assert_eq!(Slug::parse(slug.as_str()), Some(slug));
        }
    }
}
