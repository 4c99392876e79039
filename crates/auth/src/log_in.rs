//! Logging in and out. ClearML says whether a password or a key is right; Portico knows none.

mod delays;

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::HeaderValue;
use ipnet::IpNet;
use portico_core::{
    audit::{AuditEvent, AuditKind, AuditLog},
    clock::Clock,
    principal::{Method, User, UserId},
    refusal::Refusal,
    secret::Secret,
};

use crate::{
    check::{CheckError, ClearmlCredential, CredentialCheck, Verified},
    client_address::is_trusted,
    gatekeeper::Gatekeeper,
    revocation::Register,
    session::{LONGEST, OpenedBy, Session, Sessions},
};

use delays::Delays;

/// Longer names and passwords are nobody's.
const TYPED_MAX: usize = 1024;
/// A session's ClearML token outlives the session by this, so that clocks need not agree.
const MARGIN: Duration = Duration::from_hours(1);

/// What the log-in works with.
pub struct Parts {
    /// Asks ClearML.
    pub check: Arc<dyn CredentialCheck>,
    /// Opens the session.
    pub sessions: Sessions,
    /// Is told what ClearML said.
    pub gatekeeper: Gatekeeper,
    /// Ends sessions.
    pub register: Register,
    /// Takes the record.
    pub audit: AuditLog,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Addresses that stand for many visitors (`http.trusted_proxies`).
    pub trusted_proxies: Vec<IpNet>,
}

/// Logs people in and out. Cloning is cheap.
#[derive(Clone)]
pub struct LogIn(Arc<Inner>);

struct Inner {
    parts: Parts,
    delays: Delays,
}

/// What somebody typed.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// A user name, or an API key.
    pub account: String,
    /// Its password, or its secret.
    pub secret: Secret,
    /// From where ([`crate::client_address::client_address`]).
    pub address: IpAddr,
}

/// A session, and what gives it to the browser.
#[derive(Clone, Debug)]
pub struct OpenedSession {
    /// The session.
    pub session: Session,
    /// The `Set-Cookie` header.
    pub set_cookie: HeaderValue,
}

