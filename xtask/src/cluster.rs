//! `cargo xtask cluster`: a real Kubernetes on this machine, in a network of its own, from programs that are built once.

mod api;
mod containers;
mod image;
mod ingress;
mod leftovers;
mod network;
mod node;
mod pieces;
mod place;
mod processes;
mod registry;
mod suite;
mod trust;
mod workloads;

use std::fs::{self, File, TryLockError};

use anyhow::{Context, bail};

use crate::steps::Steps;
use crate::tally::Tally;
use crate::{e2e, place as checkout};
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
    /// Start the cluster, give it the images of this checkout and say how to use it
    Up,
    /// Build this checkout again and give the cluster that is up the images of it
    Load,
    /// The tests of crates/kubernetes against an API server, then Portico from its chart in a cluster that is started for it
    Test(suite::Arguments),
    /// End the cluster and remove everything that belongs to it
    Down,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let _lock = lock()?;
    let mut steps = Steps::start();
    let mut tally = Tally::default();
    let outcome = match &arguments.what {
        What::Fetch => fetch(&mut steps),
        What::Up => up(&mut steps),
        What::Load => load(&mut steps),
        What::Test(test) => suite::run(&mut steps, &mut tally, test),
        What::Down => down(&mut steps),
    };
    let finished = steps.finish();
    if matches!(arguments.what, What::Test(_)) {
        println!("{tally}");
    }
    finished.and(outcome)
}

/// Waits until no other of these commands runs: all of them share one place.
fn lock() -> anyhow::Result<File> {
    let cache = checkout::cache()?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let path = cache.join("cluster.lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            println!("waiting for another `cargo xtask cluster`");
            file.lock().context("cannot wait for the other")?;
        }
        Err(TryLockError::Error(error)) => return Err(error).context("cannot keep others away"),
    }
    Ok(file)
}

/// Installs the Debian packages that a cluster needs.
pub(crate) fn packages(steps: &mut Steps) -> anyhow::Result<()> {
    pieces::packages(steps)
}

fn fetch(steps: &mut Steps) -> anyhow::Result<()> {
    pieces::packages(steps)?;
    pieces::ALL.iter().try_for_each(|piece| piece.install(steps))?;
    ingress::images(steps)?;
    workloads::install(steps)
}

fn up(steps: &mut Steps) -> anyhow::Result<()> {
    let run = vacant()?;
    fetch(steps)?;
    steps.run("build", &mut e2e::build())?;
    steps.inspect("start the cluster", || {
        start(&run).inspect_err(|_| println!("    its logs are in {}", run.logs().display()))
    })?;
    let archives = ingress::images(steps)?;
    steps.inspect("install contour and envoy", || {
        ingress::start(&run, &archives)?;
        Ok("ingress class contour; Gateway public in namespace gateways".to_owned())
    })?;
    images(steps, &run)?;
    steps.inspect("wait for contour and envoy", || {
        ingress::wait_until_ready(&run)?;
        Ok("198.18.0.1:80, 198.18.0.1:443".to_owned())
    })
}

/// The place of a cluster that is yet to be started. What is in the way is found before anything takes minutes.
fn vacant() -> anyhow::Result<Run> {
    let run = Run::cluster()?;
    if run.is_there() {
        bail!("there is a cluster already: end it with `cargo xtask cluster down`");
    }
    leftovers::is_alone()?;
    Ok(run)
}

fn start(run: &Run) -> anyhow::Result<String> {
    run.create()?;
    network::create(run)?;
    trust::make(run, node::NAMES.iter().chain([&registry::PARTY, &ingress::PARTY]))?;
    registry::start(run)?;
    let api = Api::start(run, &Spot::of_cluster())?;
    node::start(run, &api)?;
    Ok(format!(
        "kubectl: nsenter --net={} {} --kubeconfig {}",
        network::path(),
        pieces::KUBERNETES.program("kubectl")?.display(),
        run.kubeconfig("admin").display()
    ))
}

fn load(steps: &mut Steps) -> anyhow::Result<()> {
    let run = running()?;
    workloads::install(steps)?;
    steps.run("build", &mut e2e::build())?;
    images(steps, &run)
}

/// The cluster that is up.
fn running() -> anyhow::Result<Run> {
    let run = Run::cluster()?;
    if !run.is_there() {
        bail!("there is no cluster: start one with `cargo xtask cluster up`");
    }
    Ok(run)
}

/// Gives the node the images of what was built. Pods that run keep what they have.
fn images(steps: &mut Steps, run: &Run) -> anyhow::Result<()> {
    steps.inspect("load the images of what was built", || {
        let mut names = Vec::new();
        for (name, program) in [("portico", "portico"), ("emulator", "clearml-emulator")] {
            let name = format!("portico.local/{name}:dev");
            let at = format!("usr/bin/{program}");
            let config = serde_json::json!({"Entrypoint": [format!("/{at}")], "User": "65532:65532"});
            let archive = run.image(program);
            // Another run at the same time has an archive of its own.
            let fresh = archive.with_file_name(format!("{program}-{}.tar", std::process::id()));
            image::of_program(&name, &checkout::built(program)?, &at, &config, &fresh)?;
            fs::rename(&fresh, &archive)?;
            image::load(run, &archive)?;
            names.push(name);
        }
        Ok(names.join(", "))
    })?;
    workloads::load(steps, run)
}

fn down(steps: &mut Steps) -> anyhow::Result<()> {
    let run = Run::cluster()?;
    steps.inspect("end the cluster", || {
        containers::end(&run)?;
        processes::end_all(&run)?;
        leftovers::end(&run)?;
        leftovers::clean(&run)?;
        network::remove()?;
        run.remove()?;
        Ok("nothing is left".to_owned())
    })
}
