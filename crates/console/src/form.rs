//! The token of the log-in form: who has no session yet is protected by nothing else from a foreign page that logs them in as
//! somebody else. A cookie and a hidden field have to agree.

use axum::http::{HeaderMap, header};
use portico_auth::{credentials::CookieNames, random};

use crate::asked::Asked;

/// How long a form may lie open, in seconds.
const LASTS: u32 = 12 * 3600;
/// Hexadecimal digits of a token.
const DIGITS: usize = 32;

/// A form's token.
pub(crate) struct Token(pub(crate) String);

impl Token {
    /// For the next form; the same again for a browser that has one, so that several windows work.
    pub(crate) fn next(headers: &HeaderMap, names: &CookieNames) -> Self {
        Self(
            presented(headers, &name(names))
                .next()
                .map_or_else(random::token, str::to_owned),
        )
    }

    /// The cookie that has to come with the form.
    pub(crate) fn cookie(&self, asked: &Asked) -> String {
        asked.cookie(&name(asked.state.gatekeeper.names()), &self.0, "/", LASTS)
    }

    /// True if the field `sent` agrees with the request's cookie.
    pub(crate) fn is_right(sent: &str, headers: &HeaderMap, names: &CookieNames) -> bool {
        // Any of several: somebody who can set cookies here, but not send our forms, must not be able to lock the visitor out.
        presented(headers, &name(names)).any(|expected| expected == sent)
    }
}

fn name(names: &CookieNames) -> String {
    let prefix = if names.is_secure() { "__Host-" } else { "" };
    format!("{prefix}portico-form-{}", names.mark())
}

/// The tokens in a request's cookies.
fn presented<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    let lines = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(move |piece| piece.trim().strip_prefix(name)?.strip_prefix('='))
        .filter(|token| token.len() == DIGITS && token.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
