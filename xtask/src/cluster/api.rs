//! etcd and the API server: what answers, without anything that runs.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use anyhow::{Context, bail};

use super::place::Run;
use super::processes::{output, start, wait_for_start};
use super::{network, pieces, trust};

/// Where the two are, and in which network.
pub(super) struct Spot {
    address: Ipv4Addr,
    port: u16,
    etcd: [u16; 2],
    is_in_namespace: bool,
}

impl Spot {
    /// In the cluster's own network.
    pub(super) fn of_cluster() -> Self {
        Self {
            address: network::NODE,
            port: 6443,
            etcd: [2379, 2380],
            is_in_namespace: true,
        }
    }

    /// On free ports of this machine.
    pub(super) fn on_loopback() -> anyhow::Result<Self> {
        let listeners = [0; 3].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
        let mut ports = Vec::new();
        for listener in listeners {
            ports.push(
                listener
                    .and_then(|listener| listener.local_addr())
                    .context("no free port")?
                    .port(),
            );
        }
        let [port, client, peer] = ports[..] else {
            bail!("three ports were asked for");
        };
        Ok(Self {
            address: Ipv4Addr::LOCALHOST,
            port,
            etcd: [client, peer],
            is_in_namespace: false,
        })
    }

    fn command(&self, program: &std::path::Path) -> Command {
        if self.is_in_namespace {
            network::inside(program)
        } else {
            Command::new(program)
        }
    }
}

/// A running API server.
pub(super) struct Api {
    /// `https://127.0.0.1:6443`.
    pub(super) server: String,
    /// With which an administrator is known, besides by certificate.
    pub(super) token: String,
}

impl Api {
    /// Starts both and waits until they are ready.
    pub(super) fn start(run: &Run, spot: &Spot) -> anyhow::Result<Self> {
        let [client, peer] = spot.etcd.map(|port| format!("http://127.0.0.1:{port}"));
        let mut etcd = spot.command(&pieces::ETCD.program("etcd")?);
        etcd.arg("--data-dir").arg(run.root().join("etcd"));
        etcd.args([
            "--name",
            "only",
            "--listen-client-urls",
            &client,
            "--advertise-client-urls",
            &client,
        ]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        etcd.args(["--initial-cluster", &format!("only={peer}")]);
        // A test's data need not survive a power cut.
        etcd.arg("--unsafe-no-fsync");
        start(run, "etcd", &mut etcd)?;

        let token = trust::random()?;
        let tokens = run.write(
            "tokens.csv",
            &format!("{token},administrator,administrator,system:masters\n"),
        )?;
        let audit = run.write("audit.yaml", AUDIT)?;
        let server = format!("https://{}:{}", spot.address, spot.port);
        let mut api = spot.command(&pieces::KUBERNETES.program("kube-apiserver")?);
        api.args(["--etcd-servers", &client, "--secure-port", &spot.port.to_string()]);
        api.args([
            "--bind-address",
            &spot.address.to_string(),
            "--advertise-address",
            &spot.address.to_string(),
        ]);
        api.args([
            "--authorization-mode",
            "Node,RBAC",
            "--enable-admission-plugins",
            "NodeRestriction",
        ]);
        if !spot.is_in_namespace {
            // Without a controller nobody makes the accounts that pods would need.
            api.args(["--disable-admission-plugins", "ServiceAccount"]);
        }
        api.args([
            "--kubelet-preferred-address-types",
            "InternalIP",
            "--allow-privileged=true",
        ]);
        api.args([
            "--service-cluster-ip-range",
            network::SERVICES,
            "--service-node-port-range",
            "30000-32767",
        ]);
        api.args(["--service-account-issuer", "https://kubernetes.default.svc"]);
        api.arg("--service-account-signing-key-file").arg(run.key("accounts"));
        api.arg("--service-account-key-file").arg(run.certificate("accounts"));
        api.arg("--client-ca-file")
            .arg(run.certificate("ca"))
            .arg("--token-auth-file")
            .arg(tokens);
        api.arg("--tls-cert-file").arg(run.certificate("kube-apiserver"));
        api.arg("--tls-private-key-file").arg(run.key("kube-apiserver"));
        api.arg("--kubelet-client-certificate")
            .arg(run.certificate("kubelet-client"));
        api.arg("--kubelet-client-key").arg(run.key("kubelet-client"));
        api.arg("--audit-policy-file")
            .arg(audit)
            .arg("--audit-log-path")
            .arg(run.logs().join("audit.jsonl"));
        start(run, "kube-apiserver", &mut api)?;

        trust::kubeconfig(run, "admin", &server)?;
        let started = Self { server, token };
        wait_for_start(run, "the API server's start", || {
            let ready = output(kubectl(run, spot.is_in_namespace)?.args(["get", "--raw", "/readyz"]))?;
            if ready == "ok" {
                Ok(())
            } else {
                bail!("it says {ready}")
            }
        })?;
        Ok(started)
    }
}

/// What accounts of the namespaces did, for the tests of the least rights.
const AUDIT: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- level: None\n  userGroups: [\"system:nodes\", \"system:masters\"]\n- level: Metadata\n  userGroups: [\"system:serviceaccounts\"]\n- level: None\n";

/// kubectl as the administrator.
pub(super) fn kubectl(run: &Run, is_in_namespace: bool) -> anyhow::Result<Command> {
    let program = pieces::KUBERNETES.program("kubectl")?;
    let mut command = if is_in_namespace {
        network::inside(&program)
    } else {
        Command::new(program)
    };
    command.arg("--kubeconfig").arg(run.kubeconfig("admin"));
    // It would keep what it learns of the server in the user's home.
    command.arg("--cache-dir").arg(run.root().join("kubectl"));
    Ok(command)
}
