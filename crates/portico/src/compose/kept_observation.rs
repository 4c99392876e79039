//! The last complete observation as state: a gateway that starts while ClearML is away uses it instead of staying dark.

use std::{sync::Arc, time::Duration};

use portico_clearml::Saved;
use portico_core::{
    clock::Timestamp,
    live::Live,
    observe::{Observation, SourceHealth},
    state::{Document, StateStore, StoreError},
};
use tokio_util::sync::CancellationToken;

use crate::telemetry::readiness::NotYetReady;

/// The store's key of the document.
pub(super) const DOCUMENT: &str = "observation";
/// Between two writes. What changed since is asked again after a restart anyway.
const EVERY: Duration = Duration::from_secs(15);
/// What has not changed is written again when its proof is so much newer: after [`Saved::AGE_MAX`] it would be of no use.
const RENEWED: Duration = Duration::from_hours(1);

/// What an earlier run observed, if it is young enough.
pub(super) async fn restore(store: &dyn StateStore, now: Timestamp) -> Option<Saved> {
    match store.get(DOCUMENT).await {
        Ok(document) => Saved::read(&document?.body, now),
        Err(error) => {
            tracing::warn!(%error, "the last observation cannot be read; starting without");
            None
        }
    }
}

/// Writes the observation down when it changes, and now and then when it is only proven again; and once more at `drain`. From then
/// on another process writes, maybe by other settings.
pub(super) async fn keep(
    store: Arc<dyn StateStore>,
    observation: Live<Observation>,
    health: Live<SourceHealth>,
    drain: CancellationToken,
) {
    keep_every(EVERY, &*store, observation, health, drain).await;
}

async fn keep_every(
    pause: Duration,
    store: &dyn StateStore,
    mut observation: Live<Observation>,
    mut health: Live<SourceHealth>,
    drain: CancellationToken,
) {
    let mut kept: Option<(Timestamp, Arc<Observation>)> = None;
    let mut is_failing = false;
    loop {
        let is_last = tokio::select! {
            () = drain.cancelled() => true,
            changed = observation.changed() => if changed.is_some() { false } else { return },
            changed = health.changed() => if changed.is_some() { false } else { return },
        };
        // In this order: whoever sees well has published what is seen.
        let (proof, seen) = (health.get().observed, observation.get());
        let is_due = |at: Timestamp| match &kept {
            None => true,
            Some((_, kept)) if !Arc::ptr_eq(kept, &seen) => true,
            Some((before, _)) if is_last => at > *before,
            // A clock may be set back.
            Some((before, _)) => at.since(*before).max(before.since(at)) >= RENEWED,
        };
        if let Some(at) = proof.filter(|at| is_due(*at)) {
            match write(store, &seen, at).await {
                Ok(()) => {
                    is_failing = false;
                    kept = Some((at, seen));
                }
                // Soon again.
                Err(StoreError::Conflict) => {}
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!(%error, "the observation cannot be kept");
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause), if !is_last => {}
                () = drain.cancelled() => {}
            }
        }
        if is_last {
            return;
        }
    }
}

/// Leaves alone what another process has seen later.
async fn write(store: &dyn StateStore, observation: &Observation, at: Timestamp) -> Result<(), StoreError> {
    let stored = store.get(DOCUMENT).await?;
    let is_newer = |stored: &Document| Saved::read(&stored.body, at).is_some_and(|stored| stored.at > at);
    if stored.as_ref().is_some_and(is_newer) {
        return Ok(());
    }
    let version = stored.map(|stored| stored.version);
    let body = Saved::document(observation, at);
    store.put_if_version(DOCUMENT, version, body).await.map(drop)
}

/// Holds readiness back until there is an observation, restored or new.
pub(super) async fn await_first(held: NotYetReady, mut health: Live<SourceHealth>, stop: CancellationToken) {
    while health.get().observed.is_none() {
        tokio::select! {
            changed = health.changed() => if changed.is_none() { return },
            () = stop.cancelled() => return,
        }
    }
    drop(held);
    stop.cancelled().await;
}

#[cfg(test)]
mod tests;
