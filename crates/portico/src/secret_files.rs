//! Secrets in files, read again when they change: rotating a key needs no restart.

use std::{
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use portico_core::{
    live::{Live, Publish, live},
    secret::Secret,
};
use tokio_util::sync::CancellationToken;

/// How often files are looked at. Polling also sees what notifications miss: Kubernetes swaps a link two directories above.
const INTERVAL: Duration = Duration::from_secs(5);
/// No secret is longer, but a wrong path may lead to something that is.
const LONGEST: u64 = 64 << 10;

/// Where a secret is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In the configuration itself.
    Value(Secret),
    /// In this file, which may change.
    File(PathBuf),
}

/// Why a file holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum BadSecret {
    /// It cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// It holds nothing.
    #[error("{0} is empty")]
    Empty(PathBuf),
    /// It holds more than one line, or far too much.
    #[error("{0} does not look like a secret: it has several lines or more than 64 KiB")]
    NotASecret(PathBuf),
}

/// Reads a secret; white space around it (a closing line end) is no part of it.
pub fn read(path: &Path) -> Result<Secret, BadSecret> {
    let unreadable = |error| BadSecret::Unreadable(path.to_owned(), error);
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    let secret = text.trim();
    if secret.is_empty() {
        return Err(BadSecret::Empty(path.to_owned()));
    }
    if text.len() as u64 > LONGEST || secret.contains(['\n', '\r', '\0']) {
        return Err(BadSecret::NotASecret(path.to_owned()));
    }
    Ok(Secret::new(secret))
}

/// Follows secrets that belong together, and publishes what is made of them whenever one changed.
pub struct SecretFiles<T> {
    sources: Vec<SecretSource>,
    make: Make<T>,
    publish: Publish<T>,
    seen: Vec<Secret>,
    marks: Vec<Option<Mark>>,
}

type Make<T> = Box<dyn Fn(&[Secret]) -> T + Send>;

/// What changes when a file is written or replaced: modification time (with nanoseconds), inode, length.
type Mark = (i64, i64, u64, u64);

fn mark(source: &SecretSource) -> Option<Mark> {
    let SecretSource::File(path) = source else { return None };
    let file = std::fs::metadata(path).ok()?;
    Some((file.mtime(), file.mtime_nsec(), file.ino(), file.len()))
}

fn all(sources: &[SecretSource]) -> Result<Vec<Secret>, BadSecret> {
    let one = |source: &SecretSource| match source {
        SecretSource::Value(secret) => Ok(secret.clone()),
        SecretSource::File(path) => read(path),
    };
    sources.iter().map(one).collect()
}

impl<T> SecretFiles<T> {
    /// Reads the secrets once and makes the first value; `make` gets them in the order of `sources`. Blocks.
    pub fn open(
        sources: Vec<SecretSource>,
        make: impl Fn(&[Secret]) -> T + Send + 'static,
    ) -> Result<(Self, Live<T>), BadSecret> {
        let marks = sources.iter().map(mark).collect();
        let seen = all(&sources)?;
        let (publish, value) = live(make(&seen));
        let files = Self {
            sources,
            make: Box::new(make),
            publish,
            seen,
            marks,
        };
        Ok((files, value))
    }

    /// Looks every few seconds until the end. A file that cannot be read leaves the last secret standing.
    pub async fn run(mut self, shutdown: CancellationToken) {
        if self.marks.iter().all(Option::is_none) {
            return shutdown.cancelled().await;
        }
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => self.look(),
            }
        }
    }

    fn look(&mut self) {
        let marks: Vec<_> = self.sources.iter().map(mark).collect();
        if marks == self.marks {
            return;
        }
        match all(&self.sources) {
            // Key and secret are two files: only what stood still while it was read belongs together.
            Ok(secrets) if self.sources.iter().map(mark).eq(marks.iter().copied()) => {
                self.marks = marks;
                if secrets != self.seen {
                    tracing::info!("secrets were read anew");
                    self.publish.publish((self.make)(&secrets));
                    self.seen = secrets;
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a secret cannot be read; the last one stays in use"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn text(secrets: &[Secret]) -> String {
        secrets.iter().map(Secret::reveal).collect::<Vec<_>>().join("/")
    }

    #[test]
    fn a_changed_file_is_published_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("secret");
        fs::write(&path, "one\n").expect("write");
        let sources = vec![
            SecretSource::Value(Secret::new("key")),
            SecretSource::File(path.clone()),
        ];
        let (mut files, live) = SecretFiles::open(sources, text).expect("readable");
        let first = live.get();
        assert_eq!(*first, "key/one");
        files.look();
        assert!(std::sync::Arc::ptr_eq(&first, &live.get()), "nothing changed");
        fs::write(&path, "second").expect("write");
        files.look();
        assert_eq!(*live.get(), "key/second");
    }

    #[test]
    fn a_swapped_link_is_a_change() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        for (version, secret) in [("v1", "aaa"), ("v2", "bbb")] {
            fs::create_dir(at(version)).expect("a directory");
            fs::write(at(version).join("secret"), secret).expect("write");
        }
        symlink("v1", at("..data")).expect("a link");
        symlink("..data/secret", at("secret")).expect("a link");
        let (mut files, live) = SecretFiles::open(vec![SecretSource::File(at("secret"))], text).expect("readable");
        assert_eq!(*live.get(), "aaa");
        symlink("v2", at("..data.new")).expect("a link");
        fs::rename(at("..data.new"), at("..data")).expect("the swap");
        files.look();
        assert_eq!(*live.get(), "bbb");
    }

    #[test]
    fn a_file_that_went_away_leaves_the_last_secret_standing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("secret");
        fs::write(&path, "one").expect("write");
        let (mut files, live) = SecretFiles::open(vec![SecretSource::File(path.clone())], text).expect("readable");
        fs::remove_file(&path).expect("remove");
        files.look();
        assert_eq!(*live.get(), "one");
        fs::write(&path, "").expect("write");
        files.look();
        assert_eq!(*live.get(), "one", "an empty file is no secret");
        fs::write(&path, "two").expect("write");
        files.look();
        assert_eq!(*live.get(), "two");
    }

    #[test]
    fn what_is_no_secret_is_refused_without_showing_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        for content in ["", " \n", "one\ntwo", &"x".repeat(70_000)] {
            fs::write(&path, content).expect("write");
            let error = read(&path).expect_err("no secret").to_string();
            assert!(!error.contains("two") && error.len() < 200, "{error}");
        }
    }
}
