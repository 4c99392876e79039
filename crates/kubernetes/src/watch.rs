//! One kind of object of a namespace, followed: complete lists only, whatever happens to the connection.
//!
//! Each watch is asked to end after [`WINDOW`]. The server says shortly before that everything was told (a bookmark), and a
//! watch that does not end is a dead connection: either way it is known every few seconds whether the list still holds.

mod wire;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::api::{ApiError, Kube};
pub(crate) use wire::Metadata;
use wire::{Page, Told};

/// How long one watch goes on. The server proves itself once in each.
const WINDOW: Duration = Duration::from_secs(10);
/// How much longer than that a watch may take to end.
const OVERDUE: Duration = Duration::from_secs(5);
/// Objects on one page of a list: a page is held in memory as a whole.
const PAGE: usize = 100;
/// Pages of one list at most, and objects: a server that goes on for ever must not fill the memory.
const PAGES: usize = 1000;
const OBJECTS: usize = 100_000;
/// A watch that ends sooner than it should is not begun again before this time is over.
const SHORTEST: Duration = Duration::from_secs(1);
/// Pauses after failures: doubled each time, up to the last.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(10)];

/// What is followed.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `/api/v1/namespaces/x/pods`.
    pub(crate) path: String,
    /// `labelSelector=CLEARML`.
    pub(crate) selector: String,
}

/// An object in a form that holds only what is needed.
pub(crate) trait Object: DeserializeOwned {
    /// Its name and version.
    fn metadata(&self) -> Metadata;
}

