//! Sessions that were opened before. To open a sealed text takes deciphering, parsing and hashing; a browser sends the
//! same text with each request.
//!
//! Only that is remembered which does not change: what the text says. Whether the session is over, revoked or still
//! liked by ClearML is judged at each use. What was opened with other keys than those of now counts for nothing.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use portico_core::{
    clock::Timestamp,
    principal::{Method, User},
    secret::Secret,
};

use super::as_told;
use crate::{
    check::Verified,
    digest::Digest,
    keys::SessionKeys,
    session::{Session, Unsealed},
};

/// Threads that look up different texts rarely meet, and a look-up reads few entries.
const SETS: usize = 1024;
/// The least recently used of a set makes room: about 8,000 sessions are remembered, 3 KiB each.
const WAYS: usize = 8;
/// The end of a sealed text is its cipher's tag, which differs wherever anything differs.
const TAIL: usize = 32;

/// A session that was opened, and what is made of it for each request.
pub(super) struct Known {
    sealed: Secret,
    pub(super) session: Arc<Session>,
    /// The id of the key that sealed it.
    pub(super) key: String,
    /// Of its ClearML token.
    pub(super) token: Digest,
    sealed_user: Arc<User>,
    told_user: Mutex<Arc<User>>,
}

impl Known {
    pub(super) fn new(sealed: &str, unsealed: Unsealed, token: Digest) -> Self {
        let user = Arc::new(sealed_user(&unsealed.session));
        Self {
            sealed: Secret::new(sealed),
            session: Arc::new(unsealed.session),
            key: unsealed.key,
            token,
            told_user: Mutex::new(user.clone()),
            sealed_user: user,
        }
    }

    /// The user, as ClearML told at log-in. Only an answer of now makes an administrator.
    pub(super) fn sealed_user(&self) -> Arc<User> {
        self.sealed_user.clone()
    }

    /// The user, as ClearML tells now.
    pub(super) fn told_user(&self, verified: &Verified) -> Arc<User> {
        let mut user = self.told_user.lock().unwrap_or_else(PoisonError::into_inner);
        *user = as_told(&user, verified);
        user.clone()
    }
}

pub(super) fn sealed_user(session: &Session) -> User {
    User {
        id: session.user.clone(),
        company: session.company.clone(),
        name: session.name.clone(),
        is_administrator: false,
        method: Method::Session,
        session: Some(session.id.clone()),
        expires: Some(session.absolute_end),
        token: session.token.clone(),
    }
}

/// Bounded memory of opened sessions, under their sealed texts.
pub(super) struct Memory {
    sets: Box<[Mutex<Set>]>,
    hasher: RandomState,
}

#[derive(Default)]
struct Set {
    /// What the entries were opened with.
    keys: Option<Arc<SessionKeys>>,
    /// The most recently used in front, each under the hash of its text's tail.
    entries: Vec<(u64, Arc<Known>)>,
}

impl Set {
    fn is_of(&self, keys: &Arc<SessionKeys>) -> bool {
        self.keys.as_ref().is_some_and(|known| Arc::ptr_eq(known, keys))
    }

    fn position(&self, hash: u64, sealed: &str) -> Option<usize> {
        self.entries
            .iter()
            .position(|(known, entry)| *known == hash && entry.sealed.reveal() == sealed)
    }
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            sets: (0..SETS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The hash is keyed, so that nobody can aim at a set; the whole text is compared besides.
    fn hash(&self, sealed: &str) -> u64 {
        let sealed = sealed.as_bytes();
        self.hasher
            .hash_one(sealed.get(sealed.len().saturating_sub(TAIL)..).unwrap_or(sealed))
    }

    fn set(&self, hash: u64) -> MutexGuard<'_, Set> {
        let at = usize::try_from(hash % SETS as u64).unwrap_or(0);
        self.sets[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was opened with these keys from this text.
    pub(super) fn find(&self, keys: &Arc<SessionKeys>, sealed: &str) -> Option<Arc<Known>> {
        let hash = self.hash(sealed);
        let mut set = self.set(hash);
        if !set.is_of(keys) {
            drop(set);
            self.begin_anew(keys);
            return None;
        }
        let at = set.position(hash, sealed)?;
        set.entries.get_mut(..=at)?.rotate_right(1);
        set.entries.first().map(|(_, known)| known.clone())
    }

    /// Takes what was opened with these keys, unless they are no longer those of now.
    pub(super) fn keep(&self, keys: &Arc<SessionKeys>, known: Arc<Known>) {
        let hash = self.hash(known.sealed.reveal());
        let mut set = self.set(hash);
        if set.is_of(keys) && set.position(hash, known.sealed.reveal()).is_none() {
            set.entries.truncate(WAYS - 1);
            set.entries.insert(0, (hash, known));
        }
    }

    /// Forgets one text: its session has ended.
    pub(super) fn forget(&self, known: &Known) {
        let hash = self.hash(known.sealed.reveal());
        self.set(hash).entries.retain(|(_, entry)| entry.sealed != known.sealed);
    }

    /// Forgets everything that was not opened with these keys.
    pub(super) fn begin_anew(&self, keys: &Arc<SessionKeys>) {
        for set in &self.sets {
            let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
            if !set.is_of(keys) {
                *set = Set {
                    keys: Some(keys.clone()),
                    entries: Vec::new(),
                };
            }
        }
    }

    /// Forgets the sessions that have ended.
    pub(super) fn forget_ended(&self, now: Timestamp, is_revoked: impl Fn(&Session) -> bool) {
        for set in &self.sets {
            set.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entries
                .retain(|(_, known)| !known.session.is_over(now) && !is_revoked(&known.session));
        }
    }

    /// How many sessions are remembered.
    pub(super) fn len(&self) -> usize {
        let len = |set: &Mutex<Set>| set.lock().unwrap_or_else(PoisonError::into_inner).entries.len();
        self.sets.iter().map(len).sum()
    }
}

#[cfg(test)]
mod tests;