impl LogIn {
    /// With no delays yet.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            parts,
            delays: Delays::default(),
        }))
    }

    /// Logs somebody in by what was typed, and notes from where ([`Gatekeeper::signed_in_from`]).
    ///
    /// Refuses with [`Refusal::LogInFailed`] (ClearML says no), [`Refusal::LogInDelayed`] (too many failures of this
    /// account from this address; ClearML was not asked) or [`Refusal::ClearmlAway`].
    pub async fn attempt(&self, attempt: &Attempt) -> Result<OpenedSession, Refusal> {
        let opened = self.attempted(attempt).await;
        match &opened {
            Ok(opened) => self.record(AuditKind::LogIn, Some(&opened.session), Some(attempt.address), None),
            Err(refusal) => self.record(
                AuditKind::LogInFailed,
                None,
                Some(attempt.address),
                Some(refusal.code().to_owned()),
            ),
        }
        opened
    }

    async fn attempted(&self, attempt: &Attempt) -> Result<OpenedSession, Refusal> {
        let Inner { parts, delays } = &*self.0;
        let account = attempt.account.trim();
        let is_nobody = account.is_empty()
            || attempt.secret.is_empty()
            || account.len() > TYPED_MAX
            || attempt.secret.reveal().len() > TYPED_MAX;
        if is_nobody {
            return Err(Refusal::LogInFailed);
        }
        let is_shared = is_trusted(attempt.address, &parts.trusted_proxies);
        let now = parts.clock.now();
        let trial = delays
            .begin(account, attempt.address, is_shared, now)
            .map_err(|seconds| Refusal::LogInDelayed { seconds })?;
        let credential = ClearmlCredential::typed(account, attempt.secret.clone());
        let opened_by = match credential {
            ClearmlCredential::KeyPair { .. } => OpenedBy::KeyPair,
            ClearmlCredential::Token(_) | ClearmlCredential::Password { .. } => OpenedBy::Password,
        };
        match parts.check.check(&credential, Some(self.token_lasts())).await {
            Ok(verified) => {
                delays.succeeded(&trial);
                let opened = self.open(&verified, opened_by)?;
                parts.gatekeeper.note_log_in(&opened.session, attempt.address);
                Ok(opened)
            }
            Err(CheckError::Rejected) => Err(Refusal::LogInFailed),
            Err(CheckError::Unavailable(why)) => {
                delays.undone(&trial);
                tracing::warn!(%why, "nobody can log in");
                Err(Refusal::ClearmlAway)
            }
        }
    }

    /// Opens a session for somebody who came in by ClearML's own cookie, which does not reach all of our origins. The
    /// session gets a token of its own. Refuses with [`Refusal::LogInRequired`] or [`Refusal::ClearmlAway`].
    pub async fn adopt(&self, user: &User, address: IpAddr) -> Result<OpenedSession, Refusal> {
        let credential = ClearmlCredential::Token(user.token.clone());
        let check = &self.0.parts.check;
        let verified = match check.check(&credential, Some(self.token_lasts())).await {
            Ok(verified) if verified.user == user.id => verified,
            Ok(_) | Err(CheckError::Rejected) => return Err(Refusal::LogInRequired),
            Err(CheckError::Unavailable(_)) => return Err(Refusal::ClearmlAway),
        };
        let opened = self.open(&verified, OpenedBy::ClearmlCookie)?;
        self.record(AuditKind::LogIn, Some(&opened.session), Some(address), None);
        Ok(opened)
    }

    /// Ends a session, on every replica. Returns the `Set-Cookie` header that clears the cookie.
    pub async fn log_out(&self, session: Option<&Session>, address: IpAddr) -> HeaderValue {
        let parts = &self.0.parts;
        if let Some(session) = session {
            self.record(AuditKind::LogOut, Some(session), Some(address), None);
            let revoked = parts.register.revoke_session(session.id.clone(), &session.user).await;
            if let Err(error) = revoked {
                tracing::warn!(%error, "a log-out is not stored yet");
            }
        }
        parts.sessions.clear_cookie()
    }

    /// Ends all sessions of a user, on every replica: for administrators.
    pub async fn log_out_user(&self, user: &UserId, why: &str) {
        let mut event = AuditEvent::new(self.0.parts.clock.now(), AuditKind::SessionRevoked);
        event.actor = Some(user.clone());
        event.detail = Some(why.to_owned());
        self.0.parts.audit.record(event);
        if let Err(error) = self.0.parts.register.revoke_user(user.clone()).await {
            tracing::warn!(%error, "a revocation is not stored yet");
        }
    }

    fn open(&self, verified: &Verified, opened_by: OpenedBy) -> Result<OpenedSession, Refusal> {
        let parts = &self.0.parts;
        let session = parts.sessions.open(verified, opened_by);
        let set_cookie = parts.sessions.set_cookie(&session).ok_or(Refusal::Internal)?;
        parts.gatekeeper.remember(verified.clone());
        Ok(OpenedSession { session, set_cookie })
    }

    fn token_lasts(&self) -> Duration {
        self.0.parts.sessions.settings().absolute.min(LONGEST) + MARGIN
    }

    /// What was typed is never recorded: people type passwords into the wrong field.
    fn record(&self, kind: AuditKind, session: Option<&Session>, address: Option<IpAddr>, detail: Option<String>) {
        let mut event = AuditEvent::new(self.0.parts.clock.now(), kind);
        event.address = address;
        event.detail = detail;
        if let Some(session) = session {
            event.actor = Some(session.user.clone());
            event.method = Some(Method::Session);
            event.session = Some(session.id.clone());
        }
        self.0.parts.audit.record(event);
    }
}
