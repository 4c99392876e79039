//! `clearml-emulator`: the emulated server as a process of its own.

use std::net::SocketAddr;

use clap::Parser;
use portico_emulator::{Emulator, FeatureSet, NewTask, Seed, Settings, samples};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// An in-memory ClearML API server for development and tests. For loopback only: its passwords are printed.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8008")]
    listen: SocketAddr,
    /// `basic` as the open-source server, `advanced` as the enterprise server.
    #[arg(long, default_value = "basic", value_parser = feature_set)]
    feature_set: FeatureSet,
    /// Answer the controls for tests below `/_emulator/`.
    #[arg(long)]
    control: bool,
    /// Run the sample workloads too, each as a task of alice's that asks for an endpoint.
    #[arg(long)]
    samples: bool,
}

fn feature_set(word: &str) -> Result<FeatureSet, String> {
    let found = [FeatureSet::Basic, FeatureSet::Advanced]
        .into_iter()
        .find(|set| set.as_str() == word);
    found.ok_or_else(|| "expected basic or advanced".to_owned())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let settings = Settings {
        feature_set: options.feature_set,
        control: options.control,
        ..Settings::default()
    };
    let emulator = Emulator::new(Seed::default(), settings);
    let listener = TcpListener::bind(options.listen).await?;
    let running = if options.samples {
        Some(samples::start(options.listen.ip()).await?)
    } else {
        None
    };
    let samples: Vec<Value> = running
        .iter()
        .flat_map(samples::Samples::list)
        .map(|sample| show(&emulator, sample))
        .collect();
    let ready = json!({
        "url": format!("http://{}", listener.local_addr()?),
        "feature_set": options.feature_set,
        "companies": emulator.seed().companies,
        "actors": emulator.seed().actors,
        "samples": samples,
    });
    #[expect(clippy::disallowed_macros, reason = "the one line that callers wait for")]
    {
        println!("{ready}");
    }
    // Without a signal handler the process ends by the signal itself.
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    emulator.serve(listener, interrupted).await;
    Ok(())
}

/// Makes the task of a sample and tells of both.
fn show(emulator: &Emulator, sample: &samples::Sample) -> Value {
    let task = emulator.create_task(NewTask::asking("alice", sample.name, sample.address));
    json!({"name": sample.name, "summary": sample.summary, "address": sample.address, "task": task})
}
