//! Start-up, told top to bottom: what is built, in which order, and who follows whom.

mod annotated;
mod clearml;
mod cluster;
mod joining;
mod kept_observation;
mod listening;
mod notes;
mod pages;
mod people;
mod readings;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use portico_clearml::{Publisher, PublisherStatus};
use portico_core::{audit::AuditLog, clock::Clock, live::live, routes::RouteTable, site::Site, state::StateStore};
use portico_proxy::{Doors, PageDesk};
use portico_store::{MemoryStore, SqliteStore};
use tokio_util::sync::CancellationToken;

use cluster::Cluster;

use crate::{
    config::{Config, Publish},
    control::Control,
    inside::Inside,
    policy,
    reconcile::{Ledger, Reconcile},
    supervise::Supervisor,
    telemetry::{
        access_log::AccessLog, audit::AuditWriter, lines::Lines, metrics::Metrics, operations::Operations,
        readiness::Readiness,
    },
};

/// How many audit events may wait to be written, and how many requests for our own pages to be answered.
const AUDIT_QUEUE: usize = 4096;
const PAGE_QUEUE: usize = 512;

/// What a run differs in from another one besides its configuration.
pub struct Options {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Loopback addresses that may be dialed: `portico dev`'s own samples.
    pub exempt: Vec<SocketAddr>,
    /// The log, for its count of lost lines.
    pub log: Option<Lines<Vec<u8>>>,
}

/// What every part stands on.
struct Ground {
    config: Arc<Config>,
    site: Arc<Site>,
    clock: Arc<dyn Clock>,
    store: Arc<dyn StateStore>,
    audit: AuditLog,
    /// Where the configuration asks for Kubernetes.
    cluster: Option<Cluster>,
    /// Ends the control plane.
    stop: CancellationToken,
}

/// A gateway that has its sockets and is ready to run.
pub struct Gateway {
    supervisor: Supervisor,
    access_log: Arc<AccessLog>,
    /// Where visitors' requests are accepted.
    pub http: Vec<SocketAddr>,
    /// Where the console is; empty if it has no listener of its own.
    pub console: Vec<SocketAddr>,
    /// Where metrics and health are.
    pub operations: Vec<SocketAddr>,
    /// What can be looked at.
    pub inside: Inside,
}

