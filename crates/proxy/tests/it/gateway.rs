//! A gateway on a loopback port, with the tables that a test gives it.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::Response;
use portico_auth::{
    credentials::CookieNames,
    gatekeeper::{self, gatekeeper},
    keys::SessionKeys,
    revocation::Register,
    session::{self, OpenedBy, Sessions},
};
use portico_core::{
    access::Who,
    access_policy::AccessPolicy,
    audit::{AuditEvent, AuditLog},
    clock::{Clock, ManualClock, Timestamp},
    dial::DialRules,
    endpoint::{Prefix, Protocol, TaskId},
    live::{Live, Nudge, Publish, live},
    observe::{
        Ask, Observation, ObservedTask, OwningGateway, Request, RequestOrigin, Standing, StreamClaims, TaskStatus,
        Workload,
    },
    port_range::PortRange,
    ports::{self, OpenPorts},
    principal::{CompanyId, SessionId, UserId},
    routes::{Policy, RouteTable},
    site::{Origin, Site},
    streams::{Admission, StreamPolicy},
};
use portico_proxy::{
    Counters, Doors, Exchanges, PageCall, PageDesk, ServeError, Settings, StreamSettings, Upstreams, bind,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    raw::{Client, Reply},
    world::{NoStore, Records, Server, token},
};

pub(crate) const HOST: &str = "gw.test";

/// One endpoint of a test.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) task: u8,
    pub(crate) name: Option<&'static str>,
    pub(crate) owner: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) prefix: Prefix,
    pub(crate) access: Option<Who>,
    pub(crate) status: TaskStatus,
    pub(crate) started: Option<Timestamp>,
    /// The public port of a TCP endpoint; `None` for an HTTP one.
    pub(crate) port: Option<u16>,
    pub(crate) workload: Workload,
    pub(crate) owning_gateway: OwningGateway,
    /// Where the task asks for an HTTP endpoint, too.
    pub(crate) http_port: Option<u16>,
}

impl Spec {
    /// Alice's task 1, at this address, with its prefix cut.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self {
            task: 1,
            name: None,
            owner: "alice",
            address,
            prefix: Prefix::Cut,
            access: None,
            status: TaskStatus::InProgress,
            started: None,
            port: None,
            workload: Workload::Known,
            owning_gateway: OwningGateway::This,
            http_port: None,
        }
    }

    /// Alice's task 1, with a TCP endpoint at this public port.
    pub(crate) fn tcp(address: SocketAddr, port: u16) -> Self {
        Self {
            port: Some(port),
            ..Self::at(address)
        }
    }

    fn requests(&self) -> Vec<Request> {
        let request = |protocol, port| Request {
            protocol,
            name: self.name.map(Into::into),
            origin: RequestOrigin::Runtime,
            ask: Ok(Ask {
                claimed: Some(self.address.ip()),
                port,
                prefix: self.prefix,
                access: self.access.clone(),
                stream: StreamClaims {
                    fixed: self.port,
                    ..StreamClaims::default()
                },
            }),
        };
        let protocol = if self.port.is_some() {
            Protocol::Tcp
        } else {
            Protocol::Http
        };
        let http = self.http_port.map(|port| request(Protocol::Http, port));
        http.into_iter()
            .chain([request(protocol, self.address.port())])
            .collect()
    }

    pub(crate) fn observed(&self) -> Arc<ObservedTask> {
        Arc::new(ObservedTask {
            id: task(self.task),
            name: format!("task {}", self.task).into(),
            owner: UserId::new(self.owner),
            company: CompanyId::new(if self.owner == "carol" { "c2" } else { "c1" }),
            project: None,
            queue: None,
            status: self.status,
            status_since: now(),
            started: self.started,
            addresses: vec![self.address.ip()],
            requests: self.requests(),
            published: Vec::new(),
            standing: Standing {
                workload: self.workload.clone(),
                owning_gateway: self.owning_gateway.clone(),
                ..Standing::default()
            },
        })
    }
}

pub(crate) fn task(number: u8) -> TaskId {
    TaskId::parse(&format!("{number:032x}")).unwrap()
}

/// `/service/<task 1>/…`
pub(crate) fn path(rest: &str) -> String {
    format!("/service/{}{rest}", task(1))
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) server: Arc<Server>,
    pub(crate) records: Arc<Records>,
    pub(crate) clock: ManualClock,
    pub(crate) exchanges: Arc<Exchanges>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) sessions: Sessions,
    pub(crate) register: Register,
    pub(crate) source: Nudge,
    pub(crate) open_ports: Live<OpenPorts>,
    pub(crate) audit: mpsc::Receiver<AuditEvent>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) ended: tokio::sync::oneshot::Receiver<Result<(), ServeError>>,
    table: Publish<RouteTable>,
    who: Who,
    admission: Admission,
    _running: JoinSet<()>,
}

/// A gateway with these endpoints, open to everybody whom ClearML shows their tasks.
pub(crate) async fn gateway(specs: &[Spec]) -> Gateway {
    Gateway::start(specs, Who::Visible, |_| {}).await
}

