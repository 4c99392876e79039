//! `cargo xtask mutants`: changes the decisions in every small way; a change that no test notices is a gap in the tests.

use crate::steps::Steps;
use crate::{place, tools};

/// Where a wrong answer lets somebody in: no mutant may survive here.
const DECISIONS: [&str; 4] = [
    "crates/core/src/access{.rs,/**/*.rs}",
    "crates/core/src/ownership{.rs,/**/*.rs}",
    "crates/auth/src/return_to{.rs,/**/*.rs}",
    "crates/proxy/src/http/headers{.rs,/**/*.rs}",
];

/// Arguments of `cargo xtask mutants`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Files to change instead of the decisions (a glob)
    #[arg(long = "file")]
    files: Vec<String>,
    /// Arguments for cargo-mutants, for example `-- --list`
    #[arg(last = true)]
    mutants: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut steps = Steps::start();
    let outcome = take(&mut steps, arguments);
    steps.finish().and(outcome)
}

fn take(steps: &mut Steps, arguments: &Arguments) -> anyhow::Result<()> {
    tools::MUTANTS.install(steps)?;
    let mut command = tools::MUTANTS.command()?;
    command.arg("mutants").arg("--output").arg(place::cache()?);
    if arguments.files.is_empty() {
        command.args(DECISIONS.iter().flat_map(|file| ["--file", file]));
    } else {
        command.args(arguments.files.iter().flat_map(|file| ["--file", file]));
    }
    command.args(&arguments.mutants);
    steps.run("mutants", &mut command)
}
