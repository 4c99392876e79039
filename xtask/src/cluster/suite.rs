//! The tests in the cluster, and those of crates/kubernetes against an API server alone.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{env, fs};

use anyhow::{Context, bail};

use super::api::{Api, Spot};
use super::place::Run;
use super::{down, network, pieces, processes, running, trust, up, vacant};
use crate::steps::Steps;
use crate::tally::Tally;
use crate::{debian, place};

/// Arguments of `cargo xtask cluster test`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Only the tests of crates/kubernetes; needs neither root nor Debian packages
    #[arg(long, conflicts_with = "running")]
    only_api: bool,
    /// Only the tests in the cluster, in the one that is up, which stays; `cluster load` gives it what was built since
    #[arg(long)]
    running: bool,
    /// The released image is pushed to the registry, as without `--running`; building it takes minutes
    #[arg(long, requires = "running")]
    release: bool,
    /// Arguments for pytest, for example `-- -k node_port -x`
    #[arg(last = true)]
    pytest: Vec<String>,
}

pub(super) fn run(steps: &mut Steps, tally: &mut Tally, arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.running {
        return in_cluster(steps, tally, &running()?, arguments.release, &arguments.pytest);
    }
    if arguments.only_api && !arguments.pytest.is_empty() {
        bail!("the tests of crates/kubernetes take no arguments for pytest");
    }
    if arguments.only_api {
        return with_api_server(steps, tally);
    }
    let run = vacant()?;
    // Tests wait most of the time. Those that push the image come late, and type the command themselves.
    let image = Background::start(&["image"])?;
    with_api_server(steps, tally)?;
    let outcome = up(steps).and_then(|()| in_cluster(steps, tally, &run, true, &arguments.pytest));
    drop(image);
    if outcome.is_err() && run.is_there() {
        // That they cannot be kept must not keep the cluster.
        let _ = steps.inspect("keep the logs of the cluster", || keep_logs(&run));
    }
    down(steps).and(outcome)
}

/// The logs would go with the cluster.
fn keep_logs(run: &Run) -> anyhow::Result<String> {
    let kept = place::root().join("target/cluster-logs");
    let _ = fs::remove_dir_all(&kept);
    let mut copy = Command::new("cp");
    copy.arg("--recursive").arg(run.logs()).arg(&kept);
    processes::output(&mut copy)?;
    Ok(kept.display().to_string())
}

/// Another command of this program, which runs when nothing else wants to.
struct Background(Child);

impl Background {
    fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let own = env::current_exe().context("cannot find this program's own path")?;
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(own).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0);
        Ok(Self(
            command.spawn().context("cannot start a program in the background")?,
        ))
    }
}

impl Drop for Background {
    /// Ends it, with what it started.
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let group = format!("-{}", self.0.id());
            let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
        }
        let _ = self.0.wait();
    }
}

/// Runs the end-to-end tests of the cluster in its network. They push what is released, or what was built.
fn in_cluster(
    steps: &mut Steps,
    tally: &mut Tally,
    run: &Run,
    is_release: bool,
    pytest: &[String],
) -> anyhow::Result<()> {
    debian::install(steps)?;
    let helm = crate::chart::helm::install(steps)?;
    let python = crate::python::environment(steps)?;
    let kubeconfig = run.kubeconfig("admin");
    let with = |program: &Path| format!("{} --kubeconfig {}", program.display(), kubeconfig.display());
    let mut tests = network::visiting(run, &python);
    tests.args(["-m", "pytest", "e2e/cluster", "--confcutdir=e2e/cluster"]);
    tests.args(["--verbose", "--durations=10"]).args(pytest);
    tests
        .current_dir(place::root())
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONUTF8", "1")
        .env("PORTICO_CLUSTER_KUBECTL", with(&pieces::KUBERNETES.program("kubectl")?))
        .env("PORTICO_CLUSTER_HELM", with(&helm))
        .env("PORTICO_CLUSTER_ROOT", run.root())
        .env("PORTICO_CLUSTER_AUDIT", run.logs().join("audit.jsonl"));
    if !is_release {
        tests.env("PORTICO_CLUSTER_IMAGE", run.image("portico"));
    }
    steps.tests("tests in the cluster", &mut tests, tally)
}

/// Runs the tests of crates/kubernetes against an API server of their own, without a node.
fn with_api_server(steps: &mut Steps, tally: &mut Tally) -> anyhow::Result<()> {
    pieces::ETCD.install(steps)?;
    pieces::KUBERNETES.install(steps)?;
    let run = Run::api()?;
    if run.is_there() {
        // Of a run that was ended by force.
        processes::end_all(&run)?;
        run.remove()?;
    }
    let mut server = None;
    let outcome = steps
        .inspect("start an API server", || {
            run.create()?;
            let spot = Spot::on_loopback()?;
            trust::make(&run, &[])?;
            let api = Api::start(&run, &spot)?;
            let text = api.server.clone();
            server = Some(api);
            Ok(text)
        })
        .and_then(|()| {
            let api = server.as_ref().context("it has started")?;
            let mut tests = place::cargo();
            // With the features of the whole workspace, for which the libraries are built already.
            tests.args(["test", "--locked", "--workspace", "--all-features"]);
            tests.args(["--test", "api_server"]);
            tests
                .env("PORTICO_TEST_API_SERVER", &api.server)
                .env("PORTICO_TEST_API_CA", run.certificate("ca"))
                .env("PORTICO_TEST_API_TOKEN", &api.token);
            steps.tests("tests against the API server", &mut tests, tally)
        });
    processes::end_all(&run)?;
    run.remove()?;
    outcome
}
