//! What of a request is a credential for us, and what of it must never reach an application.
//!
//! Only what is recognisably ours is claimed; an application's own `Authorization` passes untouched. Everything here
//! looks at bytes only and asks nobody: a claimed credential may still be wrong.

mod candidates;
mod cookies;
mod header;
mod strip;
mod token;

use http::HeaderMap;
use portico_core::site::Site;

use crate::check::ClearmlCredential;

pub use candidates::{Candidates, CookieValue};
pub(crate) use strip::percent_decoded;
pub use strip::{strip_request, strip_set_cookie};
pub use token::is_clearml_token;

/// The header that always carries a credential for the gateway, so that `Authorization` stays the application's.
pub const GATEWAY_AUTHORIZATION: &str = "x-gateway-authorization";
/// What a WebSocket sub-protocol begins with that carries a token for the gateway.
pub const SUB_PROTOCOL: &str = "portico.bearer.";

/// The cookies of an open-source server: its own default, and that of ClearML's Helm chart.
const OPEN_SERVER: [&str; 2] = ["clearml_token_basic", "clearml-token-k8s"];
/// What the cookies of enterprise servers begin with.
const ENTERPRISE_PREFIX: &str = "allegro_token";

/// The names of the cookies that matter to one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieNames {
    session: String,
    nonce: String,
    clearml: Option<String>,
    mark: String,
    is_secure: bool,
}

impl CookieNames {
    /// The names for a site. `clearml` is `AUTH_COOKIE_NAME`; without it the servers' defaults are looked for.
    /// `is_secure` follows the scheme of `ROUTER_URL` unless it is set.
    pub fn new(site: &Site, clearml: Option<&str>, is_secure: Option<bool>) -> Self {
        let mark = site.mark();
        let is_secure = is_secure.unwrap_or(site.router.is_secure());
        let prefix = if is_secure { "__Host-" } else { "" };
        Self {
            session: format!("{prefix}portico-session-{mark}"),
            nonce: format!("{prefix}portico-nonce-{mark}"),
            clearml: clearml
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(str::to_owned),
            mark,
            is_secure,
        }
    }

    /// The session cookie.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The cookie that ties a hand-over to the browser that asked for it.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// 8 hex digits that tell gateways apart.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// True if our cookies are marked `Secure`.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    fn is_clearml(&self, name: &[u8]) -> bool {
        match &self.clearml {
            Some(configured) => name == configured.as_bytes(),
            None => {
                OPEN_SERVER.iter().any(|known| name == known.as_bytes())
                    || name.starts_with(ENTERPRISE_PREFIX.as_bytes())
            }
        }
    }
}

/// The credentials of one request, in the order in which they count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented<'h> {
    /// In a header. If there is one, cookies do not count.
    pub header: Header,
    /// Tokens in ClearML's cookie: at most four, the one that counts first in front.
    pub clearml: Candidates<'h>,
    /// Sealed sessions: at most four, the one that counts first in front.
    pub sessions: Candidates<'h>,
}

/// A credential in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// There is none for us.
    Absent,
    /// It is meant for us, but nobody could accept it: malformed, of an unknown kind, or given twice.
    Rejected,
    /// It can be asked about.
    Given(ClearmlCredential),
}

/// Reads the credentials of a request.
///
/// Of several cookies with one name the last counts first: browsers send those of longer paths in front (RFC 6265 5.4),
/// and those are what an application's page can set beside ours.
pub fn read<'h>(headers: &'h HeaderMap, names: &CookieNames) -> Presented<'h> {
    let mut presented = Presented {
        header: header::read(headers),
        clearml: Candidates::default(),
        sessions: Candidates::default(),
    };
    for (name, value) in cookies::pairs(headers) {
        let candidates = if name == names.session.as_bytes() {
            &mut presented.sessions
        } else if names.is_clearml(name) && is_clearml_token(value) {
            &mut presented.clearml
        } else {
            continue;
        };
        if let Ok(value) = std::str::from_utf8(value) {
            candidates.add(value);
        }
    }
    presented
}

/// The value of the first cookie with this name, without surrounding quotes.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    cookies::pairs(headers)
        .find(|(found, _)| *found == name.as_bytes())
        .and_then(|(_, value)| std::str::from_utf8(value).ok())
}

#[cfg(test)]
mod tests;
