//! What runs pods: kubelet, kube-proxy and the controllers.

use anyhow::bail;

use super::api::{Api, kubectl};
use super::place::Run;
use super::processes::{output, start as begin, wait_for_start};
use super::trust::Party;
use super::{containers, image, network, pieces, trust};

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

/// Starts everything and waits until the node is ready.
pub(super) fn start(run: &Run, api: &Api) -> anyhow::Result<()> {
    for party in &NAMES {
        trust::kubeconfig(run, party.name, &api.server)?;
    }
    containers::start(run)?;
    image::load(run, &image::pause(containers::PAUSE)?)?;
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
    controllers.args([
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--concurrent-namespace-syncs=20",
    ]);
    // A machine that is busy must not lose its only node, and with it every pod's address.
    controllers.arg("--node-monitor-grace-period=10m");
    begin(run, "kube-controller-manager", &mut controllers)?;

    let mut scheduler = network::inside(&pieces::KUBERNETES.program("kube-scheduler")?);
    scheduler.args(["--leader-elect=false", "--bind-address=127.0.0.1"]);
    begin(
        run,
        "kube-scheduler",
        scheduler.arg("--kubeconfig").arg(run.kubeconfig("kube-scheduler")),
    )?;

    kubelet(run)?;

    let settings = run.write("kube-proxy.yaml", &proxy_settings(run))?;
    let mut proxy = network::inside(&pieces::KUBERNETES.program("kube-proxy")?);
    begin(run, "kube-proxy", proxy.arg("--config").arg(settings))?;

    wait_for_start(run, "the node", || {
        let told = output(kubectl(run, true)?.args(["get", "node", "node", "-o", READY]))?;
        if told.contains("Ready=True") {
            Ok(())
        } else {
            bail!("the node is not ready: {told}")
        }
    })
}

/// Starts the kubelet.
pub(super) fn kubelet(run: &Run) -> anyhow::Result<()> {
    let settings = run.write("kubelet.yaml", &kubelet_settings(run)?)?;
    let mut kubelet = network::inside(&pieces::KUBERNETES.program("kubelet")?);
    kubelet.args(["--hostname-override=node", &format!("--node-ip={}", network::NODE)]);
    kubelet.arg("--kubeconfig").arg(run.kubeconfig("kubelet"));
    kubelet
        .arg("--config")
        .arg(settings)
        .arg("--root-dir")
        .arg(run.root().join("kubelet"));
    begin(run, "kubelet", &mut kubelet)
}

const READY: &str = "jsonpath={range .status.conditions[*]}{.type}={.status} {.message}; {end}";

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
