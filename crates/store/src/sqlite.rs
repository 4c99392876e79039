//! Documents in one SQLite file: the store of a gateway on one host.

mod file;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use portico_core::{
    Answer,
    state::{Document, StateStore, StoreError},
};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

/// How many questions may wait for the file.
const QUEUE: usize = 256;

/// How the file is treated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a question waits while another process writes.
    pub busy: Duration,
    /// How often a waiting [`StateStore::changed`] looks for what other processes wrote.
    pub poll: Duration,
    /// The most that the file may grow to, in pages of 4096 bytes; `None`: as large as the disk allows.
    pub pages: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            busy: Duration::from_secs(5),
            poll: Duration::from_secs(1),
            pages: None,
        }
    }
}

/// Why the file cannot be used. Each text names the file and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or file cannot be created, read or written.
    #[error(
        "the state file {path} cannot be opened: {why}; state.path must lie in a directory that the gateway's user may write to"
    )]
    Inaccessible {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The file is damaged, or no database at all.
    #[error(
        "the state file {path} is damaged: {why}; restore it from a backup, or move it away and start again: sessions end and \
         everybody has to log in anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        why: String,
    },
    /// A database that another program made.
    #[error("{path} is not a state file of Portico; set state.path to a file of its own")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer Portico wrote it.
    #[error(
        "the state file {path} was written by a newer Portico (format {format}); run that version, or move the file away"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: i64,
    },
}

/// Documents in one SQLite file (mode 0600). A thread of its own does the blocking work. Several processes may share the file.
#[derive(Debug)]
pub struct SqliteStore {
    jobs: mpsc::Sender<Job>,
    writes: watch::Sender<u64>,
    poll: Duration,
    path: Arc<Path>,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

impl SqliteStore {
    /// Opens the file, creating it (and directories in front of it, for the owner alone) if it is missing. Blocks.
    pub fn open(path: &Path, settings: &Settings) -> Result<Self, OpenError> {
        let mut connection = file::open(path, settings)?;
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new()
            .name("state".into())
            .spawn(move || {
                while let Some(job) = queue.blocking_recv() {
                    job(&mut connection);
                }
            })
            .map_err(|error| OpenError::Inaccessible {
                path: path.to_owned(),
                why: format!("no thread for it: {error}"),
            })?;
        Ok(Self {
            jobs,
            writes: watch::Sender::new(0),
            poll: settings.poll,
            path: path.into(),
        })
    }

    /// Does `work` on the file's thread and waits for the outcome.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Whoever asked may have gone away in the meantime.
            let _ = answer.send(work(connection));
        });
        let failed = |why: &dyn std::fmt::Display| StoreError::Failed(format!("{}: {why}", self.path.display()));
        self.jobs.send(job).await.map_err(|_| failed(&"its thread has ended"))?;
        match outcome.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(failed(&file::advice(&error))),
            Err(_) => Err(failed(&"its thread has ended")),
        }
    }

    async fn read(&self, key: &str) -> Result<Option<Document>, StoreError> {
        let key = key.to_owned();
        self.ask(move |connection| file::read(connection, &key)).await
    }
}

impl StateStore for SqliteStore {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Result<Option<Document>, StoreError>> {
        Box::pin(self.read(key))
    }

    fn put_if_version<'a>(
        &'a self,
        key: &'a str,
        expected: Option<u64>,
        body: Vec<u8>,
    ) -> Answer<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let key = key.to_owned();
            let version = self
                .ask(move |connection| file::write(connection, &key, expected, &body))
                .await?
                .ok_or(StoreError::Conflict)?;
            self.writes.send_modify(|count| *count += 1);
            Ok(version)
        })
    }

    fn changed<'a>(&'a self, key: &'a str, seen: Option<u64>) -> Answer<'a, Result<Document, StoreError>> {
        Box::pin(async move {
            let mut writes = self.writes.subscribe();
            loop {
                if let Some(document) = self.read(key).await?
                    && Some(document.version) != seen
                {
                    return Ok(document);
                }
                // A write in this process wakes at once; what another process wrote is found by looking again.
                let _ = tokio::time::timeout(self.poll, writes.changed()).await;
            }
        })
    }
}

#[cfg(test)]
mod tests;
