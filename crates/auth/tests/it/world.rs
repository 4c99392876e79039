//! A small world: a ClearML server that says what it is told to, a store, a clock, and everything of this crate wired
//! together.

use std::{
    collections::{HashMap, HashSet},
    future::pending,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, COOKIE},
};
use portico_auth::{
    check::{CheckError, ClearmlCredential, CredentialCheck, Unavailable, Verified, Visibility},
    credentials::CookieNames,
    gatekeeper::{self, Gatekeeper, Identified, gatekeeper},
    hand_over::HandOver,
    keys,
    log_in::{self, Attempt, LogIn, OpenedSession},
    revocation::Register,
    session::{self, Sessions},
};
use portico_core::{
    Answer,
    audit::{AuditEvent, AuditKind, AuditLog},
    clock::{Clock, ManualClock, Timestamp},
    endpoint::TaskId,
    live::{Publish, live},
    principal::{CompanyId, Principal, User, UserId},
    refusal::Refusal,
    secret::Secret,
    site::{Origin, Site},
    state::{Document, StateStore, StoreError},
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub(crate) const KEY: &str = "ABCDEFGHIJKLMNOPQRST0123456789";
pub(crate) const SECRET: &str = "a-secret-of-alice";
pub(crate) const PASSWORD: &str = "hunter2-of-alice";

/// What the server knows and how it behaves.
#[derive(Default)]
pub(crate) struct Script {
    pub tokens: HashMap<String, (Verified, bool)>,
    pub visible: HashSet<(UserId, TaskId)>,
    pub is_away: bool,
    pub hangs: bool,
    /// It never answers about tokens that it did not make.
    pub(crate) hangs_for_strangers: bool,
    /// Questions about credentials.
    pub checks: usize,
    /// Questions about tasks: how many tasks each.
    pub sights: Vec<usize>,
    minted: usize,
}

/// A ClearML server that says what it is told to.
#[derive(Default)]
pub(crate) struct Server(Mutex<Script>);

pub(crate) fn user_id(name: &str) -> UserId {
    UserId::new(format!("id-of-{name}"))
}

pub(crate) fn task(number: u8) -> TaskId {
    TaskId::parse(&format!("{number:032x}")).unwrap()
}

/// A text with the structure of a ClearML token.
pub(crate) fn jwt(user: &str, number: usize) -> String {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = part(r#"{"alg":"HS256","typ":"JWT"}"#.into());
    let claims = part(format!(
        r#"{{"auth_type":"Bearer","identity":{{"user":"id-of-{user}","company":"c1","role":"user"}},"jti":{number}}}"#
    ));
    format!("{header}.{claims}.{}", part(format!("signature {number}")))
}

impl Server {
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    /// A good token of this user.
    pub(crate) fn mint(&self, user: &str) -> String {
        let mut script = self.script();
        script.minted += 1;
        let token = jwt(user, script.minted);
        let verified = Verified {
            user: user_id(user),
            company: CompanyId::new("c1"),
            name: format!("Name of {user}").into(),
            is_administrator: user == "root",
            token: Secret::new(&*token),
            expires: None,
        };
        script.tokens.insert(token.clone(), (verified, true));
        token
    }

    /// Every token of the user is refused from now on.
    pub(crate) fn delete_user(&self, user: &str) {
        for (verified, is_good) in self.script().tokens.values_mut() {
            if verified.user == user_id(user) {
                *is_good = false;
            }
        }
    }

    pub(crate) fn show(&self, user: &str, task: TaskId) {
        self.script().visible.insert((user_id(user), task));
    }

    fn token_of(&self, credential: &ClearmlCredential) -> Option<String> {
        match credential {
            ClearmlCredential::Token(token) => Some(token.reveal().to_owned()),
            ClearmlCredential::KeyPair { key, secret } => {
                (key == KEY && secret.reveal() == SECRET).then(|| self.mint("alice"))
            }
            ClearmlCredential::Password { user, password } => {
                (user == "alice" && password.reveal() == PASSWORD).then(|| self.mint("alice"))
            }
        }
    }
}

impl CredentialCheck for Server {
    fn check<'a>(
        &'a self,
        credential: &'a ClearmlCredential,
        lifetime: Option<Duration>,
    ) -> Answer<'a, Result<Verified, CheckError>> {
        Box::pin(async move {
            self.script().checks += 1;
            let is_stranger = |script: &Script| match credential {
                ClearmlCredential::Token(token) => !script.tokens.contains_key(token.reveal()),
                _ => false,
            };
            let hangs = {
                let script = self.script();
                script.hangs || (script.hangs_for_strangers && is_stranger(&script))
            };
            if hangs {
                pending::<()>().await;
            }
            if self.script().is_away {
                return Err(CheckError::Unavailable("away".into()));
            }
            let token = self.token_of(credential).ok_or(CheckError::Rejected)?;
            let verified = match self.script().tokens.get(&token) {
                Some((verified, true)) => verified.clone(),
                _ => return Err(CheckError::Rejected),
            };
            let Some(_) = lifetime else { return Ok(verified) };
            let name = verified.user.as_str().trim_start_matches("id-of-").to_owned();
            let minted = self.mint(&name);
            Ok(Verified {
                token: Secret::new(minted),
                ..verified
            })
        })
    }
}

