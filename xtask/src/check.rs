//! `cargo xtask check`: everything that can be said about the project without running it.

mod defenses;
mod sizes;
mod strangers;
pub(crate) mod tree;

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, bail};

use crate::steps::Steps;
use crate::{commands, place, tools};

/// Its readers work on the code, so a link to something private leads somewhere.
const LINKS: &str = "-D warnings -A rustdoc::private_intra_doc_links";

/// Arguments of `cargo xtask check`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only what takes seconds: format, sizes, names, commands in the documentation
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut steps = Steps::start();
    // Each step is taken even when one before has failed: all mistakes at once. `finish` makes the failures an error.
    let _ = steps.run("format", &mut cargo("fmt --all --check"));
    let _ = steps.inspect("file sizes", sizes::inspect);
    let _ = steps.inspect("strange names", strangers::inspect);
    let _ = steps.inspect("commands in the documentation", commands::inspect);
    let _ = steps.inspect("tests of defenses", defenses::inspect);
    if !arguments.quick {
        let _ = imports(&mut steps);
        let _ = steps.inspect("crates in what is shipped", shipped);
        let lints = "clippy --locked --workspace --all-targets --all-features -- -D warnings";
        let _ = steps.run("lints", &mut cargo(lints));
        // Of the whole workspace again, and not of the binary alone: the libraries are then those of the step before.
        let without_dev = "clippy --locked --workspace --all-targets -- -D warnings";
        let _ = steps.run("lints without the development features", &mut cargo(without_dev));
        let mut pages = cargo("doc --locked --workspace --all-features --no-deps --document-private-items");
        let _ = steps.run("links in the code's documentation", pages.env("RUSTDOCFLAGS", LINKS));
    }
    steps.finish()
}

/// Who may import what (tests may import any peer), licenses, and where libraries come from.
fn imports(steps: &mut Steps) -> anyhow::Result<()> {
    tools::DENY.install(steps)?;
    let mut shipped = tools::DENY.command()?;
    shipped.args(["--locked", "--exclude-dev", "check", "--hide-inclusion-graph", "bans"]);
    let imports = steps.run("imports", &mut shipped);
    let mut all = tools::DENY.command()?;
    all.args(["--locked", "check", "--hide-inclusion-graph", "licenses", "sources"]);
    steps.run("licenses and sources", &mut all).and(imports)
}

/// The development features are off in what is shipped, and so is the emulator.
fn shipped() -> anyhow::Result<String> {
    let mut tree = cargo("tree --locked --package portico --edges normal,build --prefix none");
    let output = tree.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    // A line that was there before is marked with a star.
    let crates: BTreeSet<&str> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    if crates.iter().any(|line| line.starts_with("portico-emulator ")) {
        bail!("portico contains portico-emulator without its feature `dev`");
    }
    Ok(format!("portico is made of {} crates", crates.len()))
}

fn cargo(arguments: &str) -> Command {
    let mut command = place::cargo();
    command.args(arguments.split_whitespace());
    command
}
