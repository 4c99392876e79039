//! What surrounds the data plane: a ClearML server that says what it is told to, a store, and somebody who takes records.

use std::{
    collections::{HashMap, HashSet},
    future::pending,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portico_auth::check::{CheckError, ClearmlCredential, CredentialCheck, Unavailable, Verified, Visibility};
use portico_core::{
    Answer,
    endpoint::TaskId,
    principal::{CompanyId, User, UserId},
    secret::Secret,
    state::{Document, StateStore, StoreError},
};
use portico_proxy::record::{ExchangeRecord, Recorder};

/// Another token of the same user.
pub(crate) fn second_token(user: &str) -> String {
    format!("{}Mg", token(user))
}

/// A text with the structure of a ClearML token. Alice and bob work in one company, carol in another.
pub(crate) fn token(user: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = format!(r#"{{"identity":{{"user":"{user}","company":"{}"}}}}"#, company(user));
    format!("{}.{}.{}", part(r#"{"alg":"HS256"}"#), part(&claims), part("signature"))
}

fn company(user: &str) -> &'static str {
    if user == "carol" { "c2" } else { "c1" }
}

#[derive(Default)]
pub(crate) struct Script {
    pub(crate) hidden: HashSet<(UserId, TaskId)>,
    pub(crate) rejected: HashSet<UserId>,
    pub(crate) rejected_tokens: HashSet<String>,
    pub(crate) is_away: bool,
    /// Whose credential it is, is not answered any more.
    pub(crate) hangs: bool,
    /// How many questions are without an answer.
    pub(crate) unanswered: usize,
}

/// A ClearML server.
#[derive(Default)]
pub(crate) struct Server(Mutex<Script>);

impl Server {
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }
}

impl CredentialCheck for Server {
    fn check<'a>(
        &'a self,
        credential: &'a ClearmlCredential,
        _: Option<Duration>,
    ) -> Answer<'a, Result<Verified, CheckError>> {
        Box::pin(async move {
            let hangs = {
                let mut script = self.script();
                script.unanswered += usize::from(script.hangs);
                script.hangs
            };
            if hangs {
                pending::<()>().await;
            }
            let script = self.script();
            if script.is_away {
                return Err(CheckError::Unavailable("away".into()));
            }
            let users: HashMap<String, &str> = ["alice", "bob", "carol"].map(|user| (token(user), user)).into();
            let user = match credential {
                ClearmlCredential::Token(token) if script.rejected_tokens.contains(token.reveal()) => None,
                ClearmlCredential::Token(token) => users.get(token.reveal().trim_end_matches("Mg")).copied(),
                ClearmlCredential::KeyPair { key, .. } => key.starts_with("ALICE").then_some("alice"),
                ClearmlCredential::Password { .. } => None,
            };
            let user = user.filter(|user| !script.rejected.contains(&UserId::new(*user)));
            let user = user.ok_or(CheckError::Rejected)?;
            Ok(Verified {
                user: UserId::new(user),
                company: CompanyId::new(company(user)),
                name: user.into(),
                is_administrator: false,
                token: match credential {
                    ClearmlCredential::Token(token) => token.clone(),
                    _ => Secret::new(token(user)),
                },
                expires: None,
            })
        })
    }
}

impl Visibility for Server {
    fn visible<'a>(&'a self, user: &'a User, tasks: &'a [TaskId]) -> Answer<'a, Result<Vec<TaskId>, Unavailable>> {
        Box::pin(async move {
            let script = self.script();
            if script.is_away {
                return Err(Unavailable("away".into()));
            }
            let sees = |task: &&TaskId| !script.hidden.contains(&(user.id.clone(), **task));
            Ok(tasks.iter().filter(sees).copied().collect())
        })
    }
}

/// Keeps nothing.
pub(crate) struct NoStore;

impl StateStore for NoStore {
    fn get<'a>(&'a self, _: &'a str) -> Answer<'a, Result<Option<Document>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn put_if_version<'a>(&'a self, _: &'a str, _: Option<u64>, _: Vec<u8>) -> Answer<'a, Result<u64, StoreError>> {
        Box::pin(async { Ok(1) })
    }

    fn changed<'a>(&'a self, _: &'a str, _: Option<u64>) -> Answer<'a, Result<Document, StoreError>> {
        Box::pin(pending())
    }
}

/// Keeps all records.
#[derive(Default)]
pub(crate) struct Records(Mutex<Vec<ExchangeRecord>>);

impl Records {
    pub(crate) fn all(&self) -> Vec<ExchangeRecord> {
        self.0.lock().unwrap().clone()
    }
}

impl Recorder for Records {
    fn record(&self, record: ExchangeRecord) {
        self.0.lock().unwrap().push(record);
    }
}

/// Waits until `condition` gives something; fails after 30 s.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
