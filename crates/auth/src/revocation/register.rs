//! The revocations of all replicas: kept in the state store, followed by everybody.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use portico_core::{
    clock::Clock,
    live::{Live, Nudge, Publish, live},
    principal::{SessionId, UserId},
    state::{StateStore, StoreError},
};
use tokio_util::sync::CancellationToken;

use super::{DOCUMENT, Revocations};

/// After a failure the store is read again so soon: another replica's revocation counts within 5 s.
const AGAIN: Duration = Duration::from_secs(2);
/// A store that works tells of changes. It is read once in this time nevertheless.
const LOOK: Duration = Duration::from_mins(5);
/// How often one tries again at once when another replica wrote in between.
const ATTEMPTS: usize = 5;

/// Revokes, and tells everybody. Here it counts at once, whether the store works or not; what could not be stored is
/// stored as soon as possible.
#[derive(Clone)]
pub struct Register(Arc<Inner>);

struct Inner {
    store: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    known: Mutex<Publish<Revocations>>,
    nudge: Nudge,
}

impl Register {
    /// A register that knows nothing yet: [`Register::sync`] reads the store.
    pub fn new(store: Arc<dyn StateStore>, clock: Arc<dyn Clock>) -> Self {
        let (publish, _) = live(Revocations::default());
        Self(Arc::new(Inner {
            store,
            clock,
            known: Mutex::new(publish),
            nudge: Nudge::default(),
        }))
    }

    /// What is revoked, as far as this replica knows.
    pub fn follow(&self) -> Live<Revocations> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).follow()
    }

    /// Ends one session of this user. An error means that the other replicas learn of it later.
    pub async fn revoke_session(&self, session: SessionId, user: &UserId) -> Result<(), StoreError> {
        let mut change = Revocations::default();
        change.add_session(session, user, self.0.clock.now());
        self.revoke(&change).await
    }

    /// Ends all sessions that a user has now. An error means that the other replicas learn of it later.
    pub async fn revoke_user(&self, user: UserId) -> Result<(), StoreError> {
        let mut change = Revocations::default();
        change.add_user(&user, self.0.clock.now());
        self.revoke(&change).await
    }

    async fn revoke(&self, change: &Revocations) -> Result<(), StoreError> {
        self.learn(change);
        let stored = self.sync().await;
        if stored.is_err() {
            self.0.nudge.nudge();
        }
        stored
    }

    /// Merges into what is known; publishes if that changes anything. Returns what is known now.
    fn learn(&self, news: &Revocations) -> Arc<Revocations> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.get();
        let after = (*before).clone().merged(news).pruned(self.0.clock.now());
        if after != *before {
            known.publish(after);
        }
        known.get()
    }

    /// Makes store and memory equal. Idempotent.
    pub async fn sync(&self) -> Result<(), StoreError> {
        self.synced().await.map(drop)
    }

    /// The version of what is stored then.
    async fn synced(&self) -> Result<Option<u64>, StoreError> {
        for _ in 0..ATTEMPTS {
            let document = self.0.store.get(DOCUMENT).await?;
            let version = document.as_ref().map(|document| document.version);
            // Revocations are not thrown away because one cannot read them.
            let stored: Revocations = match document {
                None => Revocations::default(),
                Some(document) => serde_json::from_slice(&document.body)
                    .map_err(|_| StoreError::Failed("the stored revocations cannot be read".into()))?,
            };
            let known = self.learn(&stored);
            if *known == stored {
                return Ok(version);
            }
            let body = serde_json::to_vec(&*known).map_err(|error| StoreError::Failed(error.to_string()))?;
            match self.0.store.put_if_version(DOCUMENT, version, body).await {
                Ok(version) => return Ok(Some(version)),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Keeps store and memory equal until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut is_failing = false;
        loop {
            let synced = self.synced().await;
            match &synced {
                Ok(_) => is_failing = false,
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!(%error, "revocations are not shared with other replicas");
                    }
                }
            }
            let seen = synced.unwrap_or_default();
            let look = if is_failing { AGAIN } else { LOOK };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.0.nudge.nudged(), if !is_failing => {}
                changed = self.0.store.changed(DOCUMENT, seen), if !is_failing => if changed.is_err() {
                    tokio::select! {
                        () = tokio::time::sleep(AGAIN) => {}
                        () = shutdown.cancelled() => return,
                    }
                },
                () = tokio::time::sleep(look) => {}
            }
        }
    }
}
