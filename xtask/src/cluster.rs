//! `cargo xtask cluster`: a real Kubernetes on this machine, in a network of its own, from programs that are built once.

mod api;
mod image;
mod network;
mod node;
mod pieces;
mod place;
mod processes;
mod trust;

use std::path::Path;

use anyhow::Context;

use crate::steps::Steps;
use crate::tally::Tally;
use api::{Api, Spot};
use place::Run;

/// Arguments of `cargo xtask cluster`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Build the programs that are not in the cache yet
    Fetch,
    /// Start the cluster and say how to use it
    Up,
    /// End the cluster and remove everything that belongs to it
    Down,
    /// The tests of crates/kubernetes against an API server, then Portico from its chart in a cluster that is started for it
    Test(Test),
}

#[derive(clap::Args)]
struct Test {
    /// Only the tests of crates/kubernetes; needs neither root nor Debian packages
    #[arg(long)]
    only_api: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut steps = Steps::start();
    let mut tally = Tally::default();
    let outcome = match &arguments.what {
        What::Fetch => pieces::ALL.iter().try_for_each(|piece| piece.install(&mut steps)),
        What::Up => up(&mut steps),
        What::Down => down(&mut steps),
        What::Test(test) => test_all(&mut steps, &mut tally, test),
    };
    let finished = steps.finish();
    if matches!(arguments.what, What::Test(_)) {
        println!("{tally}");
    }
    finished.and(outcome)
}

fn up(steps: &mut Steps) -> anyhow::Result<()> {
    pieces::packages(steps)?;
    pieces::ALL.iter().try_for_each(|piece| piece.install(steps))?;
    let run = Run::cluster()?;
    if run.is_there() {
        anyhow::bail!("there is a cluster already: end it with `cargo xtask cluster down`");
    }
    node::is_alone()?;
    steps.inspect("start the cluster", || {
        start(&run).inspect_err(|_| println!("    its logs are in {}", run.logs().display()))
    })
}

fn start(run: &Run) -> anyhow::Result<String> {
    run.create()?;
    network::create()?;
    trust::make(run, &node::NAMES)?;
    let api = Api::start(run, &Spot::of_cluster())?;
    node::start(run, &api)?;
    Ok(format!(
        "kubectl: nsenter --net={} {} --kubeconfig {}",
        network::path(),
        pieces::KUBERNETES.program("kubectl")?.display(),
        run.kubeconfig("admin").display()
    ))
}

fn down(steps: &mut Steps) -> anyhow::Result<()> {
    let run = Run::cluster()?;
    steps.inspect("end the cluster", || {
        node::end(&run)?;
        processes::end_all(&run)?;
        node::clean(&run)?;
        network::remove()?;
        run.remove()?;
        Ok("nothing is left".to_owned())
    })
}

fn test_all(steps: &mut Steps, tally: &mut Tally, test: &Test) -> anyhow::Result<()> {
    with_api_server(steps, tally)?;
    if test.only_api {
        return Ok(());
    }
    steps.run("build", &mut crate::e2e::build())?;
    let helm = crate::chart::helm::install(steps)?;
    let python = crate::python::environment(steps)?;
    up(steps)?;
    let outcome = in_cluster(steps, tally, &helm, &python);
    // The logs of what failed go with the cluster: what the tests show of them must do.
    down(steps).and(outcome)
}

/// Runs the end-to-end tests of the cluster in its network.
fn in_cluster(steps: &mut Steps, tally: &mut Tally, helm: &Path, python: &Path) -> anyhow::Result<()> {
    let run = Run::cluster()?;
    steps.inspect("images of what was built", || {
        for (name, program) in [("portico", "portico"), ("emulator", "clearml-emulator")] {
            let archive = image::program(
                &run,
                &format!("portico.local/{name}:dev"),
                &crate::place::built(program)?,
            )?;
            image::load(&run, &archive)?;
        }
        Ok("portico.local/portico:dev, portico.local/emulator:dev".to_owned())
    })?;
    let kubeconfig = run.kubeconfig("admin");
    let with = |program: &Path| format!("{} --kubeconfig {}", program.display(), kubeconfig.display());
    let mut tests = network::inside(python);
    tests.args([
        "-m",
        "pytest",
        "e2e/cluster",
        "--confcutdir=e2e/cluster",
        "--verbose",
        "--durations=10",
    ]);
    tests
        .current_dir(crate::place::root())
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONUTF8", "1")
        .env("PORTICO_CLUSTER_KUBECTL", with(&pieces::KUBERNETES.program("kubectl")?))
        .env("PORTICO_CLUSTER_HELM", with(helm))
        .env("PORTICO_CLUSTER_AUDIT", run.logs().join("audit.jsonl"));
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
            let mut tests = crate::place::cargo();
            tests.args([
                "test",
                "--locked",
                "--package",
                "portico-kubernetes",
                "--test",
                "api_server",
            ]);
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
