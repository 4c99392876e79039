//! The last complete observation as a document, for a gateway that starts while ClearML is away.

use std::time::Duration;

use portico_core::{
    clock::Timestamp,
    observe::{Observation, ObservedTask},
};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// The form of the document; another one is not read.
const VERSION: u32 = 1;
/// The most that one task may take of the document, in bytes: where it is kept there is room for about a megabyte.
const TASK_MAX: usize = 32 << 10;

/// An observation and when it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// When.
    pub at: Timestamp,
    /// What.
    pub observation: Observation,
}

/// As [`In`], with the tasks already written.
#[derive(Serialize)]
struct Out {
    version: u32,
    at: Timestamp,
    observation: OutObservation,
}

#[derive(Serialize)]
struct OutObservation {
    tasks: Vec<Box<RawValue>>,
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

    /// The document for an observation that was made at `at`. It holds no secrets, and of a task that says too much not everything:
    /// nobody's task may take all the room.
    pub fn document(observation: &Observation, at: Timestamp) -> Vec<u8> {
        let tasks = observation.tasks().iter().filter_map(|task| written(task)).collect();
        serde_json::to_vec(&Out {
            version: VERSION,
            at,
            observation: OutObservation { tasks },
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

/// A task in the document: if it is too long, without what stands in it as published, which is read again before anything is
/// concluded; `None` if that is not enough. Part of a value would be taken for the whole one, and be withdrawn or written over.
fn written(task: &ObservedTask) -> Option<Box<RawValue>> {
    let short = |task: &ObservedTask| to_raw_value(task).ok().filter(|it| it.get().len() <= TASK_MAX);
    short(task).or_else(|| {
        short(&ObservedTask {
            published: Vec::new(),
            ..task.clone()
        })
    })
}
