//! A network without a way out: the node's bridge, the pods' and the Services' addresses.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use super::place::Run;
use super::processes::output;

/// The network namespace's name.
const NAME: &str = "portico-cluster";
/// The node's address. 198.18.0.0/15 is for tests, and nobody's.
pub(super) const NODE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The registry's address, on the node's bridge.
pub(super) const REGISTRY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// The names that lead somewhere. There is no name service: visitors have these in their `/etc/hosts`.
const HOSTS: [(&str, Ipv4Addr); 5] = [
    ("localhost", Ipv4Addr::LOCALHOST),
    ("registry.example.com", REGISTRY),
    ("gateway.example.com", NODE),
    ("console.example.com", NODE),
    ("lab.walk.test", NODE),
];
/// The pods' addresses.
pub(super) const PODS: &str = "198.18.1.0/24";
/// The Services' addresses.
pub(super) const SERVICES: &str = "198.18.2.0/24";

/// Where the namespace is.
pub(super) fn path() -> String {
    format!("/run/netns/{NAME}")
}

/// A command that runs a program in the namespace. Not by `ip netns exec`, which hides `/sys/fs/cgroup`.
pub(super) fn inside(program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", path())).arg(program);
    command
}

/// A command that runs a program in the namespace, where it finds the names that [`hosts`] has.
pub(super) fn visiting(run: &Run, program: &Path) -> Command {
    let mut command = inside(Path::new("unshare"));
    command.args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""]);
    command.arg(run.config("hosts")).arg(program);
    command
}

/// Writes the names down.
fn hosts(run: &Run) -> anyhow::Result<()> {
    let lines = HOSTS.map(|(name, address)| format!("{address} {name}\n"));
    run.write("hosts", &lines.concat()).map(drop)
}

/// Makes the namespace.
pub(super) fn create(run: &Run) -> anyhow::Result<()> {
    hosts(run)?;
    output(Command::new("ip").args(["netns", "add", NAME]))?;
    let [address, registry] = [NODE, REGISTRY].map(|address| format!("{address}/24"));
    let gateway = Ipv4Addr::new(198, 18, 0, 254).to_string();
    for arguments in [
        &["link", "set", "lo", "up"][..],
        // A bridge, since some kernels know no dummy.
        &["link", "add", "node0", "type", "bridge"],
        &["addr", "add", &address, "dev", "node0"],
        &["addr", "add", &registry, "dev", "node0"],
        &["link", "set", "node0", "up"],
        // Services' addresses need a route, if only to be translated.
        &["route", "add", "default", "via", &gateway],
    ] {
        output(inside(Path::new("ip")).args(arguments))?;
    }
    output(inside(Path::new("sysctl")).args(["-q", "-w", "net.ipv4.ip_forward=1"])).map(drop)
}

/// Removes the namespace, if it is there.
pub(super) fn remove() -> anyhow::Result<()> {
    if Path::new(&path()).exists() {
        output(Command::new("ip").args(["netns", "delete", NAME]))?;
    }
    Ok(())
}
