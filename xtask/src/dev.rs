//! `cargo xtask dev`: from a fresh clone to an application behind the gateway, in one command.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Context;

use crate::steps::Steps;
use crate::{e2e, place};

/// Arguments of `cargo xtask dev`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Arguments for `portico dev`, for example `-- --help`
    #[arg(last = true)]
    portico: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    Steps::start().run("build", &mut e2e::build())?;
    let program = place::built("portico")?;
    // It takes this process's place, so that a signal sent here reaches it.
    let error = Command::new(&program).arg("dev").args(&arguments.portico).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
