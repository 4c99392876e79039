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

use crate::{
    api::{ApiError, Kube},
    watch::Metadata,
};
use layout::{document, entry, put};

/// How long one watch goes on.
const WINDOW: Duration = Duration::from_mins(1);
/// How much longer than that a watch may take to end.
const OVERDUE: Duration = Duration::from_secs(10);
/// How often one tries again when another document of the same Secret was written in between.
const ATTEMPTS: usize = 16;

/// Which document lies in which Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretNames {
    /// Documents with a Secret of their own: the document's key, the Secret's name.
    pub own: Vec<(String, String)>,
    /// The Secret of all others. All documents of one Secret together have 1 MiB at most.
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

    async fn write(&self, key: &str, expected: Option<u64>, body: &[u8]) -> Result<u64, StoreError> {
        for _ in 0..ATTEMPTS {
            let mut secret = self.read(key).await?;
            if document(&secret, key).map(|document| document.version) != expected {
                return Err(StoreError::Conflict);
            }
            let version = expected.unwrap_or(0) + 1;
            put(&mut secret, key, version, body);
            // The version that was read goes along: the server refuses if anybody wrote in between.
            match self.kube.put::<IgnoredAny>(&self.path(key), &secret).await {
                Ok(_) => return Ok(version),
                Err(error) if error.code() == Some(409) => {}
                Err(error) => return Err(self.failed(key, &error)),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Waits until the Secret has changed since `version`, or the watch has ended.
    async fn await_change(&self, key: &str, version: &str) -> Result<(), ApiError> {
        let (namespace, name, window) = (&self.namespace, self.name(key), WINDOW.as_secs());
        let path = format!(
            "/api/v1/namespaces/{namespace}/secrets?watch=1&fieldSelector=metadata.name%3D{name}&timeoutSeconds={window}&resourceVersion={version}"
        );
        let mut lines = self.kube.lines(&path).await?;
        // Whatever the line says, the Secret is read again.
        let next = tokio::time::timeout(WINDOW + OVERDUE, lines.next()).await;
        next.map_err(|_| ApiError::Timeout)?.map(drop)
    }
}

impl StateStore for SecretStore {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Result<Option<Document>, StoreError>> {
        Box::pin(async move { Ok(document(&self.read(key).await?, key)) })
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
                let secret = self.read(key).await?;
                if let Some(document) = document(&secret, key).filter(|document| Some(document.version) != seen) {
                    return Ok(document);
                }
                let version = &entry::<Metadata>(&secret, "metadata").resource_version;
                match self.await_change(key, version).await {
                    // Too old a version: what is read next is newer.
                    Err(error) if error.code() != Some(410) => return Err(self.failed(key, &error)),
                    _ => {}
                }
            }
        })
    }
}