impl Visibility for Server {
    fn visible<'a>(&'a self, user: &'a User, tasks: &'a [TaskId]) -> Answer<'a, Result<Vec<TaskId>, Unavailable>> {
        Box::pin(async move {
            self.script().sights.push(tasks.len());
            if self.script().hangs {
                pending::<()>().await;
            }
            let script = self.script();
            if script.is_away {
                return Err(Unavailable("away".into()));
            }
            let sees = |task: &&TaskId| script.visible.contains(&(user.id.clone(), **task));
            Ok(tasks.iter().filter(sees).copied().collect())
        })
    }
}

/// A store in memory, which several replicas can share.
#[derive(Default)]
pub(crate) struct Memory {
    documents: Mutex<HashMap<String, Document>>,
    pub is_broken: Mutex<bool>,
}

impl Memory {
    fn check(&self) -> Result<(), StoreError> {
        if *self.is_broken.lock().unwrap() {
            return Err(StoreError::Failed("broken".into()));
        }
        Ok(())
    }
}

impl StateStore for Memory {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Result<Option<Document>, StoreError>> {
        Box::pin(async move {
            self.check()?;
            Ok(self.documents.lock().unwrap().get(key).cloned())
        })
    }

    fn put_if_version<'a>(
        &'a self,
        key: &'a str,
        expected: Option<u64>,
        body: Vec<u8>,
    ) -> Answer<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            self.check()?;
            let mut documents = self.documents.lock().unwrap();
            if documents.get(key).map(|document| document.version) != expected {
                return Err(StoreError::Conflict);
            }
            let version = expected.map_or(1, |version| version + 1);
            documents.insert(key.to_owned(), Document { version, body });
            Ok(version)
        })
    }

    fn changed<'a>(&'a self, key: &'a str, seen: Option<u64>) -> Answer<'a, Result<Document, StoreError>> {
        Box::pin(async move {
            loop {
                if let Some(document) = self.get(key).await?
                    && Some(document.version) != seen
                {
                    return Ok(document);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    }
}

/// One replica and what it talks to.
pub(crate) struct World {
    pub clock: ManualClock,
    pub server: Arc<Server>,
    pub store: Arc<Memory>,
    pub site: Site,
    pub keys: Arc<Publish<keys::SessionKeys>>,
    pub sessions: Sessions,
    pub register: Register,
    pub gatekeeper: Gatekeeper,
    pub log_in: LogIn,
    pub hand_over: HandOver,
    audit: mpsc::Receiver<AuditEvent>,
    running: JoinSet<()>,
    shutdown: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(crate) fn site() -> Site {
    Site {
        name: "test".into(),
        router: Origin::parse("https://gw.example.com").unwrap(),
        console: Some(Origin::parse("https://console.example.com").unwrap()),
        extra_hosts: vec!["gw.internal:8080".into()],
    }
}

/// A server that hangs is given up soon: tests wait for it in earnest.
pub(crate) fn settings() -> gatekeeper::Settings {
    gatekeeper::Settings {
        patience: Duration::from_millis(200),
        ..gatekeeper::Settings::default()
    }
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: gatekeeper::Settings) -> Self {
        let clock = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        Self::built(settings, clock, Arc::default(), Arc::default()).await
    }

    /// Another replica, or the same after a restart: the same server, store and clock; an empty memory.
    pub(crate) async fn restarted(&self) -> Self {
        Self::built(settings(), self.clock.clone(), self.server.clone(), self.store.clone()).await
    }

    async fn built(
        settings: gatekeeper::Settings,
        clock: ManualClock,
        server: Arc<Server>,
        store: Arc<Memory>,
    ) -> Self {
        let site = site();
        let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let names = Arc::new(CookieNames::new(&site, None, None));
        let (publish, keys) = live(keys::load_or_create(&*store, &clock).await.unwrap());
        let sessions = Sessions::new(
            session::Settings::default(),
            keys.clone(),
            names.clone(),
            shared_clock.clone(),
        );
        let register = Register::new(store.clone(), shared_clock.clone());
        let (log, audit) = AuditLog::bounded(1000);
        let (gatekeeper, desk) = gatekeeper(
            settings,
            gatekeeper::Parts {
                sessions: sessions.clone(),
                register: register.clone(),
                check: server.clone(),
                visibility: server.clone(),
                audit: log.clone(),
                clock: shared_clock.clone(),
                trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            },
        );
        let log_in = LogIn::new(log_in::Parts {
            check: server.clone(),
            sessions: sessions.clone(),
            gatekeeper: gatekeeper.clone(),
            register: register.clone(),
            audit: log,
            clock: shared_clock.clone(),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        });
        let shutdown = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(desk.run(shutdown.clone()));
        running.spawn(register.clone().run(shutdown.clone()));
        Self {
            clock,
            server,
            store,
            site,
            keys: Arc::new(publish),
            sessions,
            register,
            gatekeeper,
            log_in,
            hand_over: HandOver::new(keys, names, shared_clock),
            audit,
            running,
            shutdown,
        }
    }

    pub(crate) fn after(&self, time: Duration) {
        self.clock.advance(time);
    }

    pub(crate) fn secs(&self, seconds: u64) {
        self.after(Duration::from_secs(seconds));
    }

    /// A session of alice, through the log-in.
    pub(crate) async fn logged_in(&self) -> OpenedSession {
        let attempt = attempt("alice", PASSWORD, "203.0.113.7");
        self.log_in.attempt(&attempt).await.unwrap()
    }

    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Identified, Refusal> {
        self.gatekeeper.identify(headers).await
    }

    /// Everything recorded since the last look.
    pub(crate) fn audited(&mut self) -> Vec<AuditEvent> {
        std::iter::from_fn(|| self.audit.try_recv().ok()).collect()
    }

    pub(crate) fn kinds(&mut self) -> Vec<AuditKind> {
        self.audited().iter().map(|event| event.event).collect()
    }

    pub(crate) fn checks(&self) -> usize {
        self.server.script().checks
    }

    pub(crate) fn away(&self, is_away: bool) {
        self.server.script().is_away = is_away;
    }

    /// Ends everything that asks, and waits until it has ended.
    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        while self.running.join_next().await.is_some() {}
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }
}

pub(crate) fn attempt(account: &str, secret: &str, from: &str) -> Attempt {
    Attempt {
        account: account.into(),
        secret: Secret::new(secret),
        address: address(from),
    }
}

pub(crate) fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value.parse().unwrap());
    }
    headers
}

