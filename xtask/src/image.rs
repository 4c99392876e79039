//! `cargo xtask image`: Portico on an empty base, without a registry to start from and without a container engine.
//!
//! The archive is in the format that `docker load`, `podman load`, `ctr images import` and `skopeo copy docker-archive:…` read. The same
//! sources make the same bytes on the same toolchain.

mod archive;
mod authorities;
mod elf;
mod sources;
mod tar;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::place;
use crate::steps::Steps;

/// What the archive may weigh, in bytes.
const LIMIT: usize = 25 << 20;

/// Arguments of `cargo xtask image`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Put a copy here, too
    #[arg(long)]
    output: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut steps = Steps::start();
    let outcome = archive(&mut steps);
    let finished = steps.finish();
    let path = outcome?;
    finished?;
    if let Some(output) = &arguments.output {
        fs::copy(&path, output).with_context(|| format!("cannot write {}", output.display()))?;
    }
    println!("portico:{} is in {}", version(), path.display());
    Ok(())
}

/// The archive, which is made unless the cache has it for these sources.
pub(crate) fn archive(steps: &mut Steps) -> anyhow::Result<PathBuf> {
    let authorities = authorities::read(steps)?;
    let key = sources::fingerprint(place::root(), &authorities)?;
    let home = place::cache()?.join(format!("image-{key}"));
    let path = home.join("portico.tar");
    if path.exists() {
        return Ok(path);
    }
    let program = build(steps)?;
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    steps.inspect("put the image together", || put_together(&program, &authorities, &path))?;
    Ok(path)
}

/// The version of the workspace, which is the image's tag and the chart's `appVersion`.
pub(crate) fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The program as it is shipped: optimized, static, without the development features.
fn build(steps: &mut Steps) -> anyhow::Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut cargo = place::cargo();
    cargo.args([
        "build",
        "--locked",
        "--release",
        "--package",
        "portico",
        "--target",
        &target,
    ]);
    // Its own directory, since other flags make other libraries.
    let directory = place::root().join("target/image");
    cargo
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_TARGET_DIR", &directory);
    steps.run("build the static program", &mut cargo)?;
    Ok(directory.join(target).join("release/portico"))
}

fn put_together(program: &Path, authorities: &[u8], path: &Path) -> anyhow::Result<String> {
    let told = Command::new(program)
        .arg("--version")
        .output()
        .context("the program does not start")?;
    if told.stdout.trim_ascii() != format!("portico {}", version()).as_bytes() {
        bail!("the program says that it is {}", String::from_utf8_lossy(&told.stdout));
    }
    let program = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    if elf::asks_for_a_loader(&program).context("the program that cargo built")? {
        bail!("the program is not static: it would not start on an empty base");
    }
    let license = fs::read(place::root().join("LICENSE")).context("cannot read LICENSE")?;
    let archive = archive::docker(version(), &program, authorities, &license)?;
    if archive.len() > LIMIT {
        bail!("the image has {} MiB and may have {}", archive.len() >> 20, LIMIT >> 20);
    }
    // Whole or not at all: the cache is believed. Another run at the same time has a file of its own.
    let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
    fs::write(&unfinished, &archive).with_context(|| format!("cannot write {}", unfinished.display()))?;
    fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(format!(
        "{}: {:.1} MiB, of which the program has {:.1}",
        path.display(),
        mebibytes(archive.len()),
        mebibytes(program.len()),
    ))
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
