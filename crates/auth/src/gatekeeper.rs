//! Who makes this request, and which tasks does that user see? Asked by data threads for every request, answered from
//! memory.
//!
//! Data threads hold a [`Gatekeeper`]. What it does not know it sends as one message to the [`Desk`] on the control
//! runtime and waits for the answer; others with the same question wait for the same answer.

mod addresses;
mod cache;
mod cookies;
mod desk;
mod errand;
mod held;
mod memory;
mod sight;
mod signed_in;
mod standing;

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use portico_core::{
    audit::AuditLog,
    clock::Clock,
    live::Live,
    principal::{CompanyId, Method, Principal, User, UserId},
    refusal::Refusal,
};
use tokio::sync::mpsc;

use crate::{
    check::{ClearmlCredential, CredentialCheck, Verified, Visibility},
    credentials::{self, CookieNames, Header},
    digest::Digest,
    revocation::{Register, Revocations},
    session::{Session, Sessions},
};

use addresses::Addresses;
use cache::Cache;
use held::Freshness;
use memory::Memory;
use sight::{Seen, SightKey};
use standing::{Opinion, Question, Standing};

pub use desk::Desk;

/// How long answers are worth something, and how many questions there may be at once.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A good answer is asked again, in passing, from this age.
    pub refresh: Duration,
    /// A good answer of this age is not believed without asking again: a change made inside ClearML is noticed by then.
    pub limit: Duration,
    /// A bad answer is believed for this long.
    pub negative: Duration,
    /// While ClearML cannot be asked, the last answer holds for this long (`authorization.stale`); zero: not at all.
    pub stale: Duration,
    /// After a failure to ask, the same question is not asked again for this long.
    pub retry: Duration,
    /// A question that ClearML does not answer within this time has failed.
    pub patience: Duration,
    /// How many identities, and how many (user, task) pairs, are remembered.
    pub entries: usize,
    /// How many questions may wait in each of the two queues: of strangers, and of known users.
    pub queue: usize,
    /// How many questions of each queue are under way at once.
    pub concurrency: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(30),
            limit: Duration::from_mins(1),
            negative: Duration::from_secs(5),
            stale: Duration::from_hours(1),
            retry: Duration::from_secs(5),
            patience: Duration::from_secs(5),
            entries: 64 * 1024,
            queue: 1024,
            concurrency: 32,
        }
    }
}

impl Settings {
    fn freshness(&self) -> Freshness {
        Freshness {
            refresh: self.refresh,
            limit: self.limit,
            negative: self.negative,
            stale: self.stale,
            retry: self.retry,
        }
    }
}

/// What a gatekeeper works with.
pub struct Parts {
    /// Reads the session cookies.
    pub sessions: Sessions,
    /// Knows which sessions ended early.
    pub register: Register,
    /// Asks ClearML whose a credential is.
    pub check: Arc<dyn CredentialCheck>,
    /// Asks ClearML what a user sees.
    pub visibility: Arc<dyn Visibility>,
    /// Takes the record of sessions that end here.
    pub audit: AuditLog,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Their addresses are everybody's: nobody is signed in from there.
    pub trusted_proxies: Vec<IpNet>,
}

/// Knows who may come in. Cloning is cheap.
#[derive(Clone)]
pub struct Gatekeeper(Arc<Inner>);

struct Inner {
    settings: Settings,
    sessions: Sessions,
    memory: Memory,
    addresses: Addresses,
    trusted_proxies: Vec<IpNet>,
    revocations: Live<Revocations>,
    clock: Arc<dyn Clock>,
    identities: Cache<Digest, Opinion>,
    sights: Cache<SightKey, Seen>,
    strangers: mpsc::Sender<errand::Errand>,
    known: mpsc::Sender<errand::Errand>,
    salt: [u8; 32],
}

/// Who makes a request.
#[derive(Clone, Debug)]
pub struct Identified {
    /// Who.
    pub principal: Principal,
    /// Goes into the answer, whatever it is: our cookie renewed or cleared.
    pub set_cookies: Vec<HeaderValue>,
    /// The session, if the principal came in by it.
    pub session: Option<Arc<Session>>,
}

/// A gatekeeper, and the desk that asks for it.
pub fn gatekeeper(settings: Settings, parts: Parts) -> (Gatekeeper, Desk) {
    let (strangers, stranger_errands) = mpsc::channel(settings.queue.max(1));
    let (known, known_errands) = mpsc::channel(settings.queue.max(1));
    let inner = Arc::new(Inner {
        settings,
        sessions: parts.sessions,
        memory: Memory::new(),
        addresses: Addresses::new(),
        trusted_proxies: parts.trusted_proxies,
        revocations: parts.register.follow(),
        clock: parts.clock,
        identities: Cache::new(settings.entries, settings.freshness()),
        sights: Cache::new(settings.entries, settings.freshness()),
        strangers,
        known,
        salt: crate::random::bytes(),
    });
    let desk = Desk {
        asker: Arc::new(desk::Asker {
            inner: inner.clone(),
            check: parts.check,
            visibility: parts.visibility,
            register: parts.register,
            audit: parts.audit,
        }),
        strangers: stranger_errands,
        known: known_errands,
    };
    (Gatekeeper(inner), desk)
}

