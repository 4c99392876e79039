//! The reference pages that are made from the code, kept equal to it.
//!
//! `PORTICO_WRITE_REFERENCE=1 cargo test -p portico --lib reference` writes them anew.

#![allow(
    clippy::disallowed_methods,
    reason = "a test that reads one switch from the environment"
)]

mod commands;
mod configuration;
mod errors;

use std::path::Path;

/// Fails if `docs/reference/<name>` is not `text`; writes it if asked to.
pub(crate) fn keep(name: &str, text: &str) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference")).join(name);
    if std::env::var_os("PORTICO_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, text).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "docs/reference/{name} is out of date: PORTICO_WRITE_REFERENCE=1 cargo test -p portico --lib reference"
    );
}
