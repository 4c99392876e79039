//! A registry by TLS, with a password: Debian's docker-registry, at an address of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::place::Run;
use super::processes::{output, start as begin, wait_for_start};
use super::trust::Party;
use super::{network, trust};

/// The name that clients and the kubelet call it by.
const NAME: &str = "registry.example.com";
/// Who may log in.
const USER: &str = "someone";

/// Its certificate.
pub(super) const PARTY: Party = Party {
    name: "registry",
    subject: "/CN=registry.example.com",
    // containerd calls it by its address.
    places: "DNS:registry.example.com,IP:198.18.0.2",
};

/// Starts it, empty. The password of [`USER`] is in `config/registry-password`.
pub(super) fn start(run: &Run) -> anyhow::Result<()> {
    let password = trust::random()?;
    run.write("registry-password", &password)?;
    let known = output(Command::new("htpasswd").args(["-nbB", USER, &password]))?;
    let known = run.write("registry-users", &known)?;
    let settings = serde_json::json!({
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": true}},
        "storage": {"filesystem": {"rootdirectory": run.root().join("registry")}},
        "auth": {"htpasswd": {"realm": NAME, "path": known}},
        "http": {
            "addr": format!("{}:443", network::REGISTRY),
            "secret": trust::random()?,
            "tls": {"certificate": run.certificate(PARTY.name), "key": run.key(PARTY.name)},
        },
    });
    // What is JSON is YAML, too.
    let settings = run.write("registry.yaml", &settings.to_string())?;
    let mut registry = network::inside(Path::new("docker-registry"));
    registry.env("OTEL_TRACES_EXPORTER", "none");
    begin(run, "registry", registry.arg("serve").arg(settings))?;
    wait_for_start(run, "the registry's start", || {
        let mut ask = network::visiting(run, Path::new("curl"));
        ask.args([
            "--silent",
            "--show-error",
            "--fail",
            "--noproxy",
            "*",
            "--max-time",
            "5",
        ]);
        ask.arg("--cacert").arg(run.certificate("ca"));
        ask.args(["--user", &format!("{USER}:{password}"), &format!("https://{NAME}/v2/")]);
        output(&mut ask).map(drop)
    })
}

/// Tells containerd where the name leads and whom to trust. Returns the directory that its settings name.
pub(super) fn introduce(run: &Run) -> anyhow::Result<std::path::PathBuf> {
    let all = run.config("registries");
    fs::create_dir_all(all.join(NAME)).context("cannot make a directory")?;
    let text = format!(
        "server = \"https://{NAME}\"\n[host.\"https://{}\"]\ncapabilities = [\"pull\", \"resolve\"]\nca = \"{}\"\n",
        network::REGISTRY,
        run.certificate("ca").display()
    );
    fs::write(all.join(NAME).join("hosts.toml"), text).context("cannot tell of the registry")?;
    Ok(all)
}
