//! Names that belong to the place where somebody works, not to the project: paths of their machine, hosts of registries.

use std::fs;

use anyhow::{Context, bail};

use crate::check::tree;
use crate::place;

/// What must not occur, in two halves so that this file itself is clean, and why.
const STRANGERS: [(&str, &str, &str); 13] = [
    ("/wo", "rk/", PATH),
    ("/tmp/", "team", PATH),
    ("sha", "red/design", PATH),
    ("/home/", "runner", PATH),
    ("/Us", "ers/", PATH),
    ("pypi", ".org", HOST),
    ("python", "hosted.org", HOST),
    ("crates", ".io/", HOST),
    ("npmjs", ".org", HOST),
    ("docker", ".io", HOST),
    ("ghcr", ".io", HOST),
    ("quay", ".io", HOST),
    ("deb.debian", ".org", HOST),
];

const PATH: &str = "a path of somebody's machine";
const HOST: &str = "a registry's host: mirrors exist, so packages are named and tools know where to look";

/// The lock file is cargo's, and names where each library comes from.
const NOT_OURS: [&str; 1] = ["Cargo.lock"];

pub(crate) fn inspect() -> anyhow::Result<String> {
    let mut mistakes = Vec::new();
    let paths = tree::files(place::root())?;
    for path in paths.iter().filter(|path| !NOT_OURS.contains(&path.as_str())) {
        let bytes = fs::read(place::root().join(path)).with_context(|| format!("cannot read {path}"))?;
        // What is not text is an image or a recorded stream.
        if let Ok(text) = str::from_utf8(&bytes) {
            mistakes.extend(found(text).map(|(line, name, why)| format!("{path}:{line}: {name}: {why}")));
        }
    }
    if mistakes.is_empty() {
        return Ok(format!(
            "{} files name nobody's machine and no registry's host",
            paths.len()
        ));
    }
    bail!("{}", mistakes.join("\n"))
}

fn found(text: &str) -> impl Iterator<Item = (usize, String, &'static str)> {
    text.lines().zip(1..).flat_map(|(line, number)| {
        STRANGERS.into_iter().filter_map(move |(one, two, why)| {
            let name = format!("{one}{two}");
            line.contains(&name).then_some((number, name, why))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_host_are_found_with_their_line() {
        let text = format!(
            "fine\nsee {}design.md\nfrom {}{}\n",
            "/wo".to_owned() + "rk/",
            "pypi",
            ".org"
        );
        let lines: Vec<usize> = found(&text).map(|(line, ..)| line).collect();
        assert_eq!(lines, [2, 3]);
    }

    #[test]
    fn ordinary_words_are_left_alone() {
        assert_eq!(
            found("the network/ shared design, docker, pypi packages, framework/").count(),
            0
        );
    }
}
