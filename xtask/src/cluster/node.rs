//! What runs pods: containerd, kubelet and the controllers.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::api::{Api, kubectl};
use super::place::Run;
use super::processes::{output, start as begin, wait};
use super::trust::Party;
use super::{image, network, pieces, trust};

/// Those who have a certificate besides the API server and the administrator.
pub(super) const NAMES: [Party; 4] = [
    Party {
        name: "kubelet",
        subject: "/O=system:nodes/CN=system:node:node",
        places: "IP:198.18.0.1",
    },
    Party {
        name: "kube-controller-manager",
        subject: "/CN=system:kube-controller-manager",
        places: "",
    },
    Party {
        name: "kube-scheduler",
        subject: "/CN=system:kube-scheduler",
        places: "",
    },
    Party {
        name: "kube-proxy",
        subject: "/CN=system:kube-proxy",
        places: "",
    },
];

/// The image that holds a pod's network while its containers come and go.
const PAUSE: &str = "portico.local/pause:1";

/// Starts everything and waits until the node is ready.
pub(super) fn start(run: &Run, api: &Api) -> anyhow::Result<()> {
    for party in &NAMES {
        trust::kubeconfig(run, party.name, &api.server)?;
    }
    containers(run)?;
    let mut controllers = network::inside(&pieces::KUBERNETES.program("kube-controller-manager")?);
    controllers.args([
        "--leader-elect=false",
        "--use-service-account-credentials",
        "--bind-address=127.0.0.1",
    ]);
    controllers
        .arg("--kubeconfig")
        .arg(run.kubeconfig("kube-controller-manager"));
    controllers
        .arg("--service-account-private-key-file")
        .arg(run.key("accounts"));
    controllers.arg("--root-ca-file").arg(run.certificate("ca"));
    // How soon a new namespace has its account, and a removed one is gone, is what tests wait for.
    begin(run, "kube-controller-manager", &mut controllers)?;

    let mut scheduler = network::inside(&pieces::KUBERNETES.program("kube-scheduler")?);
    scheduler.args(["--leader-elect=false", "--bind-address=127.0.0.1"]);
    begin(
        run,
        "kube-scheduler",
        scheduler.arg("--kubeconfig").arg(run.kubeconfig("kube-scheduler")),
    )?;

    let settings = run.write("kubelet.yaml", &kubelet_settings(run)?)?;
    let mut kubelet = network::inside(&pieces::KUBERNETES.program("kubelet")?);
    kubelet.args(["--hostname-override=node", &format!("--node-ip={}", network::NODE)]);
    kubelet.arg("--kubeconfig").arg(run.kubeconfig("kubelet"));
    kubelet
        .arg("--config")
        .arg(settings)
        .arg("--root-dir")
        .arg(run.root().join("kubelet"));
    begin(run, "kubelet", &mut kubelet)?;

    let settings = run.write("kube-proxy.yaml", &proxy_settings(run))?;
    let mut proxy = network::inside(&pieces::KUBERNETES.program("kube-proxy")?);
    begin(run, "kube-proxy", proxy.arg("--config").arg(settings))?;

    wait("the node", || {
        let told = output(kubectl(run, true)?.args(["get", "node", "node", "-o", READY]))?;
        if told.contains("Ready=True") {
            Ok(())
        } else {
            bail!("the node is not ready: {told}")
        }
    })
}

const READY: &str = "jsonpath={range .status.conditions[*]}{.type}={.status} {.message}; {end}";

fn containers(run: &Run) -> anyhow::Result<()> {
    let root = run.root().display();
    let text = format!(
        "version = 2\nroot = \"{root}/containerd/root\"\nstate = \"{root}/containerd/state\"\n\
         [grpc]\naddress = \"{root}/containerd.sock\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"{PAUSE}\"\nrestrict_oom_score_adj = true\n\
         netns_mounts_under_state_dir = true\n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"/usr/lib/cni\"\nconf_dir = \"{root}/cni\"\n"
    );
    let settings = run.write("containerd.toml", &text)?;
    fs::create_dir_all(run.root().join("cni")).context("cannot make a directory")?;
    fs::write(run.root().join("cni/10-portico.conflist"), cni(run)).context("cannot write the pods' network")?;
    let mut containerd = network::inside(Path::new("containerd"));
    begin(run, "containerd", containerd.arg("--config").arg(settings))?;
    wait("containerd", || output(ctr(run).arg("version")).map(drop))?;
    image::load(run, &image::pause(PAUSE)?)
}

/// Puts an image where the node finds it without a registry.
pub(super) fn ctr(run: &Run) -> Command {
    let mut command = Command::new("ctr");
    command
        .arg("--address")
        .arg(run.root().join("containerd.sock"))
        .args(["--namespace", "k8s.io"]);
    command
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

fn kubelet_settings(run: &Run) -> anyhow::Result<String> {
    // Without a resolver: there is no name service, and no way out to one.
    let resolver = run.write("resolv.conf", "")?;
    let root = run.root();
    let settings = serde_json::json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": network::NODE, "containerRuntimeEndpoint": format!("unix://{}/containerd.sock", root.display()),
        "authentication": {
            "anonymous": {"enabled": false}, "webhook": {"enabled": true}, "x509": {"clientCAFile": run.certificate("ca")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": run.certificate("kubelet"), "tlsPrivateKeyFile": run.key("kubelet"),
        "cgroupDriver": "cgroupfs", "failCgroupV1": false, "failSwapOn": false,
        "cgroupRoot": "/", "resolvConf": resolver, "podLogsDir": root.join("pod-logs"),
        "volumePluginDir": root.join("volume-plugins"),
        "evictionHard": {
            "memory.available": "50Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%", "imagefs.available": "1%",
        },
        // A full disk is no reason to throw images away: they come from no registry again.
        "imageGCHighThresholdPercent": 100,
        "shutdownGracePeriod": "0s", "syncFrequency": "5s",
    });
    Ok(settings.to_string())
}

fn proxy_settings(run: &Run) -> String {
    serde_json::json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": run.kubeconfig("kube-proxy")},
        "mode": "iptables", "clusterCIDR": network::PODS, "hostnameOverride": "node",
        "conntrack": {"maxPerCore": 0}, "iptables": {"minSyncPeriod": "100ms"},
    })
    .to_string()
}

/// Ends all containers. What starts them ends first.
pub(super) fn end(run: &Run) -> anyhow::Result<()> {
    super::processes::end(run, "kubelet")?;
    if output(ctr(run).arg("version")).is_err() {
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