impl Gateway {
    #[expect(clippy::unused_async, reason = "it needs a runtime")]
    pub(crate) async fn start(specs: &[Spec], who: Who, change: impl FnOnce(&mut Settings)) -> Self {
        let site = Site {
            name: "test".into(),
            router: Origin::parse(&format!("http://{HOST}")).unwrap(),
            console: None,
            extra_hosts: vec!["also.test:81".into()],
        };
        let mut settings = Settings::new(site.clone(), vec!["127.0.0.1:0".parse().unwrap()]);
        settings.path_warning = false;
        settings.streams = Some(StreamSettings {
            listen: vec![Ipv4Addr::LOCALHOST.into()],
            ..StreamSettings::default()
        });
        change(&mut settings);
        let admission = settings
            .streams
            .as_ref()
            .map_or(Admission::Open, |streams| streams.admission);
        let bound = bind(&settings).unwrap();
        let clock = ManualClock::at(now());
        let arc_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let names = Arc::new(CookieNames::new(&site, None, None));
        let keys = Live::fixed(SessionKeys::generate(now()));
        let sessions = Sessions::new(session::Settings::default(), keys, names, arc_clock.clone());
        let register = Register::new(Arc::new(NoStore), arc_clock.clone());
        let server = Arc::new(Server::default());
        let (audit, events) = AuditLog::bounded(10_000);
        let (keeper, desk) = gatekeeper(
            gatekeeper::Settings::default(),
            gatekeeper::Parts {
                sessions: sessions.clone(),
                register: register.clone(),
                check: server.clone(),
                visibility: server.clone(),
                audit: audit.clone(),
                clock: arc_clock.clone(),
                trusted_proxies: Vec::new(),
            },
        );
        let (pages, calls) = PageDesk::bounded(16);
        let (table, tables) = live(RouteTable::empty(policy(specs, &who, admission)));
        let records = Arc::new(Records::default());
        let source = Nudge::default();
        let doors = Doors {
            table: tables,
            gatekeeper: keeper,
            pages,
            recorder: records.clone(),
            audit,
            clock: arc_clock,
            source: source.clone(),
        };
        let shutdown = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(desk.run(CancellationToken::new()));
        running.spawn(answer_pages(calls));
        let (address, exchanges) = (bound.addresses()[0], bound.exchanges());
        let (upstreams, counters) = (bound.upstreams(), bound.counters());
        let open_ports = bound.open_ports();
        let (end, ended) = tokio::sync::oneshot::channel();
        let serving = bound.serve(doors, shutdown.clone());
        running.spawn(async move {
            let _ = end.send(serving.await);
        });
        let gateway = Self {
            address,
            server,
            records,
            clock,
            exchanges,
            upstreams,
            counters,
            sessions,
            register,
            source,
            open_ports,
            audit: events,
            shutdown,
            ended,
            table,
            who,
            admission,
            _running: running,
        };
        gateway.publish(specs);
        gateway
    }

    /// Replaces all endpoints.
    pub(crate) fn publish(&self, specs: &[Spec]) {
        self.publish_with(specs, &self.who);
    }

    pub(crate) fn publish_with(&self, specs: &[Spec], who: &Who) {
        let observation = Observation::new(specs.iter().map(Spec::observed).collect());
        let policy = policy(specs, who, self.admission);
        let leases = Arc::default();
        let wishes = RouteTable::wishes(&observation, &policy, &leases);
        let rules = ports::Rules {
            range: range(),
            cooling: Duration::ZERO,
        };
        let book = ports::allocate(&wishes, &leases, &rules, &BTreeSet::new(), now());
        self.table.publish(RouteTable::build_with_ports(
            &observation,
            &policy,
            &Arc::new(book),
            None,
        ));
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Sends one request, as it stands, on a connection of its own.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut client = self.connect().await;
        client.send(request).await;
        client.reply().await
    }

    /// Alice's program asks.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.get_with(path, &as_user("alice")).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &str) -> Reply {
        self.raw(request(path, headers)).await
    }

    /// A session cookie of this user, and the session's id.
    pub(crate) fn session(&self, user: &str) -> (String, SessionId) {
        let verified = portico_auth::check::Verified {
            user: UserId::new(user),
            company: CompanyId::new("c1"),
            name: user.into(),
            is_administrator: false,
            token: portico_core::secret::Secret::new(token(user)),
            expires: None,
        };
        let session = self.sessions.open(&verified, OpenedBy::Password);
        let cookie = self.sessions.set_cookie(&session).unwrap();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        (pair, session.id)
    }
}

fn range() -> PortRange {
    PortRange::new(1, u16::MAX).unwrap()
}

fn policy(specs: &[Spec], who: &Who, admission: Admission) -> Arc<Policy> {
    Arc::new(Policy {
        queues: Vec::new(),
        dial: DialRules {
            networks: Vec::new(),
            own: Vec::new(),
            server: Vec::new(),
            own_streams: Vec::new(),
            exempt: specs.iter().map(|spec| spec.address).collect(),
        },
        access: AccessPolicy::only(who.clone()),
        streams: Some(StreamPolicy {
            host: HOST.into(),
            range: range(),
            admission,
        }),
    })
}

/// A page that shows what it was asked.
async fn answer_pages(mut calls: mpsc::Receiver<PageCall>) {
    while let Some(call) = calls.recv().await {
        let visitor = call.request.extensions().get::<portico_proxy::Visitor>().copied();
        let text = format!("{} {} {visitor:?}", call.request.method(), call.request.uri());
        let _ = call.answer.send(Response::new(Bytes::from(text)));
    }
}

pub(crate) fn request(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n")
}

/// The headers of a user's program.
pub(crate) fn as_user(user: &str) -> String {
    format!("X-Gateway-Authorization: Bearer {}\r\n", token(user))
}

/// The headers of a browser that opens a page.
pub(crate) const NAVIGATION: &str =
    "Accept: text/html,*/*\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: none\r\n";

pub(crate) const SHORT: Duration = Duration::from_millis(200);
