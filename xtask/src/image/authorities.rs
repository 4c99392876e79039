//! The public certificate authorities that the image brings along.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use crate::debian;
use crate::steps::Steps;

/// Mozilla's list as Debian ships it; not the machine's own bundle, to which somebody may have added theirs.
pub(super) const HOME: &str = "/usr/share/ca-certificates/mozilla";

/// One PEM file of all of them, in an order that is always the same.
pub(super) fn read(steps: &mut Steps) -> anyhow::Result<Vec<u8>> {
    if !Path::new(HOME).is_dir() {
        debian::install_packages(steps, &["ca-certificates"])?;
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(HOME).with_context(|| format!("cannot list {HOME}"))? {
        paths.push(entry?.path());
    }
    paths.sort();
    let mut bundle = Vec::new();
    for path in &paths {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        bundle.extend_from_slice(text.trim_ascii());
        bundle.push(b'\n');
    }
    if paths.len() < 50 || !bundle.starts_with(b"-----BEGIN CERTIFICATE-----") {
        bail!("{HOME} does not hold the public authorities: {} files", paths.len());
    }
    Ok(bundle)
}
