//! The keys that seal sessions and hand-over codes: several at once, so that they can be changed without logging
//! anybody out.

mod document;
mod follow;

use std::{sync::Arc, time::Duration};

use aws_lc_rs::aead::{AES_256_GCM, RandomizedNonceKey};
use portico_core::{clock::Timestamp, endpoint::hex};

use crate::random;

pub use document::KeysError;
pub use follow::{follow, load_or_create, rotate};

/// The store's key of the document that holds the keys.
pub const DOCUMENT: &str = "session-keys";

/// A new key seals only after this time, when every replica has had the chance to see it.
const SETTLING: Duration = Duration::from_secs(30);
/// A key that no longer seals still opens for this long: the longest life of a session, and a day.
const RETIREMENT: Duration = Duration::from_hours(8 * 24);

/// The keys of one gateway, newest first. Never empty.
#[derive(Clone, Debug)]
pub struct SessionKeys {
    keys: Vec<Arc<Key>>,
}

pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) created: Timestamp,
    pub(crate) aead: RandomizedNonceKey,
    secret: [u8; 32],
}

impl std::fmt::Debug for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Key({})", self.id)
    }
}

impl Key {
    fn new(id: String, created: Timestamp, secret: [u8; 32]) -> Option<Self> {
        Some(Self {
            aead: RandomizedNonceKey::new(&AES_256_GCM, &secret).ok()?,
            id,
            created,
            secret,
        })
    }

    fn generate(created: Timestamp) -> Self {
        let id = hex(&random::bytes::<4>());
        Self::new(id, created, random::bytes()).expect("32 bytes are a key of AES-256")
    }
}

impl SessionKeys {
    /// One fresh key.
    pub fn generate(now: Timestamp) -> Self {
        Self {
            keys: vec![Arc::new(Key::generate(now))],
        }
    }

    /// With a new key in front, and without those that retired long enough ago.
    #[must_use]
    pub fn rotated(&self, now: Timestamp) -> Self {
        let mut keys = vec![Arc::new(Key::generate(now))];
        for key in &self.keys {
            let successor = keys.last().map_or(now, |newer| newer.created);
            if now.since(successor) < RETIREMENT {
                keys.push(key.clone());
            }
        }
        Self { keys }
    }

    /// The ids of the keys, newest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// When the newest key was made.
    pub fn newest_since(&self) -> Timestamp {
        self.keys.first().map_or(Timestamp::default(), |key| key.created)
    }

    /// The key that seals now.
    pub(crate) fn sealing(&self, now: Timestamp) -> Option<&Key> {
        self.keys
            .iter()
            .find(|key| now.since(key.created) >= SETTLING)
            .or_else(|| self.keys.last())
            .map(AsRef::as_ref)
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests;
