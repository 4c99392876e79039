//! Runs commands one after the other and shows what runs, how long it has been running and what it took.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::tally::{Reader, Tally};

/// A step that runs longer says every so often that it still does.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// The steps of one command.
pub(crate) struct Steps {
    started: Instant,
    taken: Vec<Step>,
}

struct Step {
    name: String,
    time: Duration,
    passed: bool,
}

impl Steps {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            taken: Vec::new(),
        }
    }

    /// Runs a command with its output going straight to the terminal. A failure is an error.
    pub(crate) fn run(&mut self, name: &str, command: &mut Command) -> anyhow::Result<()> {
        self.step(name, &shown(command), || {
            let mut child = command
                .stdin(Stdio::null())
                .spawn()
                .with_context(|| not_started(command))?;
            succeed(&mut child)
        })
    }

    /// Runs a test runner and adds what it counts to `tally`. A failure is an error; what was counted before stays.
    pub(crate) fn tests(&mut self, name: &str, command: &mut Command, tally: &mut Tally) -> anyhow::Result<()> {
        self.step(name, &shown(command), || count(command, &mut std::io::stdout(), tally))
    }

    /// Does something that is not a command. What it returns is shown.
    pub(crate) fn inspect(&mut self, name: &str, work: impl FnOnce() -> anyhow::Result<String>) -> anyhow::Result<()> {
        self.step(name, "", || {
            let text = work()?;
            for line in text.lines() {
                println!("    {line}");
            }
            Ok(())
        })
    }

    /// Prints every step with its time, and the total; an error if any step failed.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        println!();
        for step in &self.taken {
            let mark = if step.passed { "ok    " } else { "FAILED" };
            println!("{mark} {:>8}  {}", seconds(step.time), step.name);
        }
        println!("total  {:>8}", seconds(self.started.elapsed()));
        let failed: Vec<&str> = self
            .taken
            .iter()
            .filter(|step| !step.passed)
            .map(|step| step.name.as_str())
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        bail!("failed: {}", failed.join(", "))
    }

    fn step(&mut self, name: &str, shown: &str, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        println!("\n==> {name}{}{shown}", if shown.is_empty() { "" } else { ": " });
        let started = Instant::now();
        let outcome = with_signs_of_life(name, started, work);
        let time = started.elapsed();
        let passed = outcome.is_ok();
        match &outcome {
            Ok(()) => println!("<== {name}: {}", seconds(time)),
            Err(error) => println!("<== {name}: FAILED after {}: {error:#}", seconds(time)),
        }
        self.taken.push(Step {
            name: name.to_owned(),
            time,
            passed,
        });
        outcome.with_context(|| name.to_owned())
    }
}

fn with_signs_of_life<T>(name: &str, started: Instant, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(SIGN_OF_LIFE) {
                println!("    … {name}: {} so far", seconds(started.elapsed()));
            }
        });
        let outcome = work();
        drop(done);
        outcome
    })
}

fn count(command: &mut Command, terminal: &mut impl Write, tally: &mut Tally) -> anyhow::Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| not_started(command))?;
    let output = child.stdout.take().context("the output is not piped")?;
    let counted = pass_through(output, terminal)?;
    tally.add(counted);
    succeed(&mut child)?;
    if counted == Tally::default() {
        bail!("it counted no tests");
    }
    Ok(())
}

/// Copies the output as it comes, half lines too, and counts what the runners report.
fn pass_through(mut output: impl Read, terminal: &mut impl Write) -> anyhow::Result<Tally> {
    let mut reader = Reader::default();
    let mut buffer = [0; 8192];
    loop {
        let length = output.read(&mut buffer).context("reading the output")?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            return Ok(reader.finish());
        };
        terminal.write_all(bytes)?;
        terminal.flush()?;
        reader.feed(bytes);
    }
}

fn succeed(child: &mut Child) -> anyhow::Result<()> {
    let status = child.wait().context("waiting for it")?;
    if status.success() {
        return Ok(());
    }
    bail!("{status}")
}

fn not_started(command: &Command) -> String {
    format!("cannot start {}", command.get_program().display())
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = command.get_program();
    let program = std::path::Path::new(program).file_name().unwrap_or(program);
    std::iter::once(program)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failed_step_makes_the_whole_fail() {
        let mut steps = Steps::start();
        assert!(steps.run("works", &mut shell("true")).is_ok());
        assert!(steps.run("breaks", &mut shell("exit 3")).is_err());
        let error = steps.finish().expect_err("one step failed").to_string();
        assert_eq!(error, "failed: breaks");
    }

    #[test]
    fn tests_are_counted_even_when_they_fail() {
        let mut tally = Tally::default();
        let script = "echo 'test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out'; exit 101";
        assert!(count(&mut shell(script), &mut Vec::new(), &mut tally).is_err());
        assert_eq!(
            tally,
            Tally {
                passed: 3,
                failed: 2,
                skipped: 1
            }
        );
    }

    #[test]
    fn a_runner_that_counts_nothing_has_not_passed() {
        let mut tally = Tally::default();
        assert!(count(&mut shell("true"), &mut Vec::new(), &mut tally).is_err());
    }
}
