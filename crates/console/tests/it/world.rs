//! A gateway with its pages, and a ClearML that says what the test tells it to.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::Router;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portico_auth::{
    check::{CheckError, ClearmlCredential, CredentialCheck, Unavailable, Verified, Visibility},
    credentials::CookieNames,
    gatekeeper::{self, gatekeeper},
    hand_over::HandOver,
    keys::SessionKeys,
    log_in::{self, LogIn},
    revocation::Register,
    session::{self, Sessions},
};
use portico_console::{State, Visitor};
use portico_core::{
    Answer,
    access::Who,
    access_policy::AccessPolicy,
    audit::{AuditEvent, AuditLog},
    clock::{Clock, ManualClock, Timestamp},
    dial::DialRules,
    endpoint::{Prefix, Protocol, TaskId},
    live::{Live, Publish, live},
    observe::{Ask, Observation, ObservedTask, Request, RequestOrigin, StreamClaims, TaskStatus},
    principal::{CompanyId, User, UserId},
    routes::{Policy, RouteTable},
    secret::Secret,
    site::{Origin, Site},
    state::{Document, StateStore, StoreError},
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub(crate) const ROUTER: &str = "https://gateway.example.com";
pub(crate) const CONSOLE: &str = "https://console.example.com";
pub(crate) const KEY: &str = "ABCDEFGHIJ1234567890";

/// ClearML: alice and bob in one company, carol in another; everybody's password is `<name>-password`.
#[derive(Default)]
pub(crate) struct Clearml {
    is_away: AtomicBool,
    hidden: Mutex<Vec<TaskId>>,
}

impl Clearml {
    pub(crate) fn goes_away(&self) {
        self.is_away.store(true, Ordering::SeqCst);
    }

    pub(crate) fn hides(&self, task: TaskId) {
        self.hidden.lock().unwrap().push(task);
    }

    fn verified(name: &str) -> Result<Verified, CheckError> {
        let company = match name {
            "alice" | "bob" => "company",
            "carol" => "elsewhere",
            _ => return Err(CheckError::Rejected),
        };
        Ok(Verified {
            user: UserId::new(name),
            company: CompanyId::new(company),
            name: name.into(),
            is_administrator: false,
            token: clearml_token(name),
            expires: None,
        })
    }
}

/// A token as ClearML makes them, as far as anybody but ClearML can tell.
pub(crate) fn clearml_token(name: &str) -> Secret {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = format!(r#"{{"identity":{{"user":"{name}","company":"company"}}}}"#);
    Secret::new(format!(
        "{}.{}.{}",
        part(r#"{"alg":"HS256"}"#),
        part(&claims),
        part(name)
    ))
}

impl CredentialCheck for Clearml {
    fn check<'a>(
        &'a self,
        credential: &'a ClearmlCredential,
        _: Option<Duration>,
    ) -> Answer<'a, Result<Verified, CheckError>> {
        Box::pin(async move {
            if self.is_away.load(Ordering::SeqCst) {
                return Err(CheckError::Unavailable("connection refused".into()));
            }
            match credential {
                ClearmlCredential::Token(token) => {
                    let names = ["alice", "bob", "carol"];
                    let name = names.iter().find(|name| clearml_token(name) == *token);
                    name.map_or(Err(CheckError::Rejected), |name| Self::verified(name))
                }
                ClearmlCredential::KeyPair { key, secret } if key == KEY && secret.reveal() == "secret" => {
                    Self::verified("alice")
                }
                ClearmlCredential::Password { user, password } if password.reveal() == format!("{user}-password") => {
                    Self::verified(user)
                }
                _ => Err(CheckError::Rejected),
            }
        })
    }
}

impl Visibility for Clearml {
    fn visible<'a>(&'a self, _: &'a User, tasks: &'a [TaskId]) -> Answer<'a, Result<Vec<TaskId>, Unavailable>> {
        Box::pin(async move {
            if self.is_away.load(Ordering::SeqCst) {
                return Err(Unavailable("connection refused".into()));
            }
            let hidden = self.hidden.lock().unwrap();
            Ok(tasks.iter().filter(|task| !hidden.contains(task)).copied().collect())
        })
    }
}

#[derive(Default)]
struct Memory(Mutex<HashMap<String, Document>>);

impl StateStore for Memory {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Result<Option<Document>, StoreError>> {
        Box::pin(async move { Ok(self.0.lock().unwrap().get(key).cloned()) })
    }

    fn put_if_version<'a>(
        &'a self,
        key: &'a str,
        expected: Option<u64>,
        body: Vec<u8>,
    ) -> Answer<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let mut documents = self.0.lock().unwrap();
            let found = documents.get(key).map(|document| document.version);
            if found != expected {
                return Err(StoreError::Conflict);
            }
            let version = found.unwrap_or(0) + 1;
            documents.insert(key.to_owned(), Document { version, body });
            Ok(version)
        })
    }

    fn changed<'a>(&'a self, _: &'a str, _: Option<u64>) -> Answer<'a, Result<Document, StoreError>> {
        Box::pin(std::future::pending())
    }
}

/// The gateway.
pub(crate) struct World {
    pub(crate) clearml: Arc<Clearml>,
    pub(crate) clock: ManualClock,
    pub(crate) gateway: Router,
    pub(crate) console: Router,
    pub(crate) table: Publish<RouteTable>,
    pub(crate) notes: Publish<Vec<String>>,
    pub(crate) state: State,
    audit: mpsc::Receiver<AuditEvent>,
    _desk: JoinSet<()>,
}

