//! Documents in Secrets. Their names are fixed and the chart creates them empty, so that a Role can name them one by one and
//! needs neither `create` nor `list`.

mod layout;

use std::time::Duration;

use portico_core::{
    Answer,
    state::{Document, StateStore, StoreError},
};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::api::{ApiError, Kube};
use layout::put;

/// How long one watch goes on.
const WINDOW: Duration = Duration::from_mins(1);
/// How much longer than that a watch may take to end.
const OVERDUE: Duration = Duration::from_secs(10);
/// Between the beginnings of two watches: one that ends at once is not repeated at once.
const LEAST: Duration = Duration::from_secs(1);
/// How often one tries again when another document of the same Secret was written in between.
const ATTEMPTS: usize = 16;

/// Which document lies in which Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretNames {
    /// Documents with a Secret of their own: the document's key, the Secret's name.
    pub own: Vec<(String, String)>,
    /// The Secret of all others. All documents of one Secret together have 1 MiB at most, long ones packed.
    pub others: String,
}

/// Documents in the Secrets of one namespace.
#[derive(Clone, Debug)]
pub struct SecretStore {
    kube: Kube,
    namespace: String,
    names: SecretNames,
}

impl SecretStore {
    /// Nothing is asked yet.
    pub fn new(kube: Kube, namespace: &str, names: SecretNames) -> Self {
        Self {
            kube,
            namespace: namespace.to_owned(),
            names,
        }
    }

    fn name(&self, key: &str) -> &str {
        let mut own = self.names.own.iter();
        own.find(|(document, _)| document == key)
            .map_or(&self.names.others, |(_, name)| name)
    }

    fn path(&self, key: &str) -> String {
        format!("/api/v1/namespaces/{}/secrets/{}", self.namespace, self.name(key))
    }

    async fn read(&self, key: &str) -> Result<Value, StoreError> {
        self.kube
            .get(&self.path(key))
            .await
            .map_err(|error| self.failed(key, &error))
    }

    /// The document in a Secret that was read.
    fn document(&self, secret: &Value, key: &str) -> Result<Option<Document>, StoreError> {
        layout::document(secret, key).map_err(|why| {
            let (entry, name, namespace) = (layout::name(key), self.name(key), &self.namespace);
            StoreError::Failed(format!(
                "the entry {entry} of the Secret {name} in the namespace {namespace} cannot be read: {why}; run the version of \
                 portico that wrote it, restore it from a backup, or remove the entry, with which all that it says is lost"
            ))
        })
    }

    fn failed(&self, key: &str, error: &ApiError) -> StoreError {
        let (name, namespace) = (self.name(key), &self.namespace);
        StoreError::Failed(match error.code() {
            Some(404) => format!(
                "the Secret {name} is missing in the namespace {namespace}; installing the chart again creates it"
            ),
            Some(403) => {
                format!("the gateway's account may not use the Secret {name} in the namespace {namespace}: {error}")
            }
            Some(413 | 422) => format!("the Secret {name} in the namespace {namespace} cannot hold so much: {error}"),
            _ => format!("the Secret {name} in the namespace {namespace}: {error}"),
        })
    }

    /// Puts the document in place of the expected one. Returns its version.
    fn replace(&self, secret: &mut Value, key: &str, expected: Option<u64>, body: &[u8]) -> Result<u64, StoreError> {
        let found = self.document(secret, key)?;
        if found.map(|found| found.version) != expected {
            return Err(StoreError::Conflict);
        }
        // Packed it might find room, and nobody would read it again.
        if body.len() > layout::MOST {
            let (name, namespace, mib) = (self.name(key), &self.namespace, layout::MOST >> 20);
            return Err(StoreError::Failed(format!(
                "the Secret {name} in the namespace {namespace} cannot hold so much: {key} is longer than {mib} MiB"
            )));
        }
        let version = expected.unwrap_or(0) + 1;
        put(secret, key, version, body);
        Ok(version)
    }

    async fn write(&self, key: &str, expected: Option<u64>, body: &[u8]) -> Result<u64, StoreError> {
        for _ in 0..ATTEMPTS {
            let mut secret = self.read(key).await?;
            let version = self.replace(&mut secret, key, expected, body)?;
            // The version that was read goes along: the server refuses if anybody wrote in between.
            match self.kube.put::<IgnoredAny>(&self.path(key), &secret).await {
                Ok(_) => return Ok(version),
                Err(error) if error.code() == Some(409) => {}
                Err(error) => return Err(self.failed(key, &error)),
            }
        }
        Err(StoreError::Conflict)
    }

    /// The document if it has another version than `seen`.
    fn newer(&self, secret: &Value, key: &str, seen: Option<u64>) -> Result<Option<Document>, StoreError> {
        let found = self.document(secret, key)?;
        Ok(found.filter(|found| Some(found.version) != seen))
    }

    /// Waits until the document has another version than `seen`, or cannot be read; `None` if the watch has ended before.
    async fn await_change(
        &self,
        key: &str,
        seen: Option<u64>,
    ) -> Result<Option<Result<Document, StoreError>>, ApiError> {
        let (namespace, name, window) = (&self.namespace, self.name(key), WINDOW.as_secs());
        // Without a version the watch begins with what is there. The Secret's own may be older than what the server remembers, which
        // ends the watch at once, again and again.
        let path = format!(
            "/api/v1/namespaces/{namespace}/secrets?watch=1&fieldSelector=metadata.name%3D{name}&timeoutSeconds={window}"
        );
        let overdue = tokio::time::Instant::now() + WINDOW + OVERDUE;
        let mut lines = self.kube.lines(&path).await?;
        loop {
            let next = tokio::time::timeout_at(overdue, lines.next()).await;
            let Some(lines) = next.map_err(|_| ApiError::Timeout)?? else {
                return Ok(None);
            };
            for line in &lines {
                let told: Value = serde_json::from_slice(line).map_err(|error| ApiError::unreadable(&error))?;
                let found = self.newer(&told["object"], key, seen).transpose();
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
    }
}

impl StateStore for SecretStore {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Result<Option<Document>, StoreError>> {
        Box::pin(async move { self.document(&self.read(key).await?, key) })
    }

    fn put_if_version<'a>(
        &'a self,
        key: &'a str,
        expected: Option<u64>,
        body: Vec<u8>,
    ) -> Answer<'a, Result<u64, StoreError>> {
        Box::pin(async move { self.write(key, expected, &body).await })
    }

    fn changed<'a>(&'a self, key: &'a str, seen: Option<u64>) -> Answer<'a, Result<Document, StoreError>> {
        Box::pin(async move {
            loop {
                if let Some(document) = self.newer(&self.read(key).await?, key, seen)? {
                    return Ok(document);
                }
                let began = tokio::time::Instant::now();
                match self.await_change(key, seen).await {
                    Ok(Some(document)) => return document,
                    Ok(None) => {}
                    // Whatever the server has against this watch, the next one is another.
                    Err(error) if error.code() == Some(410) => {}
                    Err(error) => return Err(self.failed(key, &error)),
                }
                tokio::time::sleep_until(began + LEAST).await;
            }
        })
    }
}

#[cfg(test)]
mod tests;
