//! The public ports: open as long as the route table gives them to an endpoint.

use std::{
    cell::RefCell,
    collections::{BTreeMap, btree_map::Entry},
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use portico_core::{
    endpoint::{Endpoint, Protocol},
    live::Publish,
    ports::OpenPorts,
    routes::RouteTable,
};
use tokio::{io::unix::AsyncFd, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    accept::{Acceptor, Tenant},
    arrival::Spread,
};
use crate::{listen, settings::StreamSettings, thread::Shared};

/// A port that somebody else has is tried again after this time.
const RETRY: Duration = Duration::from_secs(1);

/// Holds the ports until it is told to stop; then closes them, and publishes that.
pub(crate) fn run(
    shared: &Arc<Shared>,
    settings: &StreamSettings,
    spread: Spread,
    published: &Publish<OpenPorts>,
    shutdown: &CancellationToken,
    dropped: &CancellationToken,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let mut ports = Ports {
            shared,
            settings,
            spread,
            published,
            open: BTreeMap::new(),
            failed: BTreeMap::new(),
            acceptors: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let told = async {
            shutdown.cancelled().await;
            // Load balancers need a moment to look elsewhere; until then everybody is served.
            tokio::time::sleep(shared.settings.shutdown.delay).await;
        };
        tokio::select! {
            () = dropped.cancelled() => {}
            () = ports.follow() => {}
            () = told => {
                ports.stop.cancel();
                ports.acceptors.close();
                ports.acceptors.wait().await;
            }
        }
        published.publish(OpenPorts::default());
    });
    Ok(())
}

struct Ports<'s> {
    shared: &'s Arc<Shared>,
    settings: &'s StreamSettings,
    spread: Spread,
    published: &'s Publish<OpenPorts>,
    open: BTreeMap<u16, Open>,
    failed: BTreeMap<u16, String>,
    acceptors: TaskTracker,
    stop: CancellationToken,
}

/// A port that is listened on.
struct Open {
    tenant: Tenant,
    acceptors: Vec<JoinHandle<()>>,
}

impl Ports<'_> {
    /// Follows the table for ever.
    async fn follow(&mut self) {
        let mut tables = self.shared.doors.table.clone();
        let mut is_live = true;
        loop {
            self.adjust(&tables.get()).await;
            let changed = async {
                if is_live && tables.changed().await.is_some() {
                    return true;
                }
                std::future::pending().await
            };
            let retry = async {
                if self.failed.is_empty() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(RETRY).await;
            };
            tokio::select! {
                changed = changed => is_live = changed,
                () = retry => {}
            }
        }
    }

    async fn adjust(&mut self, table: &RouteTable) {
        let wanted = wanted(table);
        let gone: Vec<u16> = self
            .open
            .keys()
            .filter(|port| !wanted.contains_key(port))
            .copied()
            .collect();
        let gone: Vec<Open> = gone.into_iter().filter_map(|port| self.open.remove(&port)).collect();
        gone.iter().flat_map(|open| &open.acceptors).for_each(JoinHandle::abort);
        for acceptor in gone.into_iter().flat_map(|open| open.acceptors) {
            // The port is closed when its acceptor has been dropped.
            let _ = acceptor.await;
        }
        self.failed.retain(|port, _| wanted.contains_key(port));
        for (port, endpoint) in wanted {
            if let Some(open) = self.open.get(&port) {
                open.tenant.replace(endpoint);
                continue;
            }
            match self.listeners(port) {
                Ok(listeners) => {
                    self.failed.remove(&port);
                    self.open(port, endpoint, listeners);
                }
                Err(why) => {
                    if self.failed.insert(port, why.clone()).as_ref() != Some(&why) {
                        tracing::warn!(port, why, "cannot open a port for streams");
                    }
                }
            }
        }
        self.publish();
    }

    /// One for each address, or what the system says against it.
    fn listeners(&self, port: u16) -> Result<Vec<AsyncFd<TcpListener>>, String> {
        let has_v4 = self.settings.listen.iter().any(IpAddr::is_ipv4);
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for sockets whose descriptor changes; a listener's does not"
        )]
        let listen = |ip: &IpAddr| {
            let listener = listen::exclusive(SocketAddr::new(*ip, port), has_v4).and_then(AsyncFd::new);
            listener.map_err(|error| format!("{ip}: {error}"))
        };
        self.settings.listen.iter().map(listen).collect()
    }

    fn open(&mut self, port: u16, endpoint: Arc<Endpoint>, listeners: Vec<AsyncFd<TcpListener>>) {
        let tenant = Rc::new(RefCell::new(endpoint));
        let start = |listener| {
            let acceptor = Acceptor {
                listener,
                port,
                tenant: tenant.clone(),
                shared: self.shared.clone(),
                spread: self.spread.clone(),
            };
            self.acceptors.spawn_local(acceptor.run(self.stop.clone()))
        };
        let acceptors = listeners.into_iter().map(start).collect();
        self.open.insert(port, Open { tenant, acceptors });
    }

    fn publish(&self) {
        let now = OpenPorts {
            open: self
                .open
                .iter()
                .map(|(port, open)| (*port, open.tenant.borrow().id))
                .collect(),
            failed: self.failed.clone(),
        };
        if *self.published.get() != now {
            self.published.publish(now);
        }
    }
}

/// The ports that the table names. One that it gives to two endpoints belongs to neither: better closed than in the wrong hands.
fn wanted(table: &RouteTable) -> BTreeMap<u16, Arc<Endpoint>> {
    let mut wanted: BTreeMap<u16, Option<Arc<Endpoint>>> = BTreeMap::new();
    for endpoint in table.endpoints() {
        let Some(port) = endpoint.port.filter(|_| endpoint.key.protocol == Protocol::Tcp) else {
            continue;
        };
        match wanted.entry(port) {
            Entry::Vacant(free) => {
                free.insert(Some(endpoint.clone()));
            }
            Entry::Occupied(mut taken) => {
                tracing::error!(port, "two endpoints have one port");
                taken.insert(None);
            }
        }
    }
    wanted
        .into_iter()
        .filter_map(|(port, endpoint)| Some((port, endpoint?)))
        .collect()
}
