//! What a node writes outside of its directory, mounts and control groups.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::place::Run;
use super::processes::output;

/// Where every kubelet meets devices, whatever its settings are.
const DEVICES: &str = "/var/lib/kubelet";

/// Refuses to share a machine with another node.
pub(super) fn is_alone() -> anyhow::Result<()> {
    if Path::new(DEVICES).exists() {
        bail!("{DEVICES} is there: another kubelet runs on this machine, or has left it behind");
    }
    Ok(())
}

/// Removes mounts, control groups and what is written outside of the cluster's directory, once nothing runs.
pub(super) fn clean(run: &Run) -> anyhow::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read the mounts")?;
    let root = run.root().display().to_string() + "/";
    let own = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let mut own: Vec<&str> = own.filter(|place| place.starts_with(&root)).collect();
    // The inner ones first.
    own.sort_by_key(|place| std::cmp::Reverse(place.len()));
    for place in own {
        output(Command::new("umount").args(["--lazy", place]))?;
    }
    for group in groups() {
        // From the bottom up; a group that is still used says so.
        output(Command::new("find").args([&group, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]))?;
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
    // Ours alone: `is_alone` has seen to it.
    let _ = fs::remove_dir_all(DEVICES);
    for directory in OUTSIDE {
        let _ = fs::remove_dir(directory);
    }
    Ok(())
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

fn groups() -> Vec<String> {
    let Ok(controllers) = fs::read_dir("/sys/fs/cgroup") else {
        return Vec::new();
    };
    let paths = controllers.filter_map(|entry| Some(entry.ok()?.path().join("kubepods")));
    let there = paths.chain([Path::new("/sys/fs/cgroup/kubepods").to_path_buf()]);
    there
        .filter(|path| path.exists())
        .map(|path| path.display().to_string())
        .collect()
}
