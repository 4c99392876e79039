//! Helm itself, built once into the cache.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::place;
use crate::steps::Steps;

const VERSION: &str = "3.19.4";
/// What is linked in besides: no symbols, and as in helm's own releases the Kubernetes that it renders for when it has no cluster.
const LINKED: &str =
    "-s -w -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34";

/// The program, which is built first unless it is there. That takes Go; one that is too old fetches the
/// one that it needs by itself.
pub(crate) fn install(steps: &mut Steps) -> anyhow::Result<PathBuf> {
    let program = program()?;
    if program.exists() {
        return Ok(program);
    }
    if Command::new("go").arg("version").output().is_err() {
        bail!("helm is built with Go, which is missing; please install Go 1.21 or newer");
    }
    let cache = place::cache()?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let mut build = Command::new("go");
    build
        .args(["install", "-trimpath", "-ldflags", LINKED])
        .arg(format!("helm.sh/helm/v3/cmd/helm@v{VERSION}"))
        // Not the checkout, where a file could tell Go to do something else.
        .current_dir(&cache)
        .env("GOBIN", home()?)
        .env("GOCACHE", cache.join("build/go"))
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "auto");
    steps.run("build helm", &mut build)?;
    Ok(program)
}

fn program() -> anyhow::Result<PathBuf> {
    Ok(home()?.join("helm"))
}

fn home() -> anyhow::Result<PathBuf> {
    Ok(place::cache()?.join(format!("helm-{VERSION}")))
}
