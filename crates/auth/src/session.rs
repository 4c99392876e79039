//! Portico's own sessions: everything about one is in its sealed cookie, so that every replica and every restart knows
//! it.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use portico_core::{
    clock::{Clock, Timestamp},
    endpoint::hex,
    live::Live,
    principal::{CompanyId, SessionId, UserId},
    secret::Secret,
};
use serde::{Deserialize, Serialize};

use crate::{check::Verified, credentials::CookieNames, keys::SessionKeys, random, seal};

/// Browsers drop cookies that are longer than this, name and attributes included (RFC 6265 6.1).
const COOKIE_LIMIT: usize = 4096;
/// No session lasts longer, whatever the settings say: revocations are forgotten after this time.
pub const LONGEST: Duration = Duration::from_hours(7 * 24);
/// What is kept of a user's name: the cookie has to stay small.
const NAME_MAX: usize = 64;

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A session that nobody uses for this long ends.
    pub idle: Duration,
    /// Every session ends after this long, and after [`LONGEST`] at the latest.
    pub absolute: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle: Duration::from_hours(24),
            absolute: LONGEST,
        }
    }
}

/// By what a session was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenedBy {
    /// A fixed user's name and password.
    Password,
    /// An API key and its secret.
    KeyPair,
    /// A ClearML log-in in the same browser.
    ClearmlCookie,
}

/// One session. The short names are those inside the cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Identity, for revocation and audit.
    #[serde(rename = "i")]
    pub id: SessionId,
    /// Whose it is.
    #[serde(rename = "u")]
    pub user: UserId,
    /// In which company.
    #[serde(rename = "c")]
    pub company: CompanyId,
    /// The user's name when the session was opened.
    #[serde(rename = "n")]
    pub name: Arc<str>,
    /// ClearML role `admin`, `root` or `system` when the session was opened.
    #[serde(rename = "a")]
    pub is_administrator: bool,
    /// By what it was opened.
    #[serde(rename = "m")]
    pub opened_by: OpenedBy,
    /// When it was opened.
    #[serde(rename = "b")]
    pub issued: Timestamp,
    /// When it ends unless it is used before.
    #[serde(rename = "d")]
    pub idle_end: Timestamp,
    /// When it ends in any case.
    #[serde(rename = "e")]
    pub absolute_end: Timestamp,
    /// The ClearML token that was minted for it.
    #[serde(rename = "t")]
    pub token: Secret,
}

impl Session {
    /// True once it is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.idle_end || now >= self.absolute_end
    }

    /// Why it is over, if it is.
    pub(crate) fn fault(&self, now: Timestamp) -> Option<SessionFault> {
        if now >= self.absolute_end {
            return Some(SessionFault::Over(Box::new(self.clone())));
        }
        (now >= self.idle_end).then(|| SessionFault::Idle(Box::new(self.clone())))
    }
}

/// Why a session cookie does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionFault {
    /// It was not sealed by a key that this gateway knows: changed on the way, another gateway's, or the keys were
    /// lost.
    #[error("the cookie was not sealed by this gateway, or was changed")]
    Unreadable,
    /// Nobody used it for too long.
    #[error("the session was not used for too long and ended at {}", .0.idle_end)]
    Idle(Box<Session>),
    /// It reached its longest life.
    #[error("the session ended at {}", .0.absolute_end)]
    Over(Box<Session>),
    /// Its user logged out, or somebody or ClearML ended it.
    #[error("the session was revoked")]
    Revoked(Box<Session>),
}

/// A fresh session's id. It tells when the session was opened, so that an open exchange can be judged by the id alone.
fn new_id(now: Timestamp) -> SessionId {
    SessionId::new(format!("{:x}-{}", now.as_millis().max(0), hex(&random::bytes::<12>())))
}

/// When the session with this id was opened.
pub(crate) fn issued(id: &SessionId) -> Option<Timestamp> {
    let (millis, _) = id.as_str().split_once('-')?;
    i64::from_str_radix(millis, 16).ok().map(Timestamp::from_millis)
}

/// Opens, seals and reads sessions.
#[derive(Clone)]
pub struct Sessions {
    settings: Settings,
    keys: Live<SessionKeys>,
    names: Arc<CookieNames>,
    clock: Arc<dyn Clock>,
    purpose: Arc<str>,
}

