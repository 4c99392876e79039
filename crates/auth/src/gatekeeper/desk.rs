//! Where the questions of all data threads are asked: on the control runtime, a bounded number at once.

use std::{sync::Arc, time::Duration};

use portico_core::{
    audit::{AuditEvent, AuditKind, AuditLog},
    endpoint::TaskId,
    principal::{Method, SessionId, User, UserId},
};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Inner,
    errand::Errand,
    sight::{Seen, SightKey},
    standing::Opinion,
};
use crate::{
    check::{CheckError, ClearmlCredential, CredentialCheck, Visibility},
    digest::Digest,
    revocation::Register,
};

/// Sessions that ended by themselves are forgotten this often.
const TIDY: Duration = Duration::from_mins(1);

impl Inner {
    /// Forgets sessions that have ended: at once after a revocation or a change of keys, else by and by. Nobody gets in
    /// by what is not forgotten yet, but it need not lie in memory.
    async fn tidy(&self, shutdown: &CancellationToken) {
        let mut keys = self.sessions.keys().clone();
        let mut revocations = self.revocations.clone();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(keys) = keys.changed() => {
                    self.memory.begin_anew(&keys);
                    self.addresses.clear();
                }
                Some(_) = revocations.changed() => {}
                () = tokio::time::sleep(TIDY) => {}
            }
            let revoked = self.revocations.get();
            let now = self.clock.now();
            self.memory
                .forget_ended(now, |session| revoked.is_revoked(&session.id, &session.user));
            self.addresses
                .forget_ended(now, |session, user| revoked.is_revoked(session, user));
        }
    }
}

/// Asks what the gatekeeper does not know.
pub struct Desk {
    pub(super) asker: Arc<Asker>,
    pub(super) strangers: mpsc::Receiver<Errand>,
    pub(super) known: mpsc::Receiver<Errand>,
}

impl Desk {
    /// Works until `shutdown`, on the control runtime. Stop it last: exchanges that are being drained still ask.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            asker,
            strangers,
            known,
        } = self;
        tokio::join!(
            asker.clone().lane(strangers, shutdown.clone()),
            asker.clone().lane(known, shutdown.clone()),
            asker.inner.tidy(&shutdown),
        );
    }
}

pub(super) struct Asker {
    pub(super) inner: Arc<Inner>,
    pub(super) check: Arc<dyn CredentialCheck>,
    pub(super) visibility: Arc<dyn Visibility>,
    pub(super) register: Register,
    pub(super) audit: AuditLog,
}

impl Asker {
    async fn lane(self: Arc<Self>, mut errands: mpsc::Receiver<Errand>, shutdown: CancellationToken) {
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(ended) = running.join_next(), if !running.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a question to clearml broke off");
                    }
                }
                errand = errands.recv(), if running.len() < self.inner.settings.concurrency.max(1) => match errand {
                    Some(errand) => {
                        running.spawn(self.clone().go(errand));
                    }
                    None => return,
                },
            }
        }
    }

    async fn go(self: Arc<Self>, errand: Errand) {
        match errand {
            Errand::Identity {
                key,
                credential,
                session,
                done,
            } => {
                self.identity(key, &credential, session).await;
                drop(done);
            }
            Errand::Sight { user, tasks, done } => {
                self.sight(&user, &tasks).await;
                drop(done);
            }
            Errand::End { session, user } => self.end(session, user, "clearml's cookie names another user").await,
        }
    }

    fn patience(&self) -> Duration {
        self.inner.settings.patience
    }

    async fn identity(&self, key: Digest, credential: &ClearmlCredential, session: Option<(SessionId, UserId)>) {
        let answer = timeout(self.patience(), self.check.check(credential, None)).await;
        let mut opinion = match answer {
            Ok(Ok(verified)) => Opinion::good(verified),
            Ok(Err(CheckError::Rejected)) => Opinion::Bad,
            Ok(Err(CheckError::Unavailable(why))) => {
                tracing::debug!(%why, "clearml was not asked about a credential");
                return self.inner.identities.record(&key, self.inner.clock.now(), None);
            }
            Err(_) => return self.inner.identities.record(&key, self.inner.clock.now(), None),
        };
        let now = self.inner.clock.now();
        if let Opinion::Good(verified) = &opinion {
            if session.as_ref().is_some_and(|(_, user)| *user != verified.user) {
                opinion = Opinion::Bad;
            } else if !matches!(credential, ClearmlCredential::Token(_)) {
                // Open exchanges are asked about by the token that was minted for them.
                let token = self.inner.token_digest(verified.token.reveal());
                self.inner.identities.record(&token, now, Some(opinion.clone()));
            }
        }
        let is_bad = opinion == Opinion::Bad;
        self.inner.identities.record(&key, now, Some(opinion));
        if let Some((session, user)) = session
            && is_bad
        {
            self.end(session, user, "clearml no longer accepts it").await;
        }
    }

    async fn sight(&self, user: &User, tasks: &[TaskId]) {
        let answer = timeout(self.patience(), self.visibility.visible(user, tasks)).await;
        let now = self.inner.clock.now();
        let seen = match answer {
            Ok(Ok(seen)) => Some(seen),
            Ok(Err(why)) => {
                tracing::debug!(%why, "clearml was not asked what a user sees");
                None
            }
            Err(_) => None,
        };
        for task in tasks {
            let seen = seen.as_ref().map(|seen| Seen(seen.contains(task)));
            self.inner.sights.record(&SightKey::new(user, *task), now, seen);
        }
    }

    async fn end(&self, session: SessionId, user: UserId, why: &str) {
        if self.inner.revocations.get().is_revoked(&session, &user) {
            return;
        }
        let mut event = AuditEvent::new(self.inner.clock.now(), AuditKind::SessionRevoked);
        event.actor = Some(user.clone());
        event.method = Some(Method::Session);
        event.session = Some(session.clone());
        event.detail = Some(why.to_owned());
        self.audit.record(event);
        if let Err(error) = self.register.revoke_session(session, &user).await {
            tracing::warn!(%error, "a revocation is not stored yet");
        }
    }
}
