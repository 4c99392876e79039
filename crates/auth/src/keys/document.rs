//! The keys as a document of the state store.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portico_core::{clock::Timestamp, secret::Secret, state::StoreError};
use serde::{Deserialize, Serialize};

use super::{Key, SessionKeys};

const SCHEMA: u32 = 1;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored is no key document. It is not replaced: that would log everybody out.
    #[error("the stored session keys cannot be read: {0}")]
    Unreadable(&'static str),
}

#[derive(Serialize, Deserialize)]
struct Document {
    schema: u32,
    keys: Vec<StoredKey>,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    id: String,
    created: Timestamp,
    secret: Secret,
}

impl SessionKeys {
    /// The document to store. It is as secret as the keys.
    pub fn to_document(&self) -> Vec<u8> {
        let keys = self.keys.iter().map(|key| StoredKey {
            id: key.id.clone(),
            created: key.created,
            secret: Secret::new(STANDARD.encode(key.secret)),
        });
        let document = Document {
            schema: SCHEMA,
            keys: keys.collect(),
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// Reads a stored document.
    pub fn from_document(body: &[u8]) -> Result<Self, KeysError> {
        // What serde says may quote the document, so it is not passed on.
        let document: Document =
            serde_json::from_slice(body).map_err(|_| KeysError::Unreadable("it is no key document"))?;
        if document.schema != SCHEMA {
            return Err(KeysError::Unreadable("another version of portico wrote it"));
        }
        let mut keys = document
            .keys
            .into_iter()
            .map(restored)
            .collect::<Option<Vec<_>>>()
            .ok_or(KeysError::Unreadable("a key is damaged"))?;
        if keys.is_empty() {
            return Err(KeysError::Unreadable("it holds no key"));
        }
        keys.sort_by_key(|key| std::cmp::Reverse(key.created));
        Ok(Self { keys })
    }
}

fn restored(stored: StoredKey) -> Option<Arc<Key>> {
    let is_plain = !stored.id.is_empty() && stored.id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let secret = STANDARD.decode(stored.secret.reveal()).ok()?.try_into().ok()?;
    let key = Key::new(stored.id, stored.created, secret)?;
    is_plain.then(|| Arc::new(key))
}