/// What a sealed text says. The session may be over or revoked all the same.
pub(crate) struct Unsealed {
    pub(crate) session: Session,
    /// The id of the key that sealed it.
    pub(crate) key: String,
}

impl Sessions {
    /// Sessions of one gateway. `keys` are those of [`crate::keys`].
    pub fn new(settings: Settings, keys: Live<SessionKeys>, names: Arc<CookieNames>, clock: Arc<dyn Clock>) -> Self {
        let purpose = format!("session {} {}", names.session(), names.mark()).into();
        Self {
            settings,
            keys,
            names,
            clock,
            purpose,
        }
    }

    /// The cookies' names.
    pub fn names(&self) -> &CookieNames {
        &self.names
    }

    /// How long sessions last.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// A new session for somebody whom ClearML vouches for.
    pub fn open(&self, verified: &Verified, opened_by: OpenedBy) -> Session {
        let now = self.clock.now();
        let absolute_end = now.plus(self.settings.absolute.min(LONGEST));
        Session {
            id: new_id(now),
            user: verified.user.clone(),
            company: verified.company.clone(),
            name: verified.name.chars().take(NAME_MAX).collect::<String>().into(),
            is_administrator: verified.is_administrator,
            opened_by,
            issued: now,
            idle_end: now.plus(self.settings.idle).min(absolute_end),
            absolute_end,
            token: verified.token.clone(),
        }
    }

    /// The `Set-Cookie` header that gives the session to a browser. `None` if it cannot be sealed (never, in practice).
    pub fn set_cookie(&self, session: &Session) -> Option<HeaderValue> {
        let now = self.clock.now();
        let plain = serde_json::to_vec(session).ok()?;
        let sealed = seal::seal(&self.keys.get(), now, &self.purpose, plain)?;
        let lasts = session.idle_end.min(session.absolute_end).since(now);
        let cookie = cookie(&self.names, self.names.session(), sealed.reveal(), lasts);
        if cookie.len() > COOKIE_LIMIT {
            tracing::warn!(
                bytes = cookie.len(),
                "the session cookie is longer than browsers keep: clearml's token is too long"
            );
        }
        secret_value(&cookie)
    }

    /// The `Set-Cookie` header that takes the session from a browser.
    pub fn clear_cookie(&self) -> HeaderValue {
        let cookie = cookie(&self.names, self.names.session(), "", Duration::ZERO);
        secret_value(&cookie).unwrap_or_else(|| HeaderValue::from_static(""))
    }

    /// The keys of now.
    pub(crate) fn keys(&self) -> &Live<SessionKeys> {
        &self.keys
    }

    /// The session in a cookie's value, if it was sealed here. It may be over or revoked all the same.
    pub(crate) fn unseal(&self, keys: &SessionKeys, sealed: &str) -> Option<Unsealed> {
        let opened = seal::open(keys, &self.purpose, sealed)?;
        Some(Unsealed {
            session: serde_json::from_slice(&opened.plain).ok()?,
            key: opened.key,
        })
    }

    /// The session with its idle end moved on, once half of the idle time is over or another key than that which
    /// sealed it seals now; `None` before.
    pub(crate) fn renewed(&self, session: &Session, key: &str) -> Option<Session> {
        let now = self.clock.now();
        let idle_end = now.plus(self.settings.idle).min(session.absolute_end);
        let is_half_over = session.idle_end.since(now) < self.settings.idle / 2 && idle_end > session.idle_end;
        let is_old = || self.keys.get().sealing(now).is_none_or(|sealing| sealing.id != key);
        (is_half_over || is_old()).then(|| Session {
            idle_end: idle_end.max(session.idle_end),
            ..session.clone()
        })
    }
}

/// A cookie of ours: for this host only, out of reach of scripts, not sent along with other sites' requests.
pub(crate) fn cookie(names: &CookieNames, name: &str, value: &str, lasts: Duration) -> String {
    let secure = if names.is_secure() { "; Secure" } else { "" };
    format!(
        "{name}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
        lasts.as_secs()
    )
}

/// A header value that is not shown in debug output.
pub(crate) fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
