//! `clearml-emulator`: the emulated server as a process of its own.

use std::net::SocketAddr;

use clap::Parser;
use portico_emulator::{Emulator, FeatureSet, Seed, Settings};
use serde_json::json;
use tokio::net::TcpListener;

/// An in-memory `ClearML` API server for development and tests. For loopback only: its passwords are printed.
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
}

fn feature_set(word: &str) -> Result<FeatureSet, String> {
    [FeatureSet::Basic, FeatureSet::Advanced]
        .into_iter()
        .find(|set| set.as_str() == word)
        .ok_or_else(|| "expected basic or advanced".to_owned())
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
    let ready = json!({
        "url": format!("http://{}", listener.local_addr()?),
        "feature_set": options.feature_set,
        "companies": emulator.seed().companies,
        "actors": emulator.seed().actors,
    });
    #[allow(clippy::disallowed_macros)] // the one line that callers wait for
    {
        println!("{ready}");
    }
    emulator
        .serve(listener, async {
            // Without a signal handler the process ends by the signal itself.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await;
    Ok(())
}