impl Gatekeeper {
    /// The cookies' names, for [`credentials::strip_request`].
    pub fn names(&self) -> &CookieNames {
        self.0.sessions.names()
    }

    /// Reads and clears session cookies.
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// Who makes the request with these headers.
    ///
    /// Refuses with [`Refusal::CredentialRejected`] (a header of ours is wrong), [`Refusal::ClearmlAway`] (ClearML
    /// would have to be asked and cannot be) or [`Refusal::Overloaded`]. A cookie that is no good is no refusal: it
    /// counts as absent.
    pub async fn identify(&self, headers: &HeaderMap) -> Result<Identified, Refusal> {
        let presented = credentials::read(headers, self.names());
        let credential = match presented.header {
            Header::Absent => return self.by_cookies(presented.clearml, presented.sessions).await,
            Header::Rejected => return Err(Refusal::CredentialRejected),
            Header::Given(credential) => credential,
        };
        let method = match credential {
            ClearmlCredential::Token(_) => Method::Bearer,
            ClearmlCredential::KeyPair { .. } | ClearmlCredential::Password { .. } => Method::Basic,
        };
        match self.standing(&Question::of(&credential)).await {
            Standing::Good(verified) => Ok(Identified {
                principal: Principal::User(Arc::new(user(&verified, method))),
                set_cookies: Vec::new(),
                session: None,
            }),
            Standing::Rejected => Err(Refusal::CredentialRejected),
            Standing::Away => Err(Refusal::ClearmlAway),
            Standing::Refused(refusal) => Err(refusal),
        }
    }

    /// May an exchange that is open go on? To be asked every second or so; answered from memory nearly always.
    ///
    /// Refuses at once after a revocation or log-out known here, and within [`Settings::limit`] after a change inside
    /// ClearML.
    pub async fn recheck(&self, principal: &Principal) -> Result<(), Refusal> {
        let Principal::User(user) = principal else {
            return Ok(());
        };
        match self.current(user).await {
            Err(Refusal::Overloaded | Refusal::ShuttingDown | Refusal::Internal) => Ok(()),
            current => current.map(drop),
        }
    }

    /// The user as of now. As [`Gatekeeper::recheck`], but refuses too where it could not even be asked whether ClearML
    /// still accepts a credential that is no session of ours.
    pub async fn current(&self, user: &Arc<User>) -> Result<Arc<User>, Refusal> {
        if user.expires.is_some_and(|expires| expires <= self.0.clock.now()) {
            return Err(Refusal::LogInRequired);
        }
        if let Some(session) = &user.session
            && self.0.revocations.get().is_revoked(session, &user.id)
        {
            return Err(Refusal::LogInRequired);
        }
        let question =
            Question::token(user.token.reveal()).in_session(user.session.as_ref().map(|session| (session, &user.id)));
        match self.standing(&question).await {
            Standing::Good(verified) if is_same(&verified, &user.id, &user.company) => Ok(as_told(user, &verified)),
            Standing::Good(_) | Standing::Rejected if user.method.is_ambient() => Err(Refusal::LogInRequired),
            Standing::Good(_) | Standing::Rejected => Err(Refusal::CredentialRejected),
            Standing::Away if user.session.is_none() => Err(Refusal::ClearmlAway),
            Standing::Refused(refusal) if user.session.is_none() => Err(refusal),
            // A session stays valid while ClearML cannot be asked, but only an answer of now makes an administrator.
            Standing::Away | Standing::Refused(_) => Ok(with_rights(user, false, &user.name)),
        }
    }

    /// Takes what ClearML has just said at log-in, so that the first request need not ask again.
    pub(crate) fn remember(&self, verified: Verified) {
        let digest = self.0.token_digest(verified.token.reveal());
        let now = self.0.clock.now();
        self.0.identities.record(&digest, now, Some(Opinion::good(verified)));
    }

    /// How many opened sessions are remembered.
    pub fn sessions_remembered(&self) -> usize {
        self.0.memory.len()
    }

    /// How many answers are remembered, for metrics: identities, and (user, task) pairs.
    pub fn remembered(&self) -> (usize, usize) {
        (self.0.identities.len(), self.0.sights.len())
    }
}

fn is_same(verified: &Verified, user: &UserId, company: &CompanyId) -> bool {
    verified.user == *user && verified.company == *company
}

/// A user that is known, as ClearML tells of it now.
fn as_told(user: &Arc<User>, verified: &Verified) -> Arc<User> {
    with_rights(user, verified.is_administrator, &verified.name)
}

/// The same value if that changes nothing.
fn with_rights(user: &Arc<User>, is_administrator: bool, name: &Arc<str>) -> Arc<User> {
    if user.is_administrator == is_administrator && user.name == *name {
        return user.clone();
    }
    Arc::new(User {
        is_administrator,
        name: name.clone(),
        ..(**user).clone()
    })
}

/// A user as ClearML tells of it now.
fn user(verified: &Verified, method: Method) -> User {
    User {
        id: verified.user.clone(),
        company: verified.company.clone(),
        name: verified.name.clone(),
        is_administrator: verified.is_administrator,
        method,
        session: None,
        expires: verified.expires,
        token: verified.token.clone(),
    }
}