/// How a world differs from the usual one.
pub(crate) struct Kind {
    pub(crate) router: &'static str,
    pub(crate) console: Option<&'static str>,
    pub(crate) is_secure: Option<bool>,
}

impl World {
    /// With a console on an origin of its own.
    pub(crate) fn new() -> Self {
        Self::of(&Kind {
            router: ROUTER,
            console: Some(CONSOLE),
            is_secure: None,
        })
    }

    /// With one URL only.
    pub(crate) fn one_url() -> Self {
        Self::of(&Kind {
            router: ROUTER,
            console: None,
            is_secure: None,
        })
    }

    pub(crate) fn of(kind: &Kind) -> Self {
        let site = Arc::new(Site {
            name: "main-router".into(),
            router: Origin::parse(kind.router).unwrap(),
            console: kind.console.map(|console| Origin::parse(console).unwrap()),
            extra_hosts: vec!["10.0.0.7:8080".into()],
        });
        let clock = ManualClock::at(Timestamp::from_secs(1_790_000_000));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let keys = Live::fixed(SessionKeys::generate(clock.now()));
        let names = Arc::new(CookieNames::new(&site, None, kind.is_secure));
        let sessions = Sessions::new(
            session::Settings::default(),
            keys.clone(),
            names.clone(),
            shared.clone(),
        );
        let register = Register::new(Arc::new(Memory::default()), shared.clone());
        let clearml = Arc::new(Clearml::default());
        let (audit, events) = AuditLog::bounded(100);
        let parts = gatekeeper::Parts {
            sessions: sessions.clone(),
            register: register.clone(),
            check: clearml.clone(),
            visibility: clearml.clone(),
            audit: audit.clone(),
            clock: shared.clone(),
            trusted_proxies: Vec::new(),
        };
        let (gatekeeper, desk) = gatekeeper(gatekeeper::Settings::default(), parts);
        let mut running = JoinSet::new();
        running.spawn(desk.run(CancellationToken::new()));
        let log_in = LogIn::new(log_in::Parts {
            check: clearml.clone(),
            sessions,
            gatekeeper: gatekeeper.clone(),
            register,
            audit,
            clock: shared.clone(),
            trusted_proxies: Vec::new(),
        });
        let (table, follow) = live(table(Who::Owner, []));
        let (notes, followed) = live(Vec::new());
        let state = State {
            site,
            gatekeeper,
            log_in,
            hand_over: HandOver::new(keys, names, shared),
            table: follow,
            web_url: Some("https://clearml.example.com".into()),
            notes: followed,
        };
        Self {
            clearml,
            clock,
            gateway: portico_console::gateway_pages(state.clone()),
            console: portico_console::console(state.clone()),
            table,
            notes,
            state,
            audit: events,
            _desk: running,
        }
    }

    /// These tasks are all that there is.
    pub(crate) fn has(&self, who: Who, tasks: impl IntoIterator<Item = ObservedTask>) {
        self.table.publish(table(who, tasks));
    }

    /// What was recorded since the last call.
    pub(crate) fn audited(&mut self) -> Vec<AuditEvent> {
        std::iter::from_fn(|| self.audit.try_recv().ok()).collect()
    }
}

pub(crate) fn visitor() -> Visitor {
    Visitor {
        address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
        request_id: "request-1".into(),
    }
}

fn table(who: Who, tasks: impl IntoIterator<Item = ObservedTask>) -> RouteTable {
    let policy = Policy {
        queues: Vec::new(),
        dial: DialRules {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            ..DialRules::default()
        },
        access: AccessPolicy::only(who),
        streams: None,
    };
    let observation = Observation::new(tasks.into_iter().map(Arc::new).collect());
    RouteTable::build(&observation, &Arc::new(policy), None)
}

pub(crate) fn task_id(number: u32) -> TaskId {
    TaskId::parse(&format!("{number:08x}{number:024x}")).unwrap()
}

/// A running task with one unnamed endpoint.
pub(crate) fn task(number: u32, name: &str, owner: &str) -> ObservedTask {
    let [.., high, low] = number.to_be_bytes();
    ObservedTask {
        id: task_id(number),
        name: name.into(),
        owner: UserId::new(owner),
        company: CompanyId::new(if owner == "carol" { "elsewhere" } else { "company" }),
        project: None,
        queue: None,
        status: TaskStatus::InProgress,
        status_since: Timestamp::from_secs(1_789_999_000),
        started: Some(Timestamp::from_secs(1_789_999_000)),
        addresses: Vec::new(),
        requests: vec![request(None, Ipv4Addr::new(10, 0, high, low))],
        published: Vec::new(),
        standing: portico_core::observe::Standing::default(),
    }
}

pub(crate) fn request(name: Option<&str>, address: Ipv4Addr) -> Request {
    Request {
        protocol: Protocol::Http,
        name: name.map(Arc::from),
        origin: RequestOrigin::Runtime,
        ask: Ok(Ask {
            claimed: Some(IpAddr::V4(address)),
            port: 8888,
            prefix: Prefix::Auto,
            access: None,
            stream: StreamClaims::default(),
        }),
    }
}
