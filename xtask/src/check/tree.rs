//! The files of the checkout.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// Directories that hold no work of ours, wherever they lie.
const FOREIGN: [&str; 9] = [
    ".git",
    "target",
    "__pycache__",
    ".venv",
    ".cache",
    ".pytest_cache",
    ".hypothesis",
    ".ruff_cache",
    "node_modules",
];

/// All files below `root` by their relative path, sorted; without build results and caches.
pub(crate) fn files(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(directory) = ahead.pop() {
        let entries = fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", directory.display()))?;
            let kind = entry.file_type()?;
            if kind.is_dir() && !FOREIGN.iter().any(|name| entry.file_name() == *name) {
                ahead.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path().strip_prefix(root)?.display().to_string());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether the file's name ends in one of these, given without the dot.
pub(crate) fn has_ending(path: &str, endings: &[&str]) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, ending)| endings.contains(&ending))
}
