//! Whose is this credential? Asked again every minute.

use std::sync::Arc;

use portico_core::{
    principal::{SessionId, UserId},
    refusal::Refusal,
    secret::Secret,
};

use super::{
    Gatekeeper, Inner,
    cache::Approach,
    errand::Errand,
    held::{Answer, Verdict},
    memory::Known,
};
use crate::{
    check::{ClearmlCredential, Verified},
    digest::{self, Digest},
};

/// What ClearML said of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opinion {
    Good(Arc<Verified>),
    Bad,
}

impl Opinion {
    pub(super) fn good(verified: Verified) -> Self {
        Self::Good(Arc::new(verified))
    }
}

impl Answer for Opinion {
    fn is_yes(&self) -> bool {
        matches!(self, Self::Good(_))
    }
}

/// What that means now.
pub(super) enum Standing {
    /// ClearML accepts it.
    Good(Arc<Verified>),
    /// ClearML does not, or it has expired.
    Rejected,
    /// ClearML cannot be asked, and no answer of it still holds.
    Away,
    /// It could not even be put to the desk.
    Refused(Refusal),
}

/// The credential in question.
#[derive(Clone, Copy)]
pub(super) struct Question<'q> {
    credential: Credential<'q>,
    /// The session whose token it is: it ends if ClearML rejects the token, and goes on if ClearML cannot be asked.
    session: Option<(&'q SessionId, &'q UserId)>,
}

#[derive(Clone, Copy)]
enum Credential<'q> {
    Token(&'q str),
    /// A token whose digest is known already.
    Digested(&'q str, Digest),
    Pair(&'q ClearmlCredential, &'q str, &'q Secret),
}

impl<'q> Question<'q> {
    pub(super) fn token(token: &'q str) -> Self {
        Self {
            credential: Credential::Token(token),
            session: None,
        }
    }

    pub(super) fn known(known: &'q Known) -> Self {
        Self {
            credential: Credential::Digested(known.session.token.reveal(), known.token),
            session: Some((&known.session.id, &known.session.user)),
        }
    }

    pub(super) fn in_session(self, session: Option<(&'q SessionId, &'q UserId)>) -> Self {
        Self { session, ..self }
    }

    pub(super) fn of(credential: &'q ClearmlCredential) -> Self {
        let credential = match credential {
            ClearmlCredential::Token(token) => Credential::Token(token.reveal()),
            ClearmlCredential::KeyPair { key: name, secret }
            | ClearmlCredential::Password {
                user: name,
                password: secret,
            } => Credential::Pair(credential, name, secret),
        };
        Self {
            credential,
            session: None,
        }
    }

    fn digest(&self, inner: &Inner) -> Digest {
        match self.credential {
            Credential::Token(token) => inner.token_digest(token),
            Credential::Digested(_, digest) => digest,
            Credential::Pair(_, name, secret) => {
                digest::of(&[&inner.salt, b"pair", name.as_bytes(), secret.reveal().as_bytes()])
            }
        }
    }

    fn to_credential(self) -> ClearmlCredential {
        match self.credential {
            Credential::Token(token) | Credential::Digested(token, _) => ClearmlCredential::Token(Secret::new(token)),
            Credential::Pair(credential, ..) => credential.clone(),
        }
    }
}

impl Inner {
    pub(super) fn token_digest(&self, token: &str) -> Digest {
        digest::of(&[&self.salt, b"token", token.as_bytes()])
    }

    fn judged(&self, verdict: Verdict<Opinion>) -> Standing {
        match verdict {
            Verdict::Answer(Opinion::Good(verified)) => {
                if verified.expires.is_some_and(|expires| expires <= self.clock.now()) {
                    Standing::Rejected
                } else {
                    Standing::Good(verified)
                }
            }
            Verdict::Answer(Opinion::Bad) => Standing::Rejected,
            Verdict::Unavailable => Standing::Away,
        }
    }
}

impl Gatekeeper {
    /// What a credential is worth now. Asks ClearML if that is not known.
    pub(super) async fn standing(&self, question: &Question<'_>) -> Standing {
        let inner = &*self.0;
        let key = question.digest(inner);
        let can_wait = question.session.is_none();
        let mut flight = None;
        let mut waiting = match inner
            .identities
            .approach(&key, inner.clock.now(), can_wait, &mut flight)
        {
            Approach::Known(verdict) => return inner.judged(verdict),
            Approach::Wait(waiting) => waiting,
            Approach::Ask { meanwhile, is_answered } => {
                let Some(flight) = flight else {
                    return Standing::Refused(Refusal::Internal);
                };
                let errand = Errand::Identity {
                    key,
                    credential: question.to_credential(),
                    session: question.session.map(|(session, user)| (session.clone(), user.clone())),
                    done: flight.sender,
                };
                let is_stranger = question.session.is_none() && !is_answered;
                let sent = inner.send(errand, is_stranger);
                match (meanwhile, sent) {
                    (Some(verdict), _) => return inner.judged(verdict),
                    (None, Err(refusal)) => {
                        return match inner.judged(inner.identities.settle(&key, inner.clock.now())) {
                            Standing::Away => Standing::Refused(refusal),
                            standing => standing,
                        };
                    }
                    (None, Ok(())) => flight.receiver,
                }
            }
        };
        if inner.wait(&mut waiting).await.is_err() {
            return Standing::Refused(Refusal::Overloaded);
        }
        inner.judged(inner.identities.settle(&key, inner.clock.now()))
    }
}
