//! `portico dev`: a ClearML server in memory, sample applications, and the gateway in front of them, on loopback. Only what stands
//! around the gateway differs from production; its configuration is read as if it had come from the environment.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use portico_core::endpoint::TaskId;
use portico_emulator::{Emulator, FeatureSet, NewTask, Seed, samples};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    compose::{Options, compose},
    config,
    inside::Inside,
    supervise::asked_by_signal,
    system_clock::SystemClock,
    telemetry,
};

/// Arguments of `portico dev`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Where endpoints are served, on localhost; 0 takes a free port.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Where the console is served, on 127.0.0.1.
    #[arg(long, default_value_t = 8012)]
    console_port: u16,
    /// Where metrics and health are served.
    #[arg(long, default_value_t = 8013)]
    operations_port: u16,
    /// The first of eleven ports for TCP endpoints, on 127.0.0.1.
    #[arg(long, default_value_t = 9000)]
    stream_port: u16,
    /// Where the ClearML API is served.
    #[arg(long, default_value_t = 8008)]
    api_port: u16,
    /// Play the open-source server, on which the SDK cannot ask for endpoints and owners are among themselves.
    #[arg(long)]
    open_source: bool,
}

/// How long a sample's port may take to open, before the others are told of without it.
const OPENING: Duration = Duration::from_secs(5);

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Runs until a signal.
///
/// # Errors
/// A port that is taken, with the option to choose another one.
pub async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let log = telemetry::log::start(config::LogLevel::Warn, config::LogFormat::Text)?;
    let feature_set = if arguments.open_source {
        FeatureSet::Basic
    } else {
        FeatureSet::Advanced
    };
    let emulator = Emulator::new(Seed::default(), feature_set);
    let api = listen(arguments.api_port, "--api-port").await?;
    let api_url = format!("http://{}", api.local_addr()?);
    let samples = samples::start(LOOPBACK).await.context("starting the samples")?;
    let tasks = tasks(&emulator, samples.list());
    let stream = samples.streams().first().map(|sample| stream(&emulator, sample));

    let folder = Folder::make()?;
    let [port, console_port, operations_port] = [
        free(arguments.port, "--port").await?,
        free(arguments.console_port, "--console-port").await?,
        free(arguments.operations_port, "--operations-port").await?,
    ];
    // One that somebody has is passed over.
    let stream_port = match arguments.stream_port {
        0 => free(0, "--stream-port").await?,
        port => port,
    };
    let key = emulator
        .actor("admin")
        .and_then(|admin| admin.key.clone())
        .context("the administrator has no key")?;
    let variables = [
        ("ROUTER_NAME", "dev".to_owned()),
        ("ROUTER_URL", format!("http://localhost:{port}")),
        ("PORTICO__HTTP__LISTEN", format!("127.0.0.1:{port}")),
        // Another host than the applications': cookies ignore ports.
        ("PORTICO__CONSOLE__URL", format!("http://127.0.0.1:{console_port}")),
        ("PORTICO__CONSOLE__LISTEN", format!("127.0.0.1:{console_port}")),
        ("PORTICO__OPERATIONS__LISTEN", format!("127.0.0.1:{operations_port}")),
        ("PORTICO__STREAMS__EXTERNAL_URL", "localhost".to_owned()),
        ("PORTICO__STREAMS__PORT_RANGE__START", stream_port.to_string()),
        (
            "PORTICO__STREAMS__PORT_RANGE__END",
            stream_port.saturating_add(10).to_string(),
        ),
        ("PORTICO__STREAMS__LISTEN", "127.0.0.1".to_owned()),
        ("PORTICO__CONTROL__SOCKET", folder.socket()),
        ("PORTICO__STATE__PATH", "memory".to_owned()),
        ("PORTICO__LOG__ACCESS_LOG", "off".to_owned()),
        ("PORTICO__LOG__AUDIT", "off".to_owned()),
        ("CLEARML_API_HOST", api_url.clone()),
        ("CLEARML_API_ACCESS_KEY", key.access_key),
        ("CLEARML_API_SECRET_KEY", key.secret_key),
    ];
    let loaded = config::load(None, variables.map(|(name, value)| (name.to_owned(), value)))?;
    let options = Options {
        clock: Arc::new(SystemClock),
        exempt: samples
            .list()
            .iter()
            .chain(samples.streams())
            .map(|sample| sample.address)
            .collect(),
        log: Some(log.lines()),
    };
    let gateway = compose(loaded.config, options).await?;

    let inside = gateway.inside.clone();
    let telling = async {
        let lines = match &stream {
            Some(task) => public_address(&inside, task).await,
            None => None,
        };
        let told = tell(&inside, &emulator, &api_url, &folder.socket(), &tasks, lines.as_ref());
        std::io::stdout().write_all(told.as_bytes())
    };
    let (stop_api, stopped) = tokio::sync::oneshot::channel::<()>();
    let (served, told, ran) = tokio::join!(
        emulator.clone().serve(api, async { drop(stopped.await) }),
        telling,
        async {
            let ran = gateway.run(asked_by_signal()?).await;
            drop(stop_api);
            ran
        }
    );
    let () = served;
    samples.stop().await;
    ran?;
    Ok(told?)
}

