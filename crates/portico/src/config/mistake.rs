//! What is wrong with a configuration, or worth a word, and where it was said.

use std::{fmt, path::Path, sync::Arc};

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file, under this key.
    File {
        /// The file.
        path: Arc<Path>,
        /// The key's path; empty for the file as a whole.
        key: String,
        /// The line, where it could be found.
        line: Option<usize>,
    },
    /// In this variable of the environment.
    Variable(String),
    /// Nowhere: this key's own default, or its absence.
    Unsaid(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, key, line } => {
                write!(out, "{}", path.display())?;
                if let Some(line) = line {
                    write!(out, ":{line}")?;
                }
                if key.is_empty() { Ok(()) } else { write!(out, " {key}") }
            }
            Self::Variable(name) => out.write_str(name),
            Self::Unsaid(key) => match super::keys::find(key).and_then(|key| key.variables.first()) {
                Some(variable) => write!(out, "{key} ({variable})"),
                None => out.write_str(key),
            },
        }
    }
}

/// Something that keeps the gateway from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it was said.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}; {}", self.place, self.what, self.remedy)
    }
}

/// Something that works but is worth a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Where it was said.
    pub place: Place,
    /// What the operator should know.
    pub what: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.what)
    }
}

/// All mistakes of one configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes {
    /// At least one.
    pub mistakes: Vec<Mistake>,
    /// What is besides worth a word.
    pub notices: Vec<Notice>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.mistakes.len();
        write!(
            out,
            "{count} mistake{} in the configuration",
            if count == 1 { "" } else { "s" }
        )?;
        self.mistakes
            .iter()
            .try_for_each(|mistake| write!(out, "\n  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}
