//! The keys in the state store: made once, shared by all replicas.

use std::time::Duration;

use portico_core::{
    clock::Clock,
    live::Publish,
    state::{StateStore, StoreError},
};
use tokio_util::sync::CancellationToken;

use super::{DOCUMENT, KeysError, SessionKeys};

/// How often one tries again when another replica wrote in between.
const ATTEMPTS: usize = 8;
/// Pause after a failure of the store.
const PAUSE: Duration = Duration::from_secs(2);

/// The stored keys; the first start makes them.
pub async fn load_or_create(store: &dyn StateStore, clock: &dyn Clock) -> Result<SessionKeys, KeysError> {
    for _ in 0..ATTEMPTS {
        if let Some(document) = store.get(DOCUMENT).await? {
            return SessionKeys::from_document(&document.body);
        }
        let keys = SessionKeys::generate(clock.now());
        match store.put_if_version(DOCUMENT, None, keys.to_document()).await {
            Ok(_) => return Ok(keys),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict.into())
}

/// Puts a new key in front. Sessions stay valid: the old keys still open.
pub async fn rotate(store: &dyn StateStore, clock: &dyn Clock) -> Result<SessionKeys, KeysError> {
    for _ in 0..ATTEMPTS {
        let Some(document) = store.get(DOCUMENT).await? else {
            return load_or_create(store, clock).await;
        };
        let keys = SessionKeys::from_document(&document.body)?.rotated(clock.now());
        match store
            .put_if_version(DOCUMENT, Some(document.version), keys.to_document())
            .await
        {
            Ok(_) => return Ok(keys),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict.into())
}

/// Publishes what any replica stores, until `shutdown`. A document that cannot be read changes nothing.
pub async fn follow(store: &dyn StateStore, publish: &Publish<SessionKeys>, shutdown: CancellationToken) {
    let mut seen = None;
    loop {
        let changed = tokio::select! {
            () = shutdown.cancelled() => return,
            changed = store.changed(DOCUMENT, seen) => changed,
        };
        let keys = changed.map_err(KeysError::from).and_then(|document| {
            seen = Some(document.version);
            SessionKeys::from_document(&document.body)
        });
        match keys {
            Ok(keys) => publish.publish(keys),
            Err(error) => {
                tracing::warn!(%error, "session keys are not followed");
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    }
}