/// Builds everything and takes all addresses. Nothing is accepted before [`Gateway::run`].
///
/// # Errors
/// An address that is taken, state or secrets that cannot be read: each with what to do about it.
pub async fn compose(config: Config, options: Options) -> anyhow::Result<Gateway> {
    let Options { clock, exempt, log } = options;
    let config = Arc::new(config);
    let site = Arc::new(config.site.clone());
    let mut supervisor = Supervisor::default();
    let (drain, stop) = (supervisor.drain(), supervisor.stop());
    let readiness = Readiness::default();

    // Addresses first: a taken one should be the first thing that is said.
    let data_plane = portico_proxy::bind(&listening::settings(&config))?;
    let console = listening::console(&config.console.listen).await?;
    let operations = Operations::bind(&config.operations.listen).await?;
    let control = Control::bind(&config.control.socket).context("the control socket")?;
    let console_addresses = listening::addresses(&console);
    let own = listening::own(
        [
            data_plane.addresses(),
            console_addresses.clone(),
            operations.addresses(),
        ]
        .concat(),
        &config,
    )
    .await;

    // What survives a restart, and what is recorded.
    let cluster = Cluster::connect(&config).context("Kubernetes")?;
    let store: Arc<dyn StateStore> = match (&cluster, &config.state.kubernetes, &config.state.path) {
        (Some(cluster), Some(place), _) => cluster.store(place),
        (_, _, Some(path)) => Arc::new(SqliteStore::open(path, &portico_store::Settings::default())?),
        _ => Arc::new(MemoryStore::default()),
    };
    let (audit, audit_events) = AuditLog::bounded(AUDIT_QUEUE);
    let audit_writer =
        AuditWriter::start(listening::destination(&config.log.audit).as_ref()).context("the audit log")?;
    let audit_lines = audit_writer.lines();
    supervisor.control("audit log", run(audit_writer.run(audit_events, stop.clone())));
    let ground = Ground {
        config,
        site,
        clock,
        store,
        audit,
        cluster,
        stop,
    };
    let Ground {
        config,
        site,
        clock,
        audit,
        stop,
        ..
    } = &ground;

    // The ClearML server, who may come in, and what exists.
    let clearml = clearml::client(&ground, &mut supervisor)?;
    let people = people::people(&ground, &clearml, &mut supervisor).await?;
    let sight = clearml::observe(&ground, &clearml, &readiness, &mut supervisor).await;

    // What leads where.
    let facts = clearml.facts();
    let rules = {
        let config = config.clone();
        move |facts: &_| policy::policy(&config, facts, &own, &exempt)
    };
    let (publish_policy, policy_now) = live(rules(&facts.get()));
    let (publish_table, table) = live(RouteTable::empty(policy_now.get()));
    supervisor.control(
        "policy",
        run(policy::follow(rules, facts.clone(), publish_policy, stop.clone())),
    );
    let (ledger, recording) = Ledger::open(ground.store.clone())
        .await
        .context("the leases of public ports")?;
    let reconcile = Reconcile {
        observation: sight.observation.clone(),
        health: sight.health.clone(),
        policy: policy_now,
        open_ports: data_plane.open_ports(),
        ledger,
        cooling: config
            .streams
            .as_ref()
            .map_or(Duration::ZERO, |streams| streams.cooling),
        table: publish_table,
        audit: audit.clone(),
        clock: clock.clone(),
        drain: supervisor.drain(),
    };
    supervisor.control("routes", run(reconcile.run(stop.clone())));

    // What is written back.
    let (publish_status, published) = live(PublisherStatus::default());
    let writer = Publisher::new(clearml.clone(), site.clone(), config.publish == Publish::Always)
        .with_streams(data_plane.open_ports());
    supervisor.control(
        "publisher",
        run(writer.run(
            table.clone(),
            sight.observation.clone(),
            publish_status,
            sight.nudge.clone(),
            // While the last exchanges go on here, the one that follows writes, maybe by other settings.
            supervisor.drain(),
        )),
    );

    // The pages.
    let (publish_notes, notes) = live(notes::of(site, &facts.get()));
    supervisor.control(
        "notes",
        run(notes::follow(
            config.clone(),
            facts.clone(),
            publish_notes,
            stop.clone(),
        )),
    );
    let state = portico_console::State {
        site: site.clone(),
        gatekeeper: people.gatekeeper.clone(),
        log_in: people.log_in.clone(),
        hand_over: people.hand_over,
        table: table.clone(),
        web_url: config.clearml.web_url.as_deref().map(Arc::from),
        notes,
    };
    let (page_desk, page_calls) = PageDesk::bounded(PAGE_QUEUE);
    supervisor.control("pages", run(pages::answer(page_calls, state.clone(), stop.clone())));
    for listener in console {
        let proxies = config.http.trusted_proxies.clone();
        let console = portico_console::serve(listener, state.clone(), proxies, stop.clone());
        supervisor.control(
            "console",
            async move { console.await.context("the console's listener") },
        );
    }

    // The ways to look inside.
    let inside = Inside {
        started: clock.now(),
        site: site.clone(),
        clock: clock.clone(),
        readiness: readiness.clone(),
        facts,
        observation: sight.observation,
        health: sight.clearml,
        table: table.clone(),
        open_ports: data_plane.open_ports(),
        recording,
        published,
        exchanges: data_plane.exchanges(),
        counters: data_plane.counters(),
        upstreams: data_plane.upstreams(),
        gatekeeper: people.gatekeeper.clone(),
        sessions: people.sessions,
        log_in: people.log_in,
        clearml,
        cluster: sight.cluster,
    };
    let lost = readings::Lost {
        log,
        audit: audit.clone(),
        audit_lines,
        access: Arc::default(),
    };
    let access = lost.access.clone();
    let metrics = {
        let inside = inside.clone();
        Arc::new(Metrics::new(config.http.threads, move || readings::of(&inside, &lost)))
    };
    let access_log = Arc::new(AccessLog::start(
        metrics.tally(),
        listening::destination(&config.log.access_log).as_ref(),
    )?);
    access.get_or_init(|| access_log.clone());
    let operations_addresses = operations.addresses();
    supervisor.control("operations", run(operations.run(metrics, readiness, stop.clone())));
    supervisor.control("control socket", run(control.run(inside.clone(), stop.clone())));

    // The data plane.
    let http = data_plane.addresses();
    let doors = Doors {
        table,
        gatekeeper: people.gatekeeper,
        pages: page_desk,
        recorder: access_log.clone(),
        audit: audit.clone(),
        clock: clock.clone(),
        source: sight.nudge,
    };
    supervisor.data("data plane", async move { Ok(data_plane.serve(doors, drain).await?) });

    Ok(Gateway {
        supervisor,
        access_log,
        http,
        console: console_addresses,
        operations: operations_addresses,
        inside,
    })
}

impl Gateway {
    /// Runs until `asked_to_stop` resolves, then drains and stops.
    ///
    /// # Errors
    /// A part that ended by itself, by its name.
    pub async fn run(self, asked_to_stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let result = self.supervisor.run(asked_to_stop).await;
        self.access_log.flush();
        result
    }
}

async fn run(work: impl Future<Output = ()>) -> anyhow::Result<()> {
    work.await;
    Ok(())
}
