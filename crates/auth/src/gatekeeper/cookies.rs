//! Who makes a request that carries cookies only: ClearML's first, then ours. A cookie that is no good counts as
//! absent.

use std::sync::Arc;

use http::HeaderMap;

use portico_core::{
    principal::{Method, Principal},
    refusal::Refusal,
};

use super::{
    Gatekeeper, Identified, Inner,
    errand::Errand,
    is_same,
    memory::Known,
    standing::{Question, Standing},
    user,
};
use crate::{
    check::Verified,
    credentials::{self, Candidates},
    keys::SessionKeys,
    session::{Session, SessionFault},
};

impl Gatekeeper {
    pub(super) async fn by_cookies(
        &self,
        clearml: Candidates<'_>,
        sessions: Candidates<'_>,
    ) -> Result<Identified, Refusal> {
        let mut identified = Identified {
            principal: Principal::Nobody,
            set_cookies: Vec::new(),
            session: None,
        };
        if clearml.is_empty() && sessions.is_empty() {
            return Ok(identified);
        }
        let (verified, unanswered) = self.by_clearml(clearml).await;
        if let Some(verified) = verified {
            self.end_others(sessions, &verified, &mut identified);
            identified.principal = Principal::User(Arc::new(user(&verified, Method::ClearmlCookie)));
            return Ok(identified);
        }
        if self.by_sessions(sessions, &mut identified).await {
            return Ok(identified);
        }
        match unanswered {
            Some(refusal) => Err(refusal),
            None => Ok(identified),
        }
    }

    /// The first of ClearML's cookies that is good; or why one of them could not be judged.
    async fn by_clearml(&self, tokens: Candidates<'_>) -> (Option<Arc<Verified>>, Option<Refusal>) {
        let mut unanswered = None;
        for token in tokens {
            match self.standing(&Question::token(token.reveal())).await {
                Standing::Good(verified) => return (Some(verified), None),
                Standing::Rejected => {}
                Standing::Away => unanswered = Some(Refusal::ClearmlAway),
                Standing::Refused(refusal) => unanswered = Some(refusal),
            }
        }
        (None, unanswered)
    }

    /// The first of our cookies that is good becomes the principal. If none is, ours is cleared.
    async fn by_sessions(&self, sealed: Candidates<'_>, identified: &mut Identified) -> bool {
        for sealed in sealed {
            let Ok(known) = self.valid(sealed.reveal()) else {
                continue;
            };
            let session = &known.session;
            let user = match self.standing(&Question::known(&known)).await {
                Standing::Good(verified) if is_same(&verified, &session.user, &session.company) => {
                    known.told_user(&verified)
                }
                Standing::Good(_) | Standing::Rejected => continue,
                // The sealed cookie is authentic by itself.
                Standing::Away | Standing::Refused(_) => known.sealed_user(),
            };
            // ClearML may have ended it while it was asked.
            if self.0.revocations.get().is_revoked(&session.id, &session.user) {
                continue;
            }
            identified.principal = Principal::User(user);
            self.renew(&known, identified);
            identified.session = Some(session.clone());
            return true;
        }
        if !sealed.is_empty() {
            identified.set_cookies.push(self.0.sessions.clear_cookie());
        }
        false
    }

    /// ClearML's cookie names somebody: a session of somebody else in the same browser ends.
    fn end_others(&self, sealed: Candidates<'_>, verified: &Verified, identified: &mut Identified) {
        let mut is_ours_kept = false;
        for sealed in sealed {
            let Ok(known) = self.valid(sealed.reveal()) else {
                continue;
            };
            let session = &known.session;
            if is_same(verified, &session.user, &session.company) {
                is_ours_kept = true;
                self.renew(&known, identified);
                continue;
            }
            let errand = Errand::End {
                session: session.id.clone(),
                user: session.user.clone(),
            };
            // If the queue is full it is tried again with the next request: the cookie is cleared in any case.
            let _ = self.0.send(errand, false);
        }
        if !sealed.is_empty() && !is_ours_kept {
            identified.set_cookies.push(self.0.sessions.clear_cookie());
        }
    }

    fn renew(&self, known: &Known, identified: &mut Identified) {
        if let Some(renewed) = self.0.sessions.renewed(&known.session, &known.key)
            && let Some(cookie) = self.0.sessions.set_cookie(&renewed)
        {
            identified.set_cookies.push(cookie);
        }
    }

    /// What each of our session cookies in a request is worth, without asking ClearML and without changing anything: to
    /// explain.
    pub fn inspect_sessions(&self, headers: &HeaderMap) -> Vec<Result<Session, SessionFault>> {
        let presented = credentials::read(headers, self.names());
        let sessions = presented.sessions.iter();
        sessions
            .map(|sealed| self.valid(sealed.reveal()).map(|known| (*known.session).clone()))
            .collect()
    }

    /// The session, if it was sealed here with a key of now, is not over and not revoked.
    fn valid(&self, sealed: &str) -> Result<Arc<Known>, SessionFault> {
        let inner = &*self.0;
        let keys = inner.sessions.keys().get();
        let found = inner.memory.find(&keys, sealed);
        let is_new = found.is_none();
        let known = match found {
            Some(known) => known,
            None => inner.unsealed(&keys, sealed).ok_or(SessionFault::Unreadable)?,
        };
        if let Some(fault) = inner.fault(&known.session) {
            inner.memory.forget(&known);
            return Err(fault);
        }
        if is_new {
            inner.memory.keep(&keys, known.clone());
        }
        Ok(known)
    }
}

impl Inner {
    fn unsealed(&self, keys: &SessionKeys, sealed: &str) -> Option<Arc<Known>> {
        let unsealed = self.sessions.unseal(keys, sealed)?;
        let token = self.token_digest(unsealed.session.token.reveal());
        Some(Arc::new(Known::new(sealed, unsealed, token)))
    }

    /// Why a session no longer counts, if it does not.
    fn fault(&self, session: &Session) -> Option<SessionFault> {
        session.fault(self.clock.now()).or_else(|| {
            let is_revoked = self.revocations.get().is_revoked(&session.id, &session.user);
            is_revoked.then(|| SessionFault::Revoked(Box::new(session.clone())))
        })
    }
}
