//! Programs that run on after this one has ended, each with a log, and found again to be ended.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::place::Run;

/// How long something may take to come up. A machine that builds besides is slow.
pub(super) const PATIENCE: Duration = Duration::from_mins(6);
/// How long a program may take to end when asked.
const FAREWELL: Duration = Duration::from_secs(5);
/// How many lines of a log tell why a program has ended.
const LAST_WORDS: usize = 8;
const BETWEEN: Duration = Duration::from_millis(100);

/// Starts a program in the background.
pub(super) fn start(run: &Run, name: &str, command: &mut Command) -> anyhow::Result<()> {
    let log = File::create(run.logs().join(format!("{name}.log"))).context("cannot write a log")?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // The terminal's Ctrl-C is for us alone.
        .process_group(0);
    let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let born = born(child.id()).with_context(|| format!("{name} ended at once"))?;
    fs::write(run.pids().join(name), format!("{} {born}", child.id())).context("cannot write a pid file")
}

/// Ends one program, if it runs.
pub(super) fn end(run: &Run, name: &str) -> anyhow::Result<()> {
    let file = run.pids().join(name);
    let Ok(text) = fs::read_to_string(&file) else {
        return Ok(());
    };
    let (pid, since) = text.split_once(' ').context("a pid file is damaged")?;
    let pid: u32 = pid.parse()?;
    for signal in ["-TERM", "-KILL"] {
        if !is_alive(pid, since) {
            break;
        }
        Command::new("kill").args([signal, &pid.to_string()]).status()?;
        let asked = Instant::now();
        while is_alive(pid, since) && asked.elapsed() < FAREWELL {
            thread::sleep(BETWEEN);
        }
    }
    if is_alive(pid, since) {
        bail!("{name} (process {pid}) cannot be ended");
    }
    fs::remove_file(&file).context("cannot remove a pid file")
}

/// Ends everything that was started and not ended yet.
pub(super) fn end_all(run: &Run) -> anyhow::Result<()> {
    let Ok(files) = fs::read_dir(run.pids()) else {
        return Ok(());
    };
    let mut names: Vec<String> = files
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .collect();
    // The stores go last, so that the others need not look for them while they end.
    names.sort_by_key(|name| (name == "containerd", name == "kube-apiserver", name == "etcd"));
    names.iter().try_for_each(|name| end(run, name))
}

/// Waits until `is_so`, and says what the last look found otherwise.
pub(super) fn wait(what: &str, is_so: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    wait_unless(what, || Ok(()), is_so)
}

/// Waits until `is_so` while everything runs that was started: what has ended by itself does not come back.
pub(super) fn wait_for_start(run: &Run, what: &str, is_so: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    wait_unless(what, || all_run(run), is_so)
}

fn wait_unless(
    what: &str,
    is_possible: impl Fn() -> anyhow::Result<()>,
    mut is_so: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        match is_so() {
            Ok(()) => return Ok(()),
            Err(error) if began.elapsed() > PATIENCE => {
                return Err(error).with_context(|| format!("{what} took more than {} s", PATIENCE.as_secs()));
            }
            Err(_) => is_possible().with_context(|| what.to_owned())?,
        }
        thread::sleep(BETWEEN);
    }
}

/// An error with the end of its log, if a program has ended by itself.
fn all_run(run: &Run) -> anyhow::Result<()> {
    for file in fs::read_dir(run.pids()).context("cannot read the pid files")? {
        let file = file?;
        let text = fs::read_to_string(file.path()).context("cannot read a pid file")?;
        let (pid, since) = text.split_once(' ').context("a pid file is damaged")?;
        if is_alive(pid.parse()?, since) {
            continue;
        }
        let name = file.file_name().display().to_string();
        let log = run.logs().join(format!("{name}.log"));
        let told = fs::read(&log).unwrap_or_default();
        let told = String::from_utf8_lossy(&told);
        let end: Vec<&str> = told.lines().rev().take(LAST_WORDS).collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        bail!(
            "{name} has ended by itself; the end of {}:\n{}",
            log.display(),
            end.join("\n")
        );
    }
    Ok(())
}

/// What a command prints. An error if it fails.
pub(super) fn output(command: &mut Command) -> anyhow::Result<String> {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        bail!("{program}: {}: {}", output.status, told.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A process' time of birth, by which it is told from a later one with the same number.
fn born(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let behind_name = text.rsplit_once(") ")?.1;
    let mut fields = behind_name.split(' ');
    (fields.next()? != "Z").then_some(())?;
    fields.nth(18).map(str::to_owned)
}

fn is_alive(pid: u32, since: &str) -> bool {
    born(pid).is_some_and(|born| born == since)
}
