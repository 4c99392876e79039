//! What the test runners say they counted.

use std::fmt;

/// Tests by outcome. An error outside of a test counts as a failure.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Finds the summaries of `cargo test` and pytest in a stream of output.
#[derive(Default)]
pub(crate) struct Reader {
    line: Vec<u8>,
    tally: Tally,
}

impl Reader {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.end_line();
            } else {
                self.line.push(byte);
            }
        }
    }

    pub(crate) fn finish(mut self) -> Tally {
        self.end_line();
        self.tally
    }

    fn end_line(&mut self) {
        let line = without_colors(&String::from_utf8_lossy(&self.line));
        self.line.clear();
        if let Some(tally) = cargo_summary(&line).or_else(|| pytest_summary(&line)) {
            self.tally.add(tally);
        }
    }
}

/// `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
fn cargo_summary(line: &str) -> Option<Tally> {
    let (_, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
    counted(counts.split("; "))
}

/// `===== 12 passed, 1 failed, 2 skipped, 1 error, 3 warnings in 4.56s =====`, with or without the decoration.
fn pytest_summary(line: &str) -> Option<Tally> {
    let (counts, time) = line
        .trim_matches(|c: char| c == '=' || c.is_whitespace())
        .rsplit_once(" in ")?;
    let seconds = time.split_whitespace().next()?.strip_suffix('s')?;
    seconds.parse::<f64>().ok()?;
    counted(counts.split(", "))
}

fn counted<'a>(parts: impl Iterator<Item = &'a str>) -> Option<Tally> {
    let mut tally = Tally::default();
    let mut is_summary = false;
    for part in parts {
        let Some((number, outcome)) = part.trim().split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse::<u32>() else { continue };
        match outcome {
            "passed" | "xfailed" | "xpassed" => tally.passed += number,
            "failed" | "error" | "errors" => tally.failed += number,
            "ignored" | "skipped" => tally.skipped += number,
            _ => continue,
        }
        is_summary = true;
    }
    is_summary.then_some(tally)
}

fn without_colors(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // An escape sequence for colors ends with its first letter.
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Tally {
        let mut reader = Reader::default();
        // In small pieces, as a pipe may deliver it.
        for piece in text.as_bytes().chunks(7) {
            reader.feed(piece);
        }
        reader.finish()
    }

    #[test]
    fn summaries_of_several_binaries_add_up() {
        let text = "test a ... ok\n\n\
            test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
        assert_eq!(
            read(text),
            Tally {
                passed: 15,
                failed: 2,
                skipped: 1
            }
        );
    }

    #[test]
    fn pytest_is_read_plain_decorated_and_colored() {
        assert_eq!(
            read("12 passed in 4.56s"),
            Tally {
                passed: 12,
                failed: 0,
                skipped: 0
            }
        );
        assert_eq!(
            read("==== 1 failed, 12 passed, 2 skipped, 3 warnings, 1 error in 64.56s (0:01:04) ====\n"),
            Tally {
                passed: 12,
                failed: 2,
                skipped: 2
            }
        );
        assert_eq!(
            read(
                "\u{1b}[32m=== \u{1b}[32m\u{1b}[1m7 passed\u{1b}[0m\u{1b}[32m in 0.10s\u{1b}[0m\u{1b}[32m ===\u{1b}[0m\n"
            ),
            Tally {
                passed: 7,
                failed: 0,
                skipped: 0
            }
        );
    }

    #[test]
    fn what_only_looks_like_a_summary_is_not_counted() {
        assert_eq!(
            read("waited 3 passed by in vain\n5 passed\nall done in 3s\n"),
            Tally::default()
        );
    }
}
