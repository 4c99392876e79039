//! Answers of ClearML, read by all data threads: many small locks, each held for one look-up.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use portico_core::clock::Timestamp;
use tokio::sync::watch;

use super::held::{Answer, Freshness, Held, Verdict};

const SHARDS: usize = 64;

/// Bounded memory of answers.
pub(super) struct Cache<K, A> {
    shards: Box<[Mutex<Shard<K, A>>]>,
    hasher: RandomState,
    room: usize,
    freshness: Freshness,
}

type Shard<K, A> = HashMap<K, Entry<A>>;

struct Entry<A> {
    held: Held<A>,
    /// Ends when the question that is under way is answered, or given up.
    flight: Option<watch::Receiver<()>>,
}

impl<A> Entry<A> {
    fn flight(&self) -> Option<&watch::Receiver<()>> {
        self.flight.as_ref().filter(|flight| flight.has_changed().is_ok())
    }
}

/// A question under way: it is over when the sender is dropped.
pub(super) struct Flight {
    pub(super) sender: watch::Sender<()>,
    pub(super) receiver: watch::Receiver<()>,
}

/// What to do about one key.
pub(super) enum Approach<A> {
    /// Go by this.
    Known(Verdict<A>),
    /// Somebody asks already: wait.
    Wait(watch::Receiver<()>),
    /// Ask: the flight is ours.
    Ask {
        /// Meanwhile go by this; `None`: wait.
        meanwhile: Option<Verdict<A>>,
        /// True if ClearML ever answered this.
        is_answered: bool,
    },
}

impl<K: Hash + Eq + Clone, A: Answer> Cache<K, A> {
    /// Room for about `entries` answers.
    pub(super) fn new(entries: usize, freshness: Freshness) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(HashMap::new())).collect(),
            hasher: RandomState::new(),
            room: entries.div_ceil(SHARDS).max(1),
            freshness,
        }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, A>> {
        let at = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks a key up. If somebody has to ask, it is the caller, who then owns `flight` (made if there is none yet).
    pub(super) fn approach(&self, key: &K, now: Timestamp, can_wait: bool, flight: &mut Option<Flight>) -> Approach<A> {
        let mut shard = self.shard(key);
        if let Some(entry) = shard.get_mut(key) {
            let look = entry.held.look(now, &self.freshness, can_wait);
            return match (look.verdict, look.is_due, entry.flight()) {
                (Some(verdict), false, _) | (Some(verdict), true, Some(_)) => Approach::Known(verdict),
                (None, _, Some(flight)) => Approach::Wait(flight.clone()),
                (meanwhile, _, None) => {
                    entry.flight = Some(start(flight));
                    Approach::Ask {
                        meanwhile,
                        is_answered: entry.held.is_answered(),
                    }
                }
            };
        }
        self.make_room(&mut shard, now);
        let entry = Entry {
            held: Held::default(),
            flight: Some(start(flight)),
        };
        shard.insert(key.clone(), entry);
        Approach::Ask {
            meanwhile: None,
            is_answered: false,
        }
    }

    /// What one goes by after having waited.
    pub(super) fn settle(&self, key: &K, now: Timestamp) -> Verdict<A> {
        self.shard(key)
            .get(key)
            .map_or(Verdict::Unavailable, |entry| entry.held.settle(now, &self.freshness))
    }

    /// Takes an answer, or the failure to get one.
    pub(super) fn record(&self, key: &K, now: Timestamp, answer: Option<A>) {
        let mut shard = self.shard(key);
        if let Some(entry) = shard.get_mut(key) {
            entry.held.record(now, answer);
            entry.flight = None;
            return;
        }
        self.make_room(&mut shard, now);
        let mut held = Held::default();
        held.record(now, answer);
        shard.insert(key.clone(), Entry { held, flight: None });
    }

    /// The least valuable goes: what is worth nothing any more, else the oldest that lets nobody in, else the oldest.
    fn make_room(&self, shard: &mut Shard<K, A>, now: Timestamp) {
        if shard.len() < self.room {
            return;
        }
        shard.retain(|_, entry| {
            entry.flight().is_some()
                || entry.held.look(now, &self.freshness, true).verdict.is_some()
                || !matches!(entry.held.settle(now, &self.freshness), Verdict::Unavailable)
        });
        if shard.len() < self.room {
            return;
        }
        let victim = shard
            .iter()
            .min_by_key(|(_, entry)| (entry.held.is_yes(), entry.flight().is_some(), entry.held.last()))
            .map(|(key, _)| key.clone());
        if let Some(victim) = victim {
            shard.remove(&victim);
        }
    }

    /// How many answers are remembered.
    pub(super) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }
}

fn start(flight: &mut Option<Flight>) -> watch::Receiver<()> {
    let flight = flight.get_or_insert_with(|| {
        let (sender, receiver) = watch::channel(());
        Flight { sender, receiver }
    });
    flight.receiver.clone()
}

#[cfg(test)]
mod tests;
