//! Documents in memory: for tests, for `portico dev`, and for a gateway that may forget.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use portico_core::{
    Answer,
    state::{Document, StateStore, StoreError},
};
use tokio::sync::watch;

/// Documents in memory. A clone is a second handle to the same documents.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    documents: Arc<Mutex<HashMap<String, Document>>>,
    writes: watch::Sender<u64>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            documents: Arc::default(),
            writes: watch::Sender::new(0),
        }
    }
}

impl MemoryStore {
    fn read(&self, key: &str) -> Option<Document> {
        let documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.get(key).cloned()
    }

    fn write(&self, key: &str, expected: Option<u64>, body: Vec<u8>) -> Result<u64, StoreError> {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let version = match (documents.entry(key.to_owned()), expected) {
            (Entry::Vacant(free), None) => free.insert(Document { version: 1, body }).version,
            (Entry::Occupied(mut taken), Some(expected)) if taken.get().version == expected => {
                let version = expected + 1;
                taken.insert(Document { version, body });
                version
            }
            _ => return Err(StoreError::Conflict),
        };
        drop(documents);
        self.writes.send_modify(|count| *count += 1);
        Ok(version)
    }
}

impl StateStore for MemoryStore {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Result<Option<Document>, StoreError>> {
        Box::pin(async move { Ok(self.read(key)) })
    }

    fn put_if_version<'a>(
        &'a self,
        key: &'a str,
        expected: Option<u64>,
        body: Vec<u8>,
    ) -> Answer<'a, Result<u64, StoreError>> {
        Box::pin(async move { self.write(key, expected, body) })
    }

    fn changed<'a>(&'a self, key: &'a str, seen: Option<u64>) -> Answer<'a, Result<Document, StoreError>> {
        Box::pin(async move {
            let mut writes = self.writes.subscribe();
            loop {
                match self.read(key) {
                    Some(document) if Some(document.version) != seen => return Ok(document),
                    _ => {
                        // The sender lives as long as `self`.
                        let _ = writes.changed().await;
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_contract() {
        crate::contract::check(|| {
            let store = MemoryStore::default();
            (Arc::new(store.clone()), Arc::new(store))
        })
        .await;
    }
}
