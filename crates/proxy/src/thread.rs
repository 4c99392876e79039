//! One data thread: a runtime of its own, its listeners, its connections to applications. It shares nothing that it would have to wait
//! for.

mod accept;
mod drain;
mod sweep;

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    net::TcpListener,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize},
    },
};

use portico_auth::credentials::CookieNames;
use portico_core::{
    audit::{AuditEvent, AuditKind},
    endpoint::{Endpoint, EndpointId},
    live::Cached,
    principal::User,
    routes::RouteTable,
    streams::Admission,
};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    connection::Link,
    counters::{Counters, Counts},
    doors::Doors,
    exchanges::Exchanges,
    http::headers::request::Forwarded,
    listen::permits::Permits,
    record::{RequestId, RequestIds},
    settings::Settings,
    stream::{ASKING, Arrival, serve_all},
    upstream::{Upstreams, pool::Lane},
};

/// Accesses that were already told to the audit log; when there are more, some are told again.
const GRANTED_MAX: usize = 64 * 1024;

/// What all data threads share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) doors: Doors,
    pub(crate) forwarded: Forwarded,
    pub(crate) names: Arc<CookieNames>,
    pub(crate) exchanges: Arc<Exchanges>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) permits: Arc<Permits>,
    pub(crate) stream_permits: Arc<Permits>,
    /// True from the moment when the gateway is told to stop: answers ask to close their connection.
    pub(crate) is_draining: AtomicBool,
    /// Requests that wait for a task to appear.
    pub(crate) waiting: AtomicUsize,
    /// Streams that wait for ClearML's answers.
    pub(crate) asking: Semaphore,
    granted: Mutex<HashSet<u64>>,
    granted_hash: RandomState,
}

impl Shared {
    pub(crate) fn new(
        settings: Settings,
        doors: Doors,
        exchanges: Arc<Exchanges>,
        upstreams: Arc<Upstreams>,
        counters: Arc<Counters>,
    ) -> Self {
        let streams = settings.streams.as_ref();
        Self {
            stream_permits: Permits::new(
                streams.map_or(0, |streams| streams.connections),
                streams.map_or(0, |streams| streams.connections_per_address),
            ),
            forwarded: Forwarded::new(&settings.site),
            names: Arc::new(doors.gatekeeper.names().clone()),
            permits: Permits::new(settings.limits.connections, settings.limits.connections_per_address),
            settings,
            doors,
            exchanges,
            upstreams,
            counters,
            is_draining: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            asking: Semaphore::new(ASKING),
            granted: Mutex::default(),
            granted_hash: RandomState::new(),
        }
    }

    /// True if streams are let in where somebody is signed in.
    pub(crate) fn notes_addresses(&self) -> bool {
        let streams = self.settings.streams.as_ref();
        streams.is_some_and(|streams| streams.admission == Admission::SignedIn)
    }

    /// Tells the audit log of a user's first way through to an endpoint, in this session.
    fn grant(&self, key: u64, event: impl FnOnce() -> AuditEvent) {
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        if granted.len() >= GRANTED_MAX {
            granted.clear();
        }
        if granted.insert(key) {
            drop(granted);
            self.doors.audit.record(event());
        }
    }
}

/// One data thread's state. Never leaves its thread.
pub(crate) struct DataThread {
    pub(crate) number: usize,
    pub(crate) shared: Arc<Shared>,
    table: RefCell<Cached<RouteTable>>,
    ids: RefCell<RequestIds>,
    lanes: RefCell<HashMap<EndpointId, Rc<Lane>, BuildHasherDefault<Unhashed>>>,
    links: RefCell<HashMap<u64, Arc<Link>>>,
    next_link: std::cell::Cell<u64>,
    granted: RefCell<HashSet<u64>>,
    idle_counts: Counts,
    /// Visitors' connections; they end with the shutdown.
    connections: TaskTracker,
    /// WebSockets and streams; they may outlive connections in a shutdown.
    pub(crate) tunnels: TaskTracker,
    /// Connections to applications, and what drains refused bodies; nobody waits for them.
    pub(crate) others: TaskTracker,
}

impl DataThread {
    fn new(number: usize, shared: Arc<Shared>) -> Self {
        Self {
            number,
            table: RefCell::new(shared.doors.table.clone().cached()),
            ids: RefCell::default(),
            lanes: RefCell::default(),
            links: RefCell::default(),
            next_link: std::cell::Cell::new(0),
            granted: RefCell::default(),
            idle_counts: Counts::default(),
            connections: TaskTracker::new(),
            tunnels: TaskTracker::new(),
            others: TaskTracker::new(),
            shared,
        }
    }

    /// The newest table.
    pub(crate) fn table(&self) -> Arc<RouteTable> {
        self.table.borrow_mut().get().clone()
    }

    pub(crate) fn request_id(&self) -> RequestId {
        self.ids.borrow_mut().next()
    }

    pub(crate) fn counts(&self) -> &Counts {
        self.shared.counters.of(self.number).unwrap_or(&self.idle_counts)
    }

    /// What this thread keeps for an endpoint.
    pub(crate) fn lane(&self, endpoint: &Endpoint) -> Rc<Lane> {
        let mut lanes = self.lanes.borrow_mut();
        match lanes.get(&endpoint.id) {
            Some(lane) if lane.is_for(endpoint) => lane.clone(),
            _ => {
                let upstream = self.shared.upstreams.of(endpoint);
                let lane = Rc::new(Lane::new(
                    endpoint,
                    upstream,
                    self.shared.settings.limits.idle_per_endpoint,
                ));
                lanes.insert(endpoint.id, lane.clone());
                lane
            }
        }
    }

    /// Tells the audit log of a user's first way through to an endpoint.
    pub(crate) fn grant(&self, user: &User, endpoint: &Endpoint, event: impl FnOnce(AuditKind) -> AuditEvent) {
        let key = (&user.id, user.method, &user.session, endpoint.id);
        let key = self.shared.granted_hash.hash_one(key);
        let mut granted = self.granted.borrow_mut();
        if granted.contains(&key) {
            return;
        }
        if granted.len() >= GRANTED_MAX {
            granted.clear();
        }
        granted.insert(key);
        self.shared.grant(key, || event(AuditKind::AccessGranted));
    }
}

/// Runs a data thread until it is told to stop and has drained.
pub(crate) fn run(
    number: usize,
    shared: Arc<Shared>,
    listeners: Vec<TcpListener>,
    arrivals: mpsc::Receiver<Arrival>,
    shutdown: &CancellationToken,
    dropped: &CancellationToken,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let thread = Rc::new(DataThread::new(number, shared));
        let mut sockets = Vec::new();
        for listener in listeners {
            sockets.push(tokio::net::TcpListener::from_std(listener)?);
        }
        let stop = CancellationToken::new();
        let acceptors = TaskTracker::new();
        for socket in sockets {
            acceptors.spawn_local(accept::run(thread.clone(), socket, stop.clone()));
        }
        // Ends when the ports are closed.
        acceptors.spawn_local(serve_all(thread.clone(), arrivals));
        acceptors.close();
        tokio::select! {
            () = sweep::run(&thread) => {}
            () = dropped.cancelled() => {}
            () = drain::run(&thread, shutdown, &stop, &acceptors) => {}
        }
        Ok(())
    })
}

/// Endpoint ids are the beginnings of digests: already as spread as a hash could make them.
#[derive(Default)]
struct Unhashed(u64);

impl Hasher for Unhashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
