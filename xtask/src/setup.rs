//! `cargo xtask setup`: everything that needs the network, at once and beforehand.

use crate::steps::Steps;
use crate::{chart, cluster, debian, place, python, tools};

/// Arguments of `cargo xtask setup`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Install what `cargo xtask mutants` needs, too
    #[arg(long)]
    with_mutants: bool,
    /// Install the Debian packages that `cargo xtask cluster` needs, too; what it builds, `cluster fetch` does
    #[arg(long)]
    with_cluster: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut steps = Steps::start();
    let outcome = take(&mut steps, arguments);
    steps.finish().and(outcome)
}

fn take(steps: &mut Steps, arguments: &Arguments) -> anyhow::Result<()> {
    let mut fetch = place::cargo();
    fetch.args(["fetch", "--locked"]);
    steps.run("fetch the libraries", &mut fetch)?;
    tools::DENY.install(steps)?;
    if arguments.with_mutants {
        tools::MUTANTS.install(steps)?;
    }
    debian::install(steps)?;
    if arguments.with_cluster {
        cluster::packages(steps)?;
    }
    chart::helm::install(steps)?;
    python::environment(steps).map(drop)
}
