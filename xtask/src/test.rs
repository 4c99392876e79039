//! `cargo xtask test`: every test there is, but for those on a real cluster (`cargo xtask cluster test`).

use crate::steps::Steps;
use crate::tally::Tally;
use crate::{e2e, place};

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave out the end-to-end tests, which need a browser and Python packages
    #[arg(long)]
    without_e2e: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut steps = Steps::start();
    let mut tally = Tally::default();
    let outcome = take(&mut steps, &mut tally, arguments);
    let finished = steps.finish();
    println!("{tally}");
    finished.and(outcome)
}

fn take(steps: &mut Steps, tally: &mut Tally, arguments: &Arguments) -> anyhow::Result<()> {
    // With all targets, so that the programs for the end-to-end tests share the libraries of the tests.
    steps.run("build", e2e::build().arg("--all-targets"))?;
    let mut tests = place::cargo();
    tests.args(["test", "--locked", "--workspace", "--all-features"]);
    steps.tests("workspace tests", &mut tests, tally)?;
    if arguments.without_e2e {
        println!("\nthe end-to-end tests were left out, as asked");
        return Ok(());
    }
    e2e::take(steps, tally, &[])
}
