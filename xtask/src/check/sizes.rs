//! How long the files are. A file that does one thing is short, and whoever opens it sees all of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use crate::check::tree;
use crate::place;

/// Half of the files are not longer.
const MEDIAN: usize = 150;
/// Nine of ten files are not longer.
const NINETIETH: usize = 400;
/// No file is longer, unless it is listed with its reason.
const LONGEST: usize = 600;
/// Files that may be longer, and why: `("crates/…/table.rs", "one table that is read from top to bottom")`.
const LONG_FOR_A_REASON: [(&str, &str); 0] = [];

const SOURCES: [&str; 6] = ["rs", "py", "html", "css", "js", "sh"];

struct File {
    path: String,
    lines: usize,
}

pub(crate) fn inspect() -> anyhow::Result<String> {
    judge(&read(place::root())?, &LONG_FOR_A_REASON)
}

fn read(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut sources = Vec::new();
    for path in tree::files(root)? {
        if tree::has_ending(&path, &SOURCES) && !path.split('/').any(|part| part == "vendor") {
            let text = fs::read(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
            let lines = text.split(|&byte| byte == b'\n').count() - 1;
            sources.push(File { path, lines });
        }
    }
    Ok(sources)
}

fn judge(files: &[File], excused: &[(&str, &str)]) -> anyhow::Result<String> {
    let mut text = table(files);
    let mut lines: Vec<usize> = files.iter().map(|file| file.lines).collect();
    lines.sort_unstable();
    let median = part(&lines, 50);
    let ninetieth = part(&lines, 90);
    let longest = part(&lines, 100);
    write!(
        text,
        "median {median} (≤{MEDIAN}), 90th percentile {ninetieth} (≤{NINETIETH}), longest {longest} (≤{LONGEST})"
    )?;

    let mut mistakes = Vec::new();
    if median > MEDIAN || ninetieth > NINETIETH {
        mistakes.push("too many long files".to_owned());
    }
    for file in files.iter().filter(|file| file.lines > LONGEST) {
        if !excused.iter().any(|(path, _)| *path == file.path) {
            mistakes.push(format!(
                "{} has {} lines: divide it, or list its reason",
                file.path, file.lines
            ));
        }
    }
    for (path, _) in excused {
        if !files.iter().any(|file| file.path == *path && file.lines > LONGEST) {
            mistakes.push(format!("{path} is listed as long but is not: take it off the list"));
        }
    }
    if mistakes.is_empty() {
        return Ok(text);
    }
    bail!("{}\n{text}", mistakes.join("\n"))
}

/// Files and lines of each part of the project.
fn table(files: &[File]) -> String {
    let mut parts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for file in files {
        let mut names = file.path.split('/');
        let first = names.next().unwrap_or_default();
        let part = match names.next() {
            Some(second) if first == "crates" => format!("{first}/{second}"),
            Some(_) => first.to_owned(),
            None => ".".to_owned(),
        };
        let (count, lines) = parts.entry(part).or_default();
        *count += 1;
        *lines += file.lines;
    }
    let total = files.iter().map(|file| file.lines).sum();
    parts.insert("~ all".to_owned(), (files.len(), total));
    parts.iter().fold(String::new(), |mut text, (part, (count, lines))| {
        let _ = writeln!(text, "{part:<20} {count:>5} files {lines:>7} lines");
        text
    })
}

/// The value below or at which `percent` of the sorted values lie.
fn part(sorted: &[usize], percent: usize) -> usize {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(lines: &[usize]) -> Vec<File> {
        let name = |(number, &lines): (usize, &usize)| File {
            path: format!("crates/x/f{number}.rs"),
            lines,
        };
        lines.iter().enumerate().map(name).collect()
    }

    #[test]
    fn percentiles_are_values_that_occur() {
        assert_eq!(part(&[1, 2, 3, 4], 50), 2);
        assert_eq!(part(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 90), 9);
        assert_eq!(part(&[7], 100), 7);
        assert_eq!(part(&[], 50), 0);
    }

    #[test]
    fn a_long_file_needs_a_reason_and_a_reason_needs_a_long_file() {
        let long = files(&[10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 601]);
        let error = judge(&long, &[]).expect_err("too long").to_string();
        assert!(error.contains("crates/x/f10.rs has 601 lines"), "{error}");
        assert!(judge(&long, &[("crates/x/f10.rs", "a table")]).is_ok());
        assert!(judge(&files(&[600]), &[]).is_err(), "the median is too large");
        assert!(
            judge(&files(&[10]), &[("crates/x/f0.rs", "a table")]).is_err(),
            "the reason is stale"
        );
    }

    #[test]
    fn lines_are_summed_by_crate() {
        let text = table(&files(&[10, 20]));
        assert!(
            text.contains("crates/x                 2 files      30 lines"),
            "{text}"
        );
    }
}
