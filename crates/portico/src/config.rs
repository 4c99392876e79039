//! What the program was told: one YAML file and the environment over it.
//!
//! Two kinds of value: [`said::Said`] is what the file and the environment say, each piece with its place; [`Config`] is what the
//! program uses. Between them stands one reading that finds all mistakes at once.

mod environment;
mod file;
mod forms;
mod keys;
mod kubernetes;
mod lines;
mod mistake;
mod probe;
mod reader;
mod rules;
mod said;
mod sections;
mod streams;

use std::path::Path;

pub use forms::{DiscoveryKind, LogFormat, LogLevel, Publish, Sink, StateKind};
pub use keys::{Fallback, IGNORED, KEYS, Key};
pub use kubernetes::{Cluster, PodDiscovery, SecretPlace};
pub use mistake::{Mistake, Mistakes, Notice, Place};
pub use probe::probe;
pub use sections::{
    Access, Clearml, Config, Console, Control, Discovery, Http, Log, Operations, Session, Shutdown, State,
};
pub use streams::Streams;

/// A configuration without mistakes, and what the operator should know of it.
#[derive(Debug)]
pub struct Loaded {
    /// What the program uses.
    pub config: Config,
    /// What is accepted but worth a word.
    pub notices: Vec<Notice>,
    said: said::Said,
}

impl Loaded {
    /// Where a key was said, or that it was not.
    pub fn place(&self, key: &'static str) -> Place {
        self.said.place(key)
    }
}

/// Reads the file (if there is one) and the variables over it.
///
/// # Errors
/// All mistakes at once, with the notices.
pub fn load(file: Option<&Path>, variables: impl IntoIterator<Item = (String, String)>) -> Result<Loaded, Mistakes> {
    let mut said = said::Said::default();
    if let Some(path) = file {
        file::read(path, &mut said);
    }
    environment::overlay(variables, &mut said);
    sections::build(said)
}

/// Where the control socket is, as far as a configuration tells that may have mistakes elsewhere.
pub fn socket(file: Option<&Path>, variables: impl IntoIterator<Item = (String, String)>) -> std::path::PathBuf {
    let mut said = said::Said::default();
    if let Some(path) = file {
        file::read(path, &mut said);
    }
    environment::overlay(variables, &mut said);
    sections::socket(&mut reader::Reader { said })
}

/// The process's environment. The one place that reads it.
pub fn environment() -> Vec<(String, String)> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    let variables = std::env::vars_os();
    variables
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
