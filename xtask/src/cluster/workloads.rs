//! The image of the tasks' pods: Debian with Python, the ClearML agent, JupyterLab and an SSH server. Nothing is fetched in a pod.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use super::image;
use super::place::Run;
use crate::steps::Steps;
use crate::{debian, place, python};

/// The image's name.
const NAME: &str = "portico.local/workloads:1";

/// `procps`, because session scripts look for processes by name.
const PACKAGES: &str = "python3,python3-venv,ca-certificates,openssh-server,openssh-client,procps";

/// What pods need of the packages that the end-to-end tests are pinned to.
const OF_THE_TESTS: [&str; 3] = ["clearml", "clearml-agent", "jupyterlab"];

const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Makes the image, unless the same one is in the cache. Takes two minutes.
pub(super) fn install(steps: &mut Steps) -> anyhow::Result<()> {
    let archive = archive()?;
    if archive.exists() {
        return Ok(());
    }
    debian::install_packages(steps, &["mmdebstrap"])?;
    let work = archive.with_extension("parts");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let mut debian = Command::new("mmdebstrap");
    debian.args(recipe()?).arg("bookworm").arg(work.join("layer.tar"));
    steps.run("make the file system of the workloads' image", &mut debian)?;
    steps.inspect("make the workloads' image", || {
        let config = serde_json::json!({
            "Env": ["PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["/bin/bash"],
        });
        image::of_layer(NAME, &work, &config, &archive)?;
        fs::remove_dir_all(&work).context("cannot tidy up")?;
        Ok(archive.display().to_string())
    })
}

/// Gives the image to the node, unless it has it.
pub(super) fn load(steps: &mut Steps, run: &Run) -> anyhow::Result<()> {
    let (archive, note) = (archive()?, run.root().join("workloads"));
    let name = archive.display().to_string();
    if fs::read_to_string(&note).is_ok_and(|loaded| loaded == name) {
        return Ok(());
    }
    steps.inspect("load the workloads' image", || {
        image::load(run, &archive)?;
        fs::write(&note, &name).context("cannot note what was loaded")?;
        Ok(NAME.to_owned())
    })
}

/// Where the image is kept, under a name made of what it is made from.
fn archive() -> anyhow::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    recipe()?.hash(&mut hasher);
    let home = place::cache()?.join(format!("workloads-{:016x}", hasher.finish()));
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    Ok(home.join("image.tar"))
}

fn recipe() -> anyhow::Result<Vec<String>> {
    let mut recipe = vec!["--variant=minbase".to_owned(), format!("--include={PACKAGES}")];
    for unneeded in ["doc", "locale", "man"] {
        recipe.push(format!("--dpkgopt=path-exclude=/usr/share/{unneeded}/*"));
    }
    let requirements = requirements()?;
    let install = format!(
        "chroot \"$1\" /opt/venv/bin/pip install --no-input --no-cache-dir --disable-pip-version-check --progress-bar off {}",
        pinned(&requirements).join(" ")
    );
    for hook in [
        // The machine may be behind a proxy with an authority of its own.
        format!("copy-in {AUTHORITIES} /etc/ssl/certs"),
        "chroot \"$1\" python3 -m venv /opt/venv".to_owned(),
        install,
    ] {
        recipe.push(format!("--customize-hook={hook}"));
    }
    Ok(recipe)
}

fn requirements() -> anyhow::Result<String> {
    let path = place::root().join(python::REQUIREMENTS);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The lines that pin what the pods need.
fn pinned(requirements: &str) -> Vec<&str> {
    let is_needed = |line: &&str| {
        line.split_once("==")
            .is_some_and(|(name, _)| OF_THE_TESTS.contains(&name))
    };
    requirements.lines().map(str::trim).filter(is_needed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_have_the_versions_that_the_tests_are_pinned_to() {
        let requirements = requirements().expect("the file is there");
        let pinned = pinned(&requirements);
        assert_eq!(pinned.len(), OF_THE_TESTS.len(), "{pinned:?}");
        assert!(pinned.iter().all(|line| line.contains("==")));
    }
}