/// What a follower is told.
pub(crate) enum Step<'a, T> {
    /// The complete list, which has changed.
    Complete(&'a BTreeMap<String, T>),
    /// The list that was told last holds still.
    Proof,
    /// The server cannot be asked; what was told last is what is known.
    Failed(&'a ApiError),
}

/// Follows a place until `shutdown`. `convert` makes of an object what is of interest, or nothing.
pub(crate) async fn follow<M: Object, T: PartialEq>(
    kube: &Kube,
    place: &Place,
    convert: impl Fn(M) -> Option<T>,
    mut tell: impl FnMut(Step<'_, T>),
    shutdown: CancellationToken,
) {
    let mut follower = Follower {
        kube,
        place,
        convert,
        known: BTreeMap::new(),
        version: None,
    };
    let mut pause = PAUSES[0];
    let mut was_expired = false;
    loop {
        let (begun, is_watch) = (tokio::time::Instant::now(), follower.version.is_some());
        let outcome = tokio::select! {
            outcome = follower.step(&mut tell) => outcome,
            () = shutdown.cancelled() => return,
        };
        let wait = match outcome {
            Ok(()) if is_watch => {
                (pause, was_expired) = (PAUSES[0], false);
                SHORTEST.saturating_sub(begun.elapsed())
            }
            Ok(()) => continue,
            // Too old a version: the next step lists anew. Once at once; a server that has no version to go on with is left in peace.
            Err(error) if error.code() == Some(410) => {
                follower.version = None;
                if !std::mem::replace(&mut was_expired, true) {
                    continue;
                }
                longer(&mut pause)
            }
            Err(error) => {
                if matches!(error, ApiError::BadAnswer(_)) {
                    // A change may have been lost with what could not be read.
                    follower.version = None;
                }
                tell(Step::Failed(&error));
                longer(&mut pause)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// This pause, and a longer one the next time.
fn longer(pause: &mut Duration) -> Duration {
    std::mem::replace(pause, (*pause * 2).min(PAUSES[1]))
}

struct Follower<'f, C, T> {
    kube: &'f Kube,
    place: &'f Place,
    convert: C,
    known: BTreeMap<String, T>,
    /// Everything up to this version is known; `None`: a list is needed.
    version: Option<String>,
}

impl<C, T: PartialEq> Follower<'_, C, T> {
    async fn step<M: Object>(&mut self, tell: &mut impl FnMut(Step<'_, T>)) -> Result<(), ApiError>
    where
        C: Fn(M) -> Option<T>,
    {
        if let Some(version) = self.version.clone() {
            return self.watch(version, tell).await;
        }
        self.list().await?;
        tell(Step::Complete(&self.known));
        tell(Step::Proof);
        Ok(())
    }

    async fn list<M: Object>(&mut self) -> Result<(), ApiError>
    where
        C: Fn(M) -> Option<T>,
    {
        let mut known = BTreeMap::new();
        let mut after = String::new();
        for _ in 0..PAGES {
            let Place { path, selector } = self.place;
            let page: Page<M> = self.kube.get(&format!("{path}?{selector}&limit={PAGE}{after}")).await?;
            for object in page.items {
                let name = object.metadata().name;
                known.extend((self.convert)(object).map(|value| (name, value)));
            }
            if page.metadata.continues.is_empty() {
                (self.known, self.version) = (known, Some(page.metadata.resource_version));
                return Ok(());
            }
            after = format!("&continue={}", page.metadata.continues);
            bounded(&known)?;
        }
        Err(ApiError::BadAnswer("a list without an end".to_owned()))
    }

    async fn watch<M: Object>(&mut self, version: String, tell: &mut impl FnMut(Step<'_, T>)) -> Result<(), ApiError>
    where
        C: Fn(M) -> Option<T>,
    {
        let Place { path, selector } = self.place;
        let window = WINDOW.as_secs();
        let path = format!(
            "{path}?watch=1&{selector}&allowWatchBookmarks=true&timeoutSeconds={window}&resourceVersion={version}"
        );
        let overdue = tokio::time::Instant::now() + WINDOW + OVERDUE;
        let mut lines = self.kube.lines(&path).await?;
        loop {
            let next = tokio::time::timeout_at(overdue, lines.next()).await;
            let Some(lines) = next.map_err(|_| ApiError::Timeout)?? else {
                tell(Step::Proof);
                return Ok(());
            };
            self.batch(&lines, tell)?;
        }
    }

    /// Lines that came together. What those before an error have changed is told first: the next watch begins behind them.
    fn batch<M: Object>(&mut self, lines: &VecDeque<Bytes>, tell: &mut impl FnMut(Step<'_, T>)) -> Result<(), ApiError>
    where
        C: Fn(M) -> Option<T>,
    {
        let (mut has_changed, mut is_proven) = (false, false);
        let outcome = lines.iter().try_for_each(|line| {
            match wire::read::<M>(line)? {
                Told::There(object) => {
                    let Metadata { name, resource_version } = object.metadata();
                    has_changed |= self.put(name, object);
                    self.version = Some(resource_version);
                }
                Told::Gone(metadata) => {
                    has_changed |= self.known.remove(&metadata.name).is_some();
                    self.version = Some(metadata.resource_version);
                }
                Told::Bookmark(metadata) => {
                    self.version = Some(metadata.resource_version);
                    is_proven = true;
                }
                Told::Other => {}
            }
            bounded(&self.known)
        });
        if has_changed {
            tell(Step::Complete(&self.known));
        }
        if is_proven && outcome.is_ok() {
            tell(Step::Proof);
        }
        outcome
    }

    /// True if that changed anything.
    fn put<M: Object>(&mut self, name: String, object: M) -> bool
    where
        C: Fn(M) -> Option<T>,
    {
        match (self.convert)(object) {
            None => self.known.remove(&name).is_some(),
            Some(value) if self.known.get(&name) == Some(&value) => false,
            Some(value) => {
                self.known.insert(name, value);
                true
            }
        }
    }
}

fn bounded<T>(known: &BTreeMap<String, T>) -> Result<(), ApiError> {
    if known.len() > OBJECTS {
        return Err(ApiError::BadAnswer(format!("more than {OBJECTS} objects")));
    }
    Ok(())
}

#[cfg(test)]
mod batches;
#[cfg(test)]
mod tests;
