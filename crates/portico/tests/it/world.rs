//! A ClearML server, applications, a gateway in front of them, and the people who use it. Each test has a world of its own.

mod application;
mod browser;
mod place;
mod plan;
mod socket;
mod streams;
mod tasks;
mod time;
mod visitor;
mod waiting;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use portico::{
    compose::{Options, compose},
    config::{self, Config},
    inside::Inside,
};
use portico_emulator::{Emulator, NewTask, Seed, Server};
use tokio::{sync::oneshot, task::JoinHandle};

pub(crate) use application::Application;
pub(crate) use place::{CONSOLE, GATEWAY, Place, connect};
pub(crate) use plan::Plan;
pub(crate) use socket::Socket;
pub(crate) use streams::{Line, STREAMS, Wire, tcp_runtime, who_answers};
pub(crate) use tasks::runtime;
pub(crate) use time::MovableClock;
pub(crate) use visitor::{Answer, Events, Visitor};
pub(crate) use waiting::{until, within};

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) clock: Arc<MovableClock>,
    pub(crate) applications: Vec<Application>,
    /// Applications that speak TCP.
    pub(crate) lines: Vec<Line>,
    /// Addresses that may be dialed and at which nothing listens.
    pub(crate) closed: Vec<SocketAddr>,
    pub(crate) plan: Plan,
    pub(crate) place: Arc<Place>,
    /// A task of bob's that runs already: while nothing runs at all, the ClearML server is asked less often.
    pub(crate) resident: String,
    server: Option<Server>,
    api: SocketAddr,
    folder: tempfile::TempDir,
    gateway: Option<Running>,
}

/// An address of a server's own, whose ports nobody else is given while the server is away.
fn own_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    SocketAddr::from(([127, 3, high, low], 0))
}

/// A gateway that runs.
struct Running {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<anyhow::Result<()>>,
    inside: Inside,
}

impl World {
    /// An enterprise server with one application.
    pub(crate) async fn start() -> Self {
        Self::with(Plan::default()).await
    }

    pub(crate) async fn with(plan: Plan) -> Self {
        let mut world = Self::without_gateway(plan).await;
        world.open().await;
        world
    }

    /// Everything but the gateway.
    pub(crate) async fn without_gateway(plan: Plan) -> Self {
        let emulator = Emulator::new(Seed::default(), plan.feature_set);
        let server = Server::start_at(emulator.clone(), own_address()).await.unwrap();
        let mut applications = Vec::new();
        for at in 0..plan.applications {
            applications.push(Application::start(at).await);
        }
        let mut lines = Vec::new();
        for at in 0..plan.lines {
            lines.push(Line::start(at).await);
        }
        let closed: Vec<_> = (0..5).map(|at| SocketAddr::from(([127, 0, 0, 9], 9 + at))).collect();
        let resident = emulator.create_task(NewTask::asking("bob", "runs already", closed[4]));
        Self {
            emulator,
            resident,
            clock: Arc::default(),
            applications,
            lines,
            closed,
            plan,
            place: Arc::default(),
            api: server.address(),
            server: Some(server),
            folder: tempfile::tempdir().unwrap(),
            gateway: None,
        }
    }

    /// Starts the gateway and waits until it has seen the ClearML server, if that can be seen.
    pub(crate) async fn open(&mut self) {
        self.start_gateway().await.unwrap();
        if self.is_clearml_well() {
            until("the gateway has seen the ClearML server", async || {
                let inside = self.inside();
                inside.health.get().observed?;
                inside.facts.get().feature_set.map(drop)
            })
            .await;
        }
    }

    fn is_clearml_well(&self) -> bool {
        self.server.is_some() && self.emulator.faults() == portico_emulator::Faults::default()
    }

    /// Starts the gateway.
    pub(crate) async fn start_gateway(&mut self) -> anyhow::Result<()> {
        let options = Options {
            clock: self.clock.clone(),
            exempt: (self.applications.iter().map(|application| application.address))
                .chain(self.lines.iter().map(|line| line.address))
                .chain(self.closed.iter().copied())
                .collect(),
            log: None,
        };
        let gateway = compose(self.configuration(), options).await?;
        self.place
            .moves_to(&gateway.http, &gateway.console, &gateway.operations);
        let inside = gateway.inside.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(gateway.run(async { drop(stopped.await) }));
        self.gateway = Some(Running { stop, ended, inside });
        Ok(())
    }

    /// What the operator wrote.
    pub(crate) fn configuration(&self) -> Config {
        let key = self.emulator.actor("admin").unwrap().key.clone().unwrap();
        let mut variables = vec![
            ("ROUTER_NAME".to_owned(), "front-door".to_owned()),
            ("ROUTER_URL".to_owned(), GATEWAY.to_owned()),
            ("PORTICO__HTTP__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("PORTICO__HTTP__THREADS".to_owned(), "1".to_owned()),
            ("PORTICO__OPERATIONS__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("PORTICO__ACCESS__PATH_WARNING".to_owned(), "no".to_owned()),
            ("PORTICO__STATE__PATH".to_owned(), self.state()),
            (
                "PORTICO__CONTROL__SOCKET".to_owned(),
                self.socket().display().to_string(),
            ),
            ("PORTICO__LOG__ACCESS_LOG".to_owned(), "off".to_owned()),
            (
                "PORTICO__LOG__AUDIT".to_owned(),
                self.audit_file().display().to_string(),
            ),
            ("CLEARML_API_HOST".to_owned(), format!("http://{}", self.api)),
            ("CLEARML_API_ACCESS_KEY".to_owned(), key.access_key),
            ("CLEARML_API_SECRET_KEY".to_owned(), key.secret_key),
        ];
        if self.plan.has_console {
            variables.push(("PORTICO__CONSOLE__URL".to_owned(), CONSOLE.to_owned()));
            variables.push(("PORTICO__CONSOLE__LISTEN".to_owned(), "127.0.0.1:0".to_owned()));
        }
        let own = self.plan.variables.iter();
        variables.extend(own.map(|(name, value)| ((*name).to_owned(), value.clone())));
        config::load(None, variables)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"))
            .config
    }

    fn state(&self) -> String {
        if self.plan.remembers {
            self.folder.path().join("state.db").display().to_string()
        } else {
            "memory".to_owned()
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    pub(crate) fn audit_file(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    /// The running gateway's values.
    pub(crate) fn inside(&self) -> &Inside {
        &self.gateway.as_ref().expect("the gateway runs").inside
    }

    /// Asks the gateway to stop; the result resolves when it has.
    pub(crate) fn stop_gateway(&mut self) -> JoinHandle<anyhow::Result<()>> {
        let running = self.gateway.take().expect("the gateway runs");
        let _ = running.stop.send(());
        running.ended
    }

    /// Stops the gateway and starts it again, with what it remembers.
    pub(crate) async fn restart_gateway(&mut self) {
        self.stop_gateway().await.unwrap().unwrap();
        self.open().await;
    }

    /// The ClearML server ends; its port refuses.
    pub(crate) async fn clearml_goes(&mut self) {
        self.server.take().expect("the server runs").stop().await;
    }

    /// It comes back at the same address, with what it remembers.
    pub(crate) async fn clearml_returns(&mut self) {
        self.server = Some(Server::start_at(self.emulator.clone(), self.api).await.unwrap());
    }

    /// Time passes, for the gateway and for the ClearML server.
    pub(crate) fn pass(&self, time: std::time::Duration) {
        self.clock.advance(time);
        self.emulator.advance(i64::try_from(time.as_secs()).unwrap());
    }
}
