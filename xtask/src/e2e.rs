//! `cargo xtask e2e`: a real browser, the real ClearML SDK and real applications against the programs just built.

use std::process::Command;

use crate::steps::Steps;
use crate::tally::Tally;
use crate::{chart, debian, place, python};

/// Arguments of `cargo xtask e2e`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Arguments for pytest, for example `-- -k login -x`
    #[arg(last = true)]
    pytest: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut steps = Steps::start();
    let mut tally = Tally::default();
    // The error is in the list of steps that `finish` prints.
    let outcome = steps
        .run("build", &mut build())
        .and_then(|()| take(&mut steps, &mut tally, &arguments.pytest));
    let finished = steps.finish();
    println!("{tally}");
    finished.and(outcome)
}

/// Installs what is missing, and runs pytest. The tests find the programs, which must be built, by `PORTICO_BIN` and
/// `PORTICO_EMULATOR_BIN`, and helm by `PORTICO_HELM`.
pub(crate) fn take(steps: &mut Steps, tally: &mut Tally, pytest: &[String]) -> anyhow::Result<()> {
    debian::install(steps)?;
    let python = python::environment(steps)?;
    let helm = chart::helm::install(steps)?;
    let mut command = Command::new(python);
    command
        .current_dir(place::root())
        .args(["-m", "pytest", "e2e", "--verbose", "--durations=10"])
        .args(pytest);
    command.env("PYTHONUNBUFFERED", "1").env("PYTHONUTF8", "1");
    command.env("PORTICO_BIN", place::built("portico")?);
    command.env("PORTICO_EMULATOR_BIN", place::built("clearml-emulator")?);
    command.env("PORTICO_HELM", helm);
    steps.tests("end-to-end tests", &mut command, tally)
}

/// All programs, with their development features. Always the whole workspace: a part of it would be built with other
/// features of the libraries, and so be built twice.
pub(crate) fn build() -> Command {
    let mut command = place::cargo();
    command.args(["build", "--locked", "--workspace", "--all-features"]);
    command
}
