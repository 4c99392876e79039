//! What a node writes outside of its directory, mounts and control groups.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::place::Run;
use super::processes::{output, wait};

/// Where every kubelet meets devices, whatever its settings are.
const DEVICES: &str = "/var/lib/kubelet";

/// Refuses to share a machine with another node.
pub(super) fn is_alone() -> anyhow::Result<()> {
    if Path::new(DEVICES).exists() {
        bail!("{DEVICES} is there: another kubelet runs on this machine, or has left it behind");
    }
    Ok(())
}

/// Ends what still runs in our pods' control groups: what containerd could not be asked to end.
pub(super) fn end(run: &Run) -> anyhow::Result<()> {
    // Pods whose directory is gone have ended.
    let pods = names_in(&run.root().join("kubelet/pods"));
    let pods: Vec<String> = pods.iter().map(|uid| format!("pod{uid}")).collect();
    if pods.is_empty() {
        return Ok(());
    }
    wait("the end of what runs in pods", || {
        let left: BTreeSet<u32> = groups().iter().flat_map(|group| processes(group, &pods)).collect();
        for pid in &left {
            // It may have ended by itself in the meantime.
            let _ = output(Command::new("kill").args(["-KILL", &pid.to_string()]));
        }
        if left.is_empty() {
            Ok(())
        } else {
            bail!("{left:?} still run")
        }
    })
}

/// The processes below a control group, in the groups of these pods.
fn processes(group: &Path, pods: &[String]) -> Vec<u32> {
    let mut found = Vec::new();
    for name in names_in(group) {
        let inner = group.join(&name);
        if pods.contains(&name) {
            found.extend(all_processes(&inner));
        } else if inner.is_dir() {
            found.extend(processes(&inner, pods));
        }
    }
    found
}

fn all_processes(group: &Path) -> Vec<u32> {
    let told = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    // One that this namespace does not see has the number 0, which would mean ourselves.
    let mut found: Vec<u32> = told
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 1)
        .collect();
    let inner = names_in(group).into_iter().map(|name| group.join(name));
    found.extend(inner.filter(|path| path.is_dir()).flat_map(|path| all_processes(&path)));
    found
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Removes mounts, control groups and what is written outside of the cluster's directory, once nothing runs.
pub(super) fn clean(run: &Run) -> anyhow::Result<()> {
    for place in mounts(run)? {
        // Some go by themselves, as what held them ends.
        let _ = output(Command::new("umount").args(["--lazy", &place]));
    }
    let left = mounts(run)?;
    if !left.is_empty() {
        bail!("mounts that cannot be undone: {}", left.join(", "));
    }
    if run.is_there() {
        remove_groups()?;
        // Ours alone: `is_alone` has seen to it.
        let _ = fs::remove_dir_all(DEVICES);
    }
    // Places that no setting moves. Others may have something there: only what is ours goes, and directories that are empty then.
    remove_files("/var/log/containers", |path| {
        fs::read_link(path).is_ok_and(|target| target.starts_with(run.root()))
    });
    // The loopback's notes do not name the network, but the container.
    let notes = fs::read_dir("/var/lib/cni/results")
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let notes = notes.filter_map(|note| note.file_name().into_string().ok());
    let containers: Vec<String> = notes
        .filter_map(|name| Some(name.strip_prefix("portico-")?.split('-').next()?.to_owned()))
        .collect();
    remove_files("/var/lib/cni/results", |path| {
        let name = path.display().to_string();
        containers.iter().any(|container| name.contains(container.as_str()))
    });
    for directory in OUTSIDE {
        let _ = fs::remove_dir(directory);
    }
    Ok(())
}

/// The cluster's mounts, the inner ones first.
fn mounts(run: &Run) -> anyhow::Result<Vec<String>> {
    let all = fs::read_to_string("/proc/self/mounts").context("cannot read the mounts")?;
    let root = run.root().display().to_string() + "/";
    let places = all.lines().filter_map(|line| line.split(' ').nth(1));
    let mut own: Vec<String> = places
        .filter(|place| place.starts_with(&root))
        .map(str::to_owned)
        .collect();
    own.sort_by_key(|place| std::cmp::Reverse(place.len()));
    Ok(own)
}

/// Removes the pods' control groups, which are ours alone.
fn remove_groups() -> anyhow::Result<()> {
    // A process that was just ended is in its group for a moment.
    wait("the end of the control groups", || {
        for group in groups() {
            // From the bottom up. Some go by themselves meanwhile.
            let mut remove = Command::new("find");
            remove
                .arg(&group)
                .args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]);
            let _ = output(&mut remove);
        }
        match groups().as_slice() {
            [] => Ok(()),
            [first, ..] => bail!("{} is still used", first.display()),
        }
    })
}

/// The inner ones first.
const OUTSIDE: [&str; 12] = [
    "/var/log/containers",
    "/var/log/pods",
    "/var/lib/cni/results",
    "/var/lib/cni/cache",
    "/var/lib/cni",
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec",
    "/usr/libexec/kubernetes/kubelet-plugins/volume",
    "/usr/libexec/kubernetes/kubelet-plugins",
    "/usr/libexec/kubernetes",
    "/run/containerd/runc/k8s.io",
    "/run/containerd/runc",
    "/run/containerd/s",
];

fn remove_files(directory: &str, is_ours: impl Fn(&Path) -> bool) {
    let files = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    for path in files.map(|file| file.path()).filter(|path| is_ours(path)) {
        let _ = fs::remove_file(path);
    }
}

fn groups() -> Vec<PathBuf> {
    let Ok(controllers) = fs::read_dir("/sys/fs/cgroup") else {
        return Vec::new();
    };
    let paths = controllers.filter_map(|entry| Some(entry.ok()?.path().join("kubepods")));
    let there = paths.chain([Path::new("/sys/fs/cgroup/kubepods").to_path_buf()]);
    there.filter(|path| path.exists()).collect()
}