pub(crate) fn bearer(token: &str) -> HeaderMap {
    headers(&[(AUTHORIZATION, &format!("Bearer {token}"))])
}

pub(crate) fn basic(key: &str, secret: &str) -> HeaderMap {
    use base64::engine::general_purpose::STANDARD;
    let pair = STANDARD.encode(format!("{key}:{secret}"));
    headers(&[(AUTHORIZATION, &format!("Basic {pair}"))])
}

pub(crate) fn cookies(pairs: &[&str]) -> HeaderMap {
    headers(&[(COOKIE, &pairs.join("; "))])
}

/// `name=value` of a `Set-Cookie` header.
pub(crate) fn pair(set_cookie: &http::HeaderValue) -> String {
    set_cookie.to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// True if the answer takes the session cookie away.
pub(crate) fn clears(identified: &Identified) -> bool {
    identified.set_cookies.iter().any(|cookie| {
        let cookie = cookie.to_str().unwrap();
        cookie.contains("portico-session-") && cookie.contains("Max-Age=0")
    })
}

/// The user of a principal.
pub(crate) fn who(identified: &Result<Identified, Refusal>) -> Option<&User> {
    match &identified.as_ref().unwrap().principal {
        Principal::User(user) => Some(user),
        Principal::Nobody => None,
    }
}

/// Waits for a condition.
pub(crate) async fn until(mut is_met: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if is_met() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the condition was not met");
}
