//! Where a running cluster keeps its things. One directory, which `down` removes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::place;

/// The directory of one cluster.
pub(crate) struct Run(PathBuf);

impl Run {
    /// The cluster's.
    pub(crate) fn cluster() -> anyhow::Result<Self> {
        Ok(Self(place::cache()?.join("cluster")))
    }

    /// An API server's alone.
    pub(crate) fn api() -> anyhow::Result<Self> {
        Ok(Self(place::cache()?.join("api-server")))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.exists()
    }

    pub(crate) fn create(&self) -> anyhow::Result<()> {
        for name in ["logs", "pids", "trust", "config"] {
            let path = self.0.join(name);
            fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        Ok(())
    }

    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.0.display()))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    pub(crate) fn pids(&self) -> PathBuf {
        self.0.join("pids")
    }

    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.0.join("trust").join(format!("{name}.key"))
    }

    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.0.join("trust").join(format!("{name}.crt"))
    }

    pub(crate) fn kubeconfig(&self, name: &str) -> PathBuf {
        self.config(&format!("{name}.kubeconfig"))
    }

    /// The image of a program as it was built last, as an archive.
    pub(crate) fn image(&self, program: &str) -> PathBuf {
        self.0.join(format!("{program}.tar"))
    }

    pub(crate) fn config(&self, name: &str) -> PathBuf {
        self.0.join("config").join(name)
    }

    /// Writes a file below `config`.
    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.config(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}
