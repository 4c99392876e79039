//! `cargo xtask commands`: the shell commands that README.md and the how-to pages tell people to type.
//!
//! A page writes them in blocks marked `console`, each command behind `$ `, its output below it. Every command is run by
//! a test: either the test takes the page's commands from the page, or it holds the command word for word.
//! `cargo xtask check` says which command nobody runs.

mod blocks;

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Serialize;

use crate::check::tree;
use crate::place;
use blocks::Block;

/// Arguments of `cargo xtask commands`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this page, for example docs/how-to/one-host.md
    page: Option<String>,
    /// One JSON object a line: page, line, command, output
    #[arg(long)]
    json: bool,
}

/// A command in a page, and what the page shows as its output.
#[derive(Debug, PartialEq, Serialize)]
struct Typed {
    page: String,
    line: usize,
    command: String,
    output: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = place::root();
    let files = tree::files(root)?;
    let pages: Vec<String> = match &arguments.page {
        Some(page) => vec![page.clone()],
        None => pages(&files),
    };
    for page in pages {
        for command in commands(&page, &read(root, &page)?)? {
            if arguments.json {
                println!("{}", serde_json::to_string(&command)?);
            } else {
                println!("{}:{}: {}", command.page, command.line, command.command);
            }
        }
    }
    Ok(())
}

/// Whether every command is run by some test.
pub(crate) fn inspect() -> anyhow::Result<String> {
    let root = place::root();
    let files = tree::files(root)?;
    let mut tests = Vec::new();
    for path in files.iter().filter(|path| is_test(path)) {
        tests.push(read(root, path)?);
    }
    let mut mistakes = Vec::new();
    let mut count = 0;
    for page in pages(&files) {
        match commands(&page, &read(root, &page)?) {
            Ok(commands) => {
                count += commands.len();
                mistakes.extend(
                    commands
                        .iter()
                        .filter(|command| !is_run(command, &tests))
                        .map(|command| {
                            format!(
                                "{}:{}: no test runs this command: {}",
                                command.page, command.line, command.command
                            )
                        }),
                );
            }
            Err(error) => mistakes.push(format!("{error:#}")),
        }
    }
    if mistakes.is_empty() {
        return Ok(format!("{count} commands, each run by a test"));
    }
    bail!("{}", mistakes.join("\n"))
}

fn is_run(command: &Typed, tests: &[String]) -> bool {
    tests
        .iter()
        .any(|test| takes_commands_of(test, &command.page) || test.contains(&command.command))
}

/// Whether a test has `commands("page")`, or `commands(NAME)` where it says `NAME = "page"`; in Rust, whether it names the
/// page and goes through the blocks of commands. One that only names the page may look at something else in it.
fn takes_commands_of(test: &str, page: &str) -> bool {
    let quoted = format!("\"{page}\"");
    let constants = test.lines().filter_map(|line| line.split_once(" = "));
    let mut names = constants
        .filter(|(_, value)| *value == quoted)
        .map(|(name, _)| name.trim());
    let is_taken = |what: &str| test.contains(&format!("commands({what})"));
    let goes_through = test.contains("blocks(&page, \"console\")") && test.contains(&quoted);
    is_taken(&quoted) || names.any(is_taken) || goes_through
}

/// The pages whose commands people type one after the other.
fn pages(files: &[String]) -> Vec<String> {
    let is_page =
        |path: &&String| *path == "README.md" || (path.starts_with("docs/how-to/") && tree::has_ending(path, &["md"]));
    files.iter().filter(is_page).cloned().collect()
}

fn is_test(path: &str) -> bool {
    let is_python = path.starts_with("e2e/") && tree::has_ending(path, &["py"]);
    let is_rust = path.starts_with("crates/") && path.contains("/tests/") && tree::has_ending(path, &["rs"]);
    is_python || is_rust || path == ".ci/run"
}

fn read(root: &Path, path: &str) -> anyhow::Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
}

fn commands(page: &str, text: &str) -> anyhow::Result<Vec<Typed>> {
    let mut commands = Vec::new();
    for block in blocks::of(text) {
        if block.language == "console" {
            commands.extend(type_in(page, &block)?);
        } else if block.is_for_a_shell() {
            bail!(
                "{page}:{}: write commands as a `console` block with `$ ` before each, so that a test finds them",
                block.line
            );
        }
    }
    Ok(commands)
}

/// The commands of one block. A line that ends with a backslash goes on in the next.
fn type_in(page: &str, block: &Block<'_>) -> anyhow::Result<Vec<Typed>> {
    let mut commands: Vec<Typed> = Vec::new();
    let mut goes_on = false;
    for (text, line) in block.lines.iter().zip(block.line + 1..) {
        if let Some(last) = commands.last_mut().filter(|_| goes_on) {
            last.command.push('\n');
            last.command.push_str(text);
            goes_on = text.ends_with('\\');
        } else if let Some(command) = text.strip_prefix("$ ") {
            commands.push(Typed {
                page: page.to_owned(),
                line,
                command: command.to_owned(),
                output: String::new(),
            });
            goes_on = command.ends_with('\\');
        } else if let Some(last) = commands.last_mut() {
            last.output.push_str(text);
            last.output.push('\n');
        } else {
            bail!("{page}:{line}: output without a command: start the line with `$ ` if it is one");
        }
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "text\n\n```console\n$ portico status\nready\n$ portico explain \\\n    abc\n```\n\n   ```yaml\n   a: $ b\n   ```\n";

    #[test]
    fn commands_come_with_their_line_and_output() {
        let commands = commands("docs/how-to/a.md", PAGE).expect("the page is well-formed");
        let seen: Vec<_> = commands
            .iter()
            .map(|c| (c.line, c.command.as_str(), c.output.as_str()))
            .collect();
        assert_eq!(
            seen,
            [(4, "portico status", "ready\n"), (6, "portico explain \\\n    abc", "")]
        );
    }

    #[test]
    fn commands_in_another_kind_of_block_are_refused() {
        for block in [
            "```sh\nls\n```",
            "```bash\nls\n```",
            "```\n$ ls\n```",
            "~~~shell\nls\n~~~",
        ] {
            assert!(commands("README.md", block).is_err(), "{block}");
        }
        assert!(commands("README.md", "```\na picture\n```").is_ok());
    }

    #[test]
    fn output_without_a_command_is_refused() {
        assert!(commands("README.md", "```console\nready\n```").is_err());
    }

    #[test]
    fn a_command_is_run_by_a_test_that_takes_it_from_its_page_or_holds_it() {
        let commands = commands("docs/how-to/a.md", PAGE).expect("the page is well-formed");
        let (status, explain) = (&commands[0], &commands[1]);
        let taking = ["first, *_ = commands(\"docs/how-to/a.md\")".to_owned()];
        let by_name = ["PAGE = \"docs/how-to/a.md\"\nfirst, second = commands(PAGE)".to_owned()];
        let naming = ["PAGE = \"docs/how-to/a.md\"\nblocks(PAGE)\ncommands(OTHER)".to_owned()];
        let holding = ["shell('portico status')".to_owned()];
        assert!(is_run(status, &taking) && is_run(explain, &taking));
        assert!(is_run(status, &by_name) && !is_run(status, &naming));
        assert!(is_run(status, &holding) && !is_run(explain, &holding));
    }
}