/// A task for each sample, as the SDK would have left it.
fn tasks(emulator: &Emulator, samples: &[samples::Sample]) -> Vec<(&'static str, String)> {
    let owner = |at: usize| if at == 2 { "bob" } else { "alice" };
    let task = |(at, sample): (usize, &samples::Sample)| {
        let id = emulator.create_task(NewTask::asking(owner(at), sample.summary, sample.address));
        (owner(at), id)
    };
    samples.iter().enumerate().map(task).collect()
}

/// A task of alice's that asks for a TCP endpoint, as the SDK would have left it.
fn stream(emulator: &Emulator, sample: &samples::Sample) -> String {
    let mut task = NewTask::asking("alice", sample.summary, sample.address);
    let port = sample.address.port();
    task.runtime = [
        ("_SERVICE", json!("EXTERNAL_TCP")),
        ("external_address", json!(sample.address.ip().to_string())),
        ("external_tcp_port", json!(port)),
        ("upstream_task_port", json!(port)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into_iter()
    .collect();
    emulator.create_task(task)
}

/// Where a TCP endpoint is reached, once its port stands open; `None` if that takes too long.
async fn public_address(inside: &Inside, task: &str) -> Option<(String, u16)> {
    let task = TaskId::parse(task)?;
    let mut ports = inside.open_ports.clone();
    let open = async {
        loop {
            let (table, open) = (inside.table.get(), ports.get());
            let mut endpoints = table.endpoints().filter(|endpoint| endpoint.key.task == task);
            let port = endpoints.find_map(|endpoint| endpoint.port.filter(|port| open.open.contains_key(port)));
            if let (Some(port), Some(streams)) = (port, &table.policy().streams) {
                return Some((streams.host.to_string(), port));
            }
            ports.changed().await?;
        }
    };
    tokio::time::timeout(OPENING, open).await.ok().flatten()
}

fn tell(
    inside: &Inside,
    emulator: &Emulator,
    api_url: &str,
    socket: &str,
    tasks: &[(&str, String)],
    spoken: Option<&(String, u16)>,
) -> String {
    let router = &inside.site.router;
    let users = [
        ("alice", "owns most of the samples"),
        ("bob", "her colleague"),
        ("carol", "works for another company and sees nothing"),
    ];
    let users = users.iter().filter_map(|(login, who)| {
        let password = emulator.actor(login)?.password.clone()?;
        Some(format!("  user {login:<6} password {password:<9} {who}\n"))
    });
    let links = tasks
        .iter()
        .map(|(owner, id)| format!("  {router}/service/{id}/  ({owner}'s)\n"));
    let key = emulator.actor("alice").and_then(|alice| alice.key.clone()).map(|key| {
        let (access, secret) = (key.access_key, key.secret_key);
        format!("  CLEARML_API_HOST={api_url} CLEARML_API_ACCESS_KEY={access} CLEARML_API_SECRET_KEY={secret}\n")
    });
    let stream = spoken.map(|(host, port)| {
        format!("\nOver TCP, as clearml-session and databases do (alice's):\n  nc {host} {port}\n")
    });
    format!(
        "\nPortico is running. Open  {router}/\n\n{users}\nOr straight to a sample:\n{links}{stream}\nFor the SDK:\n{key}\n\
         Look inside:\n  PORTICO__CONTROL__SOCKET={socket} portico status\n\nStop with Ctrl-C.\n",
        users = users.collect::<String>(),
        links = links.collect::<String>(),
        stream = stream.unwrap_or_default(),
        key = key.unwrap_or_default(),
    )
}

async fn listen(port: u16, option: &str) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(LOOPBACK, port);
    let listener = TcpListener::bind(address).await;
    listener
        .with_context(|| format!("cannot listen on {address}; choose another port with {option} (0 takes a free one)"))
}

/// The port itself, or a free one for 0.
async fn free(port: u16, option: &str) -> anyhow::Result<u16> {
    Ok(listen(port, option).await?.local_addr()?.port())
}

/// A private folder for the control socket, removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("portico-dev-{}", std::process::id()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }

    fn socket(&self) -> String {
        self.0.join("control.sock").display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "the folder {} is left behind", self.0.display());
        }
    }
}
