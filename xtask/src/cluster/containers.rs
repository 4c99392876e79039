//! containerd and the pods' network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::place::Run;
use super::processes::{output, start as begin, wait, wait_for_start};
use super::{network, registry};

/// The image that holds a pod's network while its containers come and go.
pub(super) const PAUSE: &str = "portico.local/pause:1";

/// Starts containerd, which brings back the containers that are there.
pub(super) fn start(run: &Run) -> anyhow::Result<()> {
    let root = run.root().display();
    let registries = registry::introduce(run)?;
    let text = format!(
        "version = 2\nroot = \"{root}/containerd/root\"\nstate = \"{root}/containerd/state\"\n\
         [grpc]\naddress = \"{root}/containerd.sock\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"{PAUSE}\"\nrestrict_oom_score_adj = true\n\
         netns_mounts_under_state_dir = true\n\
         [plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"{}\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"/usr/lib/cni\"\nconf_dir = \"{root}/cni\"\n",
        registries.display()
    );
    let settings = run.write("containerd.toml", &text)?;
    fs::create_dir_all(run.root().join("cni")).context("cannot make a directory")?;
    fs::write(run.root().join("cni/10-portico.conflist"), cni(run)).context("cannot write the pods' network")?;
    let mut containerd = network::inside(Path::new("containerd"));
    begin(run, "containerd", containerd.arg("--config").arg(settings))?;
    wait_for_start(run, "containerd", || output(ctr(run).arg("version")).map(drop))
}

/// Asks containerd for something.
pub(super) fn ctr(run: &Run) -> Command {
    let mut command = Command::new("ctr");
    command
        .arg("--address")
        .arg(socket(run))
        .args(["--namespace", "k8s.io"]);
    command
}

fn socket(run: &Run) -> PathBuf {
    run.root().join("containerd.sock")
}

fn cni(run: &Run) -> String {
    let plugins = serde_json::json!([
        {
            "type": "bridge", "bridge": "pods0", "isGateway": true, "hairpinMode": true,
            "ipam": {
                "type": "host-local", "dataDir": run.root().join("addresses"),
                "ranges": [[{"subnet": network::PODS}]], "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": true}},
    ]);
    serde_json::json!({"cniVersion": "0.4.0", "name": "portico", "plugins": plugins}).to_string()
}

/// Ends all containers. What starts them ends first.
pub(super) fn end(run: &Run) -> anyhow::Result<()> {
    super::processes::end(run, "kubelet")?;
    // It would wait long for a containerd that was never started.
    if !socket(run).exists() || output(ctr(run).arg("version")).is_err() {
        return Ok(());
    }
    let tasks = output(ctr(run).args(["tasks", "list", "--quiet"]))?;
    for task in tasks.lines() {
        // It may have ended by itself in the meantime.
        let _ = output(ctr(run).args(["tasks", "kill", "--signal", "SIGKILL", "--all", task]));
    }
    wait("the end of the containers", || {
        let tasks = output(ctr(run).args(["tasks", "list"]))?;
        if tasks.contains("RUNNING") {
            bail!("containers still run:\n{tasks}")
        }
        Ok(())
    })?;
    for task in tasks.lines() {
        let _ = output(ctr(run).args(["tasks", "delete", "--force", task]));
        let _ = output(ctr(run).args(["containers", "delete", task]));
    }
    Ok(())
}
