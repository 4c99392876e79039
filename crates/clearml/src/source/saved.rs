//! The last complete observation as a document, for a gateway that starts while ClearML is away.

use std::time::Duration;

use portico_core::{clock::Timestamp, observe::Observation};
use serde::{Deserialize, Serialize};

/// The form of the document; another one is not read.
const VERSION: u32 = 1;

/// An observation and when it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// When.
    pub at: Timestamp,
    /// What.
    pub observation: Observation,
}

#[derive(Serialize)]
struct Out<'a> {
    version: u32,
    at: Timestamp,
    observation: &'a Observation,
}

#[derive(Deserialize)]
struct In {
    version: u32,
    at: Timestamp,
    observation: Observation,
}

impl Saved {
    /// The oldest that is used again: what a task said a day ago tells little of today.
    pub const AGE_MAX: Duration = Duration::from_hours(24);

    /// The document for an observation that was made at `at`. It holds no secrets.
    pub fn document(observation: &Observation, at: Timestamp) -> Vec<u8> {
        serde_json::to_vec(&Out {
            version: VERSION,
            at,
            observation,
        })
        .unwrap_or_default()
    }

    /// Reads a document. `None` if it is damaged, of another form, from the future, or older than [`Self::AGE_MAX`].
    pub fn read(document: &[u8], now: Timestamp) -> Option<Self> {
        let read: In = serde_json::from_slice(document).ok()?;
        // A clock that was set back by a little is no reason to stay dark.
        let is_future = read.at.since(now) > Duration::from_hours(1);
        let is_usable = read.version == VERSION && !is_future && now.since(read.at) <= Self::AGE_MAX;
        is_usable.then_some(Self {
            at: read.at,
            observation: read.observation,
        })
    }
}
