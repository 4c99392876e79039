//! Programs from the crate registry, one pinned version each, built once into the cache.

use std::path::PathBuf;
use std::process::Command;

use crate::place;
use crate::steps::Steps;

/// A cargo subcommand that is not part of the toolchain.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

/// Which crate may use which, licenses, sources.
pub(crate) const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};
/// Changes the code and sees whether a test notices.
pub(crate) const MUTANTS: Tool = Tool {
    name: "cargo-mutants",
    version: "27.1.0",
};

impl Tool {
    /// Builds the tool unless it is there. Unoptimized: that takes a third of the time, and the tools are quick enough.
    pub(crate) fn install(&self, steps: &mut Steps) -> anyhow::Result<()> {
        if self.program()?.exists() {
            return Ok(());
        }
        let mut command = place::cargo();
        command
            .args(["install", self.name, "--version", self.version, "--locked", "--root"])
            .arg(self.home()?);
        command.arg("--debug").env("CARGO_PROFILE_DEV_DEBUG", "false");
        // Out of the way of the workspace's own build.
        command.env("CARGO_TARGET_DIR", place::cache()?.join("build"));
        steps.run(&format!("install {}", self.name), &mut command)
    }

    /// A command that runs the tool in the checkout.
    pub(crate) fn command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(self.program()?);
        command.current_dir(place::root());
        Ok(command)
    }

    fn home(&self) -> anyhow::Result<PathBuf> {
        Ok(place::cache()?.join(format!("{}-{}", self.name, self.version)))
    }

    fn program(&self) -> anyhow::Result<PathBuf> {
        Ok(self.home()?.join("bin").join(self.name))
    }
}
