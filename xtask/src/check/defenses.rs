//! `SECURITY.md` names a test for each defense: each of them must exist.

use anyhow::{Context, bail};

use super::tree;
use crate::place;

/// Fails for a test that `SECURITY.md` names and nobody wrote.
pub(crate) fn inspect() -> anyhow::Result<String> {
    let page = std::fs::read_to_string(place::root().join("SECURITY.md")).context("SECURITY.md")?;
    let named = named(&page);
    let mut code = String::new();
    for path in tree::files(place::root())?
        .iter()
        .filter(|path| tree::has_ending(path, &["rs", "py"]))
    {
        code.push_str(&std::fs::read_to_string(place::root().join(path)).with_context(|| path.clone())?);
    }
    let missing: Vec<_> = named.iter().filter(|name| !is_written(&code, name)).collect();
    if !missing.is_empty() {
        bail!("SECURITY.md names tests that do not exist: {missing:?}");
    }
    Ok(format!("{} tests of defenses", named.len()))
}

/// The names of functions in the last column of the table of classes.
fn named(page: &str) -> Vec<&str> {
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes().get(2).is_some_and(u8::is_ascii_digit));
    let cells = rows.filter_map(|row| row.split('|').nth(4));
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names
        .filter(|name| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        })
        .collect()
}

fn is_written(code: &str, name: &str) -> bool {
    ["fn ", "def "]
        .iter()
        .any(|keyword| code.contains(&format!("{keyword}{name}(")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_column_names_tests() {
        let page = "| # | class | defense | test |\n|--:|---|---|---|\n| 1 | a `b` | c | `one_test`, `test_two` |\n| 20 | d | e | `cargo xtask check` |\n| 3 | f | `g` | |\n";
        assert_eq!(named(page), ["one_test", "test_two"]);
    }

    #[test]
    fn a_name_must_be_that_of_a_function() {
        assert!(is_written("fn one_test() {}", "one_test") && is_written("def test_two():", "test_two"));
        assert!(!is_written("// one_test", "one_test") && !is_written("fn one_test_more() {}", "one_test"));
    }
}
