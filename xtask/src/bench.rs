//! `cargo xtask bench`: speed and memory, beside nginx where there is something to compare.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::steps::Steps;
use crate::{debian, place, python};

/// Debian packages besides those of the end-to-end tests.
const PACKAGES: [&str; 2] = ["wrk", "libnginx-mod-stream"];

/// What is measured, and the variable that names another binary instead of the one that is built.
const PROGRAMS: [(&str, &str); 2] = [("PORTICO_BIN", "portico"), ("PORTICO_EMULATOR_BIN", "clearml-emulator")];

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// `http`, `memory`, `pods`, `publish`, `streams`, `table`, or nothing for all; `--help` shows more
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    bench: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut steps = Steps::start();
    let outcome = take(&mut steps, arguments);
    steps.finish().and(outcome)
}

fn take(steps: &mut Steps, arguments: &Arguments) -> anyhow::Result<()> {
    debian::install(steps)?;
    debian::install_packages(steps, &PACKAGES)?;
    let python = python::environment(steps)?;
    let mut measure = Command::new(python);
    measure
        .current_dir(place::root())
        .args(["-m", "bench"])
        .args(&arguments.bench);
    measure.env("PYTHONPATH", "e2e").env("PYTHONUNBUFFERED", "1");
    measure.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1");
    if PROGRAMS.iter().any(|(variable, _)| env::var_os(variable).is_none()) {
        // As it is shipped: without the development features.
        let mut portico = place::cargo();
        portico.args(["build", "--locked", "--release", "--package", "portico"]);
        steps.run("build Portico", &mut portico)?;
        let mut emulator = place::cargo();
        emulator.args(["build", "--locked", "--release", "--package", "portico-emulator"]);
        steps.run("build the emulator", &mut emulator)?;
    }
    for (variable, name) in PROGRAMS {
        measure.env(
            variable,
            env::var_os(variable).map_or_else(|| released(name), PathBuf::from),
        );
    }
    steps.run("measure", &mut measure)
}

fn released(name: &str) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| place::root().join("target"), PathBuf::from);
    target.join("release").join(name)
}
