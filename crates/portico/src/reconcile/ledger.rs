//! The leases of public ports as state: one document of the store, written before anybody is told of a new port.

use std::{sync::Arc, time::Duration};

use portico_core::{
    clock::Timestamp,
    live::{Live, Publish, live},
    ports::Leases,
    state::{Document, StateStore, StoreError},
};
use tokio::time::{Instant, timeout};

/// The store's key of the document.
pub const DOCUMENT: &str = "leases";
/// A write into a Secret is two questions to an API server that may be busy. The routes of HTTP endpoints wait meanwhile.
const WRITE: Duration = Duration::from_secs(5);
/// After a failed write, the next one is tried so much later, then ever later.
pub(super) const SOONEST: Duration = Duration::from_millis(500);
const LATEST: Duration = Duration::from_secs(15);

/// How the recording of leases goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Since when it fails, and why; `None` while it works.
    pub failing: Option<(Timestamp, String)>,
    /// Writes that worked.
    pub writes: u64,
    /// Writes that failed.
    pub failures: u64,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The store has it.
    Recorded,
    /// Somebody else wrote in between; what they wrote was read: decide anew.
    Changed,
    /// The store does not have it, and will be asked again later.
    NotRecorded,
}

/// The document, as it was written or read last.
pub struct Ledger {
    store: Arc<dyn StateStore>,
    version: Option<u64>,
    recorded: Arc<Leases>,
    status: Publish<Recording>,
    /// When the store may be asked again, and how long it was spared before.
    spared: Option<(Instant, Duration)>,
}

impl Ledger {
    /// Reads the leases of an earlier run.
    ///
    /// # Errors
    /// The store cannot be read. A document that cannot be understood is no error: what stands in the tasks tells most of it.
    pub async fn open(store: Arc<dyn StateStore>) -> Result<(Self, Live<Recording>), StoreError> {
        let document = store.get(DOCUMENT).await?;
        let (status, recording) = live(Recording::default());
        let mut ledger = Self {
            store,
            version: None,
            recorded: Arc::default(),
            status,
            spared: None,
        };
        if let Some(document) = document {
            ledger.take(&document);
        }
        Ok((ledger, recording))
    }

    fn take(&mut self, document: &Document) {
        let version = self.version.replace(document.version);
        match serde_json::from_slice(&document.body) {
            Ok(leases) => self.recorded = Arc::new(leases),
            Err(error) if version != self.version => {
                let known = self.recorded.len();
                tracing::warn!(%error, known, "the leases of public ports cannot be understood; going on with those known");
            }
            Err(_) => {}
        }
    }

    /// What the store has.
    pub(super) fn recorded(&self) -> &Arc<Leases> {
        &self.recorded
    }

    /// How long the store is spared; `None` if it did what was asked last.
    pub(super) fn spared(&self) -> Option<Duration> {
        Some(self.spared?.0.saturating_duration_since(Instant::now()))
    }

    /// Writes the leases.
    pub(super) async fn record(&mut self, leases: &Arc<Leases>, now: Timestamp) -> Outcome {
        if self.spared().is_some_and(|wait| !wait.is_zero()) {
            return Outcome::NotRecorded;
        }
        let written = match serde_json::to_vec(&**leases) {
            Ok(body) => timeout(WRITE, self.store.put_if_version(DOCUMENT, self.version, body)).await,
            Err(error) => Ok(Err(StoreError::Failed(error.to_string()))),
        };
        match written {
            Ok(Ok(version)) => {
                (self.version, self.recorded) = (Some(version), leases.clone());
                self.works(1);
                Outcome::Recorded
            }
            Ok(Err(StoreError::Conflict)) => self.read_again(now).await,
            Ok(Err(StoreError::Failed(detail))) => self.fails(now, detail),
            // It may have been written nevertheless: then the next write is a conflict, and is read.
            Err(_) => self.fails(now, format!("no answer within {WRITE:?}")),
        }
    }

    /// The leases are as they should be, as far as is known. After a failure it is looked at what the store has: what was given up
    /// may have been written late.
    pub(super) async fn settle(&mut self, now: Timestamp) -> Outcome {
        match self.spared() {
            None => Outcome::Recorded,
            Some(wait) if !wait.is_zero() => Outcome::NotRecorded,
            Some(_) => self.read_again(now).await,
        }
    }

    /// Reads what others decide. The leases stay as they were read last while the store fails.
    pub(super) async fn follow(&mut self, now: Timestamp) {
        if self.spared().is_none_or(|wait| wait.is_zero()) {
            self.read_again(now).await;
        }
    }

    async fn read_again(&mut self, now: Timestamp) -> Outcome {
        let document = match timeout(WRITE, self.store.get(DOCUMENT)).await {
            Ok(Ok(document)) => document,
            Ok(Err(error)) => return self.fails(now, error.to_string()),
            Err(_) => return self.fails(now, format!("no answer within {WRITE:?}")),
        };
        if let Some(document) = document {
            self.take(&document);
        } else {
            (self.version, self.recorded) = (None, Arc::default());
        }
        self.works(0);
        Outcome::Changed
    }

    fn works(&mut self, writes: u64) {
        self.spared = None;
        let before = self.status.get();
        if before.failing.is_some() {
            tracing::info!("the store of the leases of public ports answers again");
        }
        self.status.publish(Recording {
            failing: None,
            writes: before.writes + writes,
            failures: before.failures,
        });
    }

    /// Said once, however often it is tried again.
    fn fails(&mut self, now: Timestamp, detail: String) -> Outcome {
        let before = self.status.get();
        if before.failing.is_none() {
            tracing::warn!(
                detail,
                "the leases of public ports cannot be recorded: TCP endpoints keep the ports that they have, new ones get none"
            );
        }
        let since = before.failing.as_ref().map_or(now, |(since, _)| *since);
        self.status.publish(Recording {
            failing: Some((since, detail)),
            writes: before.writes,
            failures: before.failures + 1,
        });
        let wait = self.spared.map_or(SOONEST, |(_, wait)| (wait * 2).min(LATEST));
        self.spared = Some((Instant::now() + wait, wait));
        Outcome::NotRecorded
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Ledger")
            .field("version", &self.version)
            .field("leases", &self.recorded.len())
            .finish_non_exhaustive()
    }
}
