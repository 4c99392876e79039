//! The virtual environment of the end-to-end tests.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::steps::Steps;
use crate::{debian, place};

/// The packages of the end-to-end tests, each with its version.
pub(crate) const REQUIREMENTS: &str = "e2e/requirements.txt";

/// A virtual environment with exactly the packages of `e2e/requirements.txt`; returns its interpreter.
///
/// It lies in the cache under a name made of the Python version and the requirements, so that a change of either makes
/// a new one, and going back finds the old one.
pub(crate) fn environment(steps: &mut Steps) -> anyhow::Result<PathBuf> {
    let requirements = place::root().join(REQUIREMENTS);
    let wanted = fs::read_to_string(&requirements).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    let version = version()?;
    let home = place::cache()?.join(format!("python-{}", fingerprint(&version, &wanted)));
    let python = home.join("bin/python");
    let complete = home.join("complete");
    if complete.exists() {
        return Ok(python);
    }
    // Debian's own Python leaves out what a virtual environment needs; others bring it along.
    if !has_venv() {
        debian::install_packages(steps, &["python3-venv"])?;
    }
    steps.run("make a virtual environment", &mut make(&home))?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--no-input",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]);
    install.arg("-r").arg(&requirements);
    steps.run("install Python packages", &mut install)?;
    fs::write(&complete, version).with_context(|| format!("cannot write {}", complete.display()))?;
    Ok(python)
}

fn make(home: &Path) -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "venv", "--clear"]).arg(home);
    command
}

fn has_venv() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import ensurepip, venv"]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn version() -> anyhow::Result<String> {
    let output = Command::new("python3")
        .args(["-c", "import sys; print(sys.version)"])
        .output();
    let output = output.context("cannot start python3; please install Python 3.10 or newer")?;
    if !output.status.success() {
        bail!("python3 does not work: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn fingerprint(version: &str, wanted: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (version, wanted).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_requirements_and_another_python_make_another_environment() {
        let one = fingerprint("3.11", "pytest==9");
        assert_eq!(one, fingerprint("3.11", "pytest==9"));
        assert_ne!(one, fingerprint("3.12", "pytest==9"));
        assert_ne!(one, fingerprint("3.11", "pytest==8"));
    }
}
