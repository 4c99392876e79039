//! The last complete observation as state: a gateway that starts while ClearML is away uses it instead of staying dark.

use std::{sync::Arc, time::Duration};

use portico_clearml::Saved;
use portico_core::{
    clock::Timestamp,
    live::Live,
    observe::{Observation, SourceHealth},
    state::StateStore,
};
use tokio_util::sync::CancellationToken;

use crate::telemetry::readiness::NotYetReady;

/// The store's key of the document.
pub(super) const DOCUMENT: &str = "observation";
/// Between two writes. What changed since is asked again after a restart anyway.
const EVERY: Duration = Duration::from_secs(15);

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

/// Writes the observation down while it changes, and once more at the end.
pub(super) async fn keep(
    store: Arc<dyn StateStore>,
    mut observation: Live<Observation>,
    health: Live<SourceHealth>,
    stop: CancellationToken,
) {
    loop {
        let seen = tokio::select! {
            seen = observation.changed() => seen,
            () = stop.cancelled() => return,
        };
        let Some(seen) = seen else { return };
        if let Some(at) = health.get().observed {
            write(&*store, &seen, at).await;
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => {
                if let Some(at) = health.get().observed {
                    write(&*store, &observation.get(), at).await;
                }
                return;
            }
        }
    }
}

async fn write(store: &dyn StateStore, observation: &Observation, at: Timestamp) {
    let version = match store.get(DOCUMENT).await {
        Ok(document) => document.map(|document| document.version),
        Err(error) => return tracing::warn!(%error, "the observation cannot be kept"),
    };
    if let Err(error) = store
        .put_if_version(DOCUMENT, version, Saved::document(observation, at))
        .await
    {
        tracing::warn!(%error, "the observation cannot be kept");
    }
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
