//! Where things are: the checkout, the cache outside of it, the programs just built.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// Where tools and virtual environments are kept between runs and between checkouts: `PORTICO_CACHE`, or the user's
/// cache directory.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("PORTICO_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|path| path.join("portico")))
        .or_else(|| set("HOME").map(|path| path.join(".cache/portico")))
        .context("neither HOME nor PORTICO_CACHE is set, so there is no place to keep tools")
}

/// A program of the workspace, which is built into the directory from which this one runs.
pub(crate) fn built(name: &str) -> anyhow::Result<PathBuf> {
    let own = env::current_exe().context("cannot find this program's own path")?;
    Ok(own.with_file_name(name))
}

/// The cargo that started this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}
