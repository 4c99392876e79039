//! What survives a restart: small versioned documents behind one trait.

use crate::Answer;

/// A stored document and its version. Versions of one key only grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Changes with each write.
    pub version: u64,
    /// The bytes as they were put.
    pub body: Vec<u8>,
}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote in between: read again and decide anew.
    #[error("the document was changed by somebody else")]
    Conflict,
    /// The store itself failed; the text is for the operator.
    #[error("the state store failed: {0}")]
    Failed(String),
}

/// Versioned documents by key. Memory, a file or a cluster; one contract suite for all.
pub trait StateStore: Send + Sync {
    /// The document under `key`, if there is one.
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Result<Option<Document>, StoreError>>;

    /// Writes `body` if the stored version is still `expected` (`None`: the key must not exist). Returns the new version.
    fn put_if_version<'a>(
        &'a self,
        key: &'a str,
        expected: Option<u64>,
        body: Vec<u8>,
    ) -> Answer<'a, Result<u64, StoreError>>;

    /// Resolves when the document under `key` has a version other than `seen` (`None`: when it exists).
    fn changed<'a>(&'a self, key: &'a str, seen: Option<u64>) -> Answer<'a, Result<Document, StoreError>>;
}
