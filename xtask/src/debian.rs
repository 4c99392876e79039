//! Debian packages that the end-to-end tests need.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::steps::Steps;

/// A browser and fonts for it (without them pages come out as boxes); a network of its own for each run; a cache that
/// stands in front; the client that the documentation tells people to use. What speaks over streams: SSH, whose client
/// `clearml-session` starts and whose server its task does, and databases with their own clients.
const PACKAGES: [&str; 13] = [
    "chromium",
    "fonts-dejavu-core",
    "fonts-noto-color-emoji",
    "iproute2",
    "nginx-light",
    "curl",
    "openssh-client",
    "openssh-server",
    "sshpass",
    "postgresql",
    "postgresql-client",
    "redis-server",
    "redis-tools",
];

/// Installs what is missing, or says exactly which command does.
pub(crate) fn install(steps: &mut Steps) -> anyhow::Result<()> {
    install_packages(steps, &PACKAGES)
}

/// Installs those of `packages` that are missing, or says exactly which command does.
pub(crate) fn install_packages(steps: &mut Steps, packages: &[&str]) -> anyhow::Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if !succeeds(Command::new("apt-get").arg("--version")) {
        bail!(
            "this system has no apt-get; please install what Debian calls: {}",
            missing.join(" ")
        );
    }
    if !is_root()? {
        bail!("please run: sudo {by_hand}");
    }
    let mut update = apt();
    update.arg("update");
    steps.run("update the list of Debian packages", &mut update)?;
    let mut install = apt();
    install
        .args(["install", "-y", "--no-install-recommends"])
        .args(&missing);
    steps.run("install Debian packages", &mut install)
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("-q");
    command
}

fn is_installed(name: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status}", name])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

fn is_root() -> anyhow::Result<bool> {
    let output = Command::new("id")
        .arg("-u")
        .output()
        .context("cannot ask `id` who runs this")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
