//! Who makes a request that carries cookies only: ClearML's first, then ours. A cookie that is no good counts as
//! absent.

use std::sync::Arc;

use http::HeaderMap;

use portico_core::{
    principal::{Method, Principal, User},
    refusal::Refusal,
    secret::Secret,
};

use super::{
    Gatekeeper, Identified,
    desk::Errand,
    is_same,
    standing::{Question, Standing},
    user,
};
use crate::{
    check::Verified,
    credentials,
    session::{Read, Session, SessionFault},
};

impl Gatekeeper {
    pub(super) async fn by_cookies(&self, clearml: &[Secret], sessions: &[Secret]) -> Result<Identified, Refusal> {
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
    async fn by_clearml(&self, tokens: &[Secret]) -> (Option<Arc<Verified>>, Option<Refusal>) {
        let mut unanswered = None;
        for token in tokens {
            match self.standing(&Question::token(token)).await {
                Standing::Good(verified) => return (Some(verified), None),
                Standing::Rejected => {}
                Standing::Away => unanswered = Some(Refusal::ClearmlAway),
                Standing::Refused(refusal) => unanswered = Some(refusal),
            }
        }
        (None, unanswered)
    }

    /// The first of our cookies that is good becomes the principal. If none is, ours is cleared.
    async fn by_sessions(&self, sealed: &[Secret], identified: &mut Identified) -> bool {
        for sealed in sealed {
            let Ok(read) = self.valid(sealed) else { continue };
            let session = &read.session;
            let question = Question::token(&session.token).in_session(Some((&session.id, &session.user)));
            let mut user = session_user(session);
            match self.standing(&question).await {
                Standing::Good(verified) if is_same(&verified, &user) => {
                    user.name = verified.name.clone();
                    user.is_administrator = verified.is_administrator;
                }
                Standing::Good(_) | Standing::Rejected => continue,
                // The sealed cookie is authentic by itself.
                Standing::Away | Standing::Refused(_) => {}
            }
            // ClearML may have ended it while it was asked.
            if self.0.revocations.get().is_revoked(&session.id, &session.user) {
                continue;
            }
            identified.principal = Principal::User(Arc::new(user));
            self.renew(&read, identified);
            identified.session = Some(Arc::new(read.session));
            return true;
        }
        if !sealed.is_empty() {
            identified.set_cookies.push(self.0.sessions.clear_cookie());
        }
        false
    }

    /// ClearML's cookie names somebody: a session of somebody else in the same browser ends.
    fn end_others(&self, sealed: &[Secret], verified: &Verified, identified: &mut Identified) {
        let mut is_ours_kept = false;
        for sealed in sealed {
            let Ok(read) = self.valid(sealed) else { continue };
            if read.session.user == verified.user && read.session.company == verified.company {
                is_ours_kept = true;
                self.renew(&read, identified);
                continue;
            }
            let errand = Errand::End {
                session: read.session.id.clone(),
                user: read.session.user.clone(),
            };
            // If the queue is full it is tried again with the next request: the cookie is cleared in any case.
            let _ = self.0.send(errand, false);
        }
        if !sealed.is_empty() && !is_ours_kept {
            identified.set_cookies.push(self.0.sessions.clear_cookie());
        }
    }

    fn renew(&self, read: &Read, identified: &mut Identified) {
        if let Some(renewed) = self.0.sessions.renewed(read)
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
            .map(|sealed| self.valid(sealed).map(|read| read.session))
            .collect()
    }

    /// The session, if it was sealed here, is not over and not revoked.
    fn valid(&self, sealed: &Secret) -> Result<Read, SessionFault> {
        let read = self.0.sessions.read(sealed.reveal())?;
        let is_revoked = self
            .0
            .revocations
            .get()
            .is_revoked(&read.session.id, &read.session.user);
        if is_revoked {
            return Err(SessionFault::Revoked(Box::new(read.session)));
        }
        Ok(read)
    }
}

/// The session's user, as ClearML told at log-in. Only an answer of now makes an administrator.
fn session_user(session: &Session) -> User {
    User {
        id: session.user.clone(),
        company: session.company.clone(),
        name: session.name.clone(),
        is_administrator: false,
        method: Method::Session,
        session: Some(session.id.clone()),
        expires: Some(session.absolute_end),
        token: session.token.clone(),
    }
}
