//! What the image is made of.

use std::fs;
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::check::tree;

/// Files outside of `crates/` that what is built depends on.
pub(super) const BESIDES: [&str; 5] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    ".cargo/config.toml",
    "LICENSE",
];

/// A short name for the contents of all sources, and for how the image is put together.
pub(super) fn fingerprint(root: &Path, authorities: &[u8]) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    hash.update(authorities);
    for path in tree::files(root)?.iter().filter(|path| is_source(path)) {
        let content = fs::read(root.join(path)).with_context(|| format!("cannot read {path}"))?;
        // With the length, so that no two lists of files look alike.
        hash.update(format!("{path}\n{}\n", content.len()));
        hash.update(&content);
    }
    Ok(hex::encode(&hash.finalize()[..8]))
}

/// Whether the image changes with it: tests and the emulator are not shipped.
fn is_source(path: &str) -> bool {
    let is_crate = path.starts_with("crates/")
        && !path.starts_with("crates/emulator/src/")
        && !["/tests/", "/snapshots/", "/examples/", "/benches/"]
            .iter()
            .any(|part| path.contains(part));
    is_crate || path == "xtask/src/image.rs" || path.starts_with("xtask/src/image/") || BESIDES.contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_shipped_makes_no_new_image() {
        for path in [
            "crates/core/src/lib.rs",
            "crates/console/templates/a.html",
            "Cargo.lock",
            "xtask/src/image/tar.rs",
        ] {
            assert!(is_source(path), "{path}");
        }
        for path in [
            "crates/core/tests/it/main.rs",
            "crates/emulator/src/lib.rs",
            "README.md",
            "xtask/src/main.rs",
        ] {
            assert!(!is_source(path), "{path}");
        }
    }

    #[test]
    fn another_content_and_another_name_make_another_fingerprint() {
        let home = tempfile::tempdir().expect("a directory");
        let put = |path: &str, text: &str| {
            let path = home.path().join(path);
            fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            fs::write(path, text).expect("written");
        };
        let mut seen = std::collections::BTreeSet::new();
        let mut is_new = || seen.insert(fingerprint(home.path(), b"ca").expect("readable"));
        put("crates/a/src/lib.rs", "one");
        assert!(is_new());
        assert!(!is_new(), "the same sources have one fingerprint");
        put("crates/a/src/lib.rs", "two");
        assert!(is_new());
        put("crates/a/src/b.rs", "");
        assert!(is_new());
        put("docs/a.md", "");
        assert!(!is_new());
    }
}
