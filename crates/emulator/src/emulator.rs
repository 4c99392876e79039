//! The server as a value, with the controls that tests use.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Map, Value, json};

use crate::{
    clock::Clock,
    collection::put,
    faults::Faults,
    ids,
    seed::{Actor, Seed},
    settings::{FeatureSet, Settings, TOKEN_SECS},
    state::{self, State},
    token::Signer,
    writes::{Record, Write},
};

/// An emulated server. Clones share one memory.
#[derive(Clone)]
pub struct Emulator {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) seed: Seed,
    pub(crate) settings: Settings,
    pub(crate) signer: Signer,
    pub(crate) clock: Clock,
    state: Mutex<State>,
    faults: Mutex<Faults>,
    calls: Mutex<Calls>,
    writes: Mutex<Record>,
}

#[derive(Default)]
struct Calls {
    known: BTreeMap<String, u64>,
    unknown: BTreeMap<String, u64>,
}

/// A task to be made directly, without a call.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewTask {
    /// Log-in name or id of the owner.
    pub user: String,
    /// Id; a fresh one if missing.
    pub id: Option<String>,
    /// Name.
    pub name: String,
    /// Type, such as `application`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Status.
    pub status: String,
    /// Runtime.
    pub runtime: Map<String, Value>,
    /// System tags.
    pub system_tags: Vec<String>,
    /// Name of the queue that the task came from; made if missing.
    pub queue: Option<String>,
    /// User properties (`hyperparams.properties`).
    pub properties: BTreeMap<String, String>,
}

impl Default for NewTask {
    /// A running application of alice's that asks for nothing.
    fn default() -> Self {
        Self {
            user: "alice".to_owned(),
            id: None,
            name: "a task".to_owned(),
            kind: "application".to_owned(),
            status: "in_progress".to_owned(),
            runtime: Map::new(),
            system_tags: Vec::new(),
            queue: None,
            properties: BTreeMap::new(),
        }
    }
}

impl NewTask {
    /// A running task of `user` that asks for an HTTP endpoint at an address, as the SDK does.
    pub fn asking(user: &str, name: &str, address: std::net::SocketAddr) -> Self {
        let runtime = json!({"_SERVICE": "EXTERNAL", "_ADDRESS": address.ip().to_string(), "_PORT": address.port()});
        Self {
            user: user.to_owned(),
            name: name.to_owned(),
            runtime: state::object(runtime),
            system_tags: vec!["development".to_owned(), "external_service".to_owned()],
            ..Self::default()
        }
    }
}

impl Emulator {
    /// A server with these actors; `settings` may be just a [`FeatureSet`].
    pub fn new(seed: Seed, settings: impl Into<Settings>) -> Self {
        let (settings, clock) = (settings.into(), Clock::default());
        let state = State::new(&seed, &settings, clock.now());
        let signer = Signer::new(&seed.token_secret);
        let inner = Inner {
            seed,
            settings,
            signer,
            clock,
            state: Mutex::new(state),
            faults: Mutex::default(),
            calls: Mutex::default(),
            writes: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.inner.state)
    }

    /// Who lives on the server.
    pub fn seed(&self) -> &Seed {
        &self.inner.seed
    }

    /// What the server claims to be licensed for.
    pub fn feature_set(&self) -> FeatureSet {
        self.inner.settings.feature_set
    }

    /// The actor with that log-in name or id.
    pub fn actor(&self, who: &str) -> Option<&Actor> {
        self.inner.seed.actor(who)
    }

    /// Makes a task and answers its id. An unknown user becomes the owner's id as it is, in the default company.
    pub fn create_task(&self, new: NewTask) -> String {
        let now = self.inner.clock.now();
        let (user, company) = match self.actor(&new.user) {
            Some(actor) => (actor.id.clone(), actor.company.clone()),
            None => (new.user, crate::seed::DEFAULT_COMPANY.to_owned()),
        };
        let mut task = state::task(&new.name, &new.kind, &company, &user, now);
        if new.status != "created" {
            task.insert("started".to_owned(), json!(now.stored()));
        }
        task.insert("status".to_owned(), json!(new.status));
        task.insert("runtime".to_owned(), Value::Object(new.runtime));
        task.insert("system_tags".to_owned(), json!(new.system_tags));
        let property = |(name, value)| {
            let entry = json!({"section": "properties", "name": name, "type": "str", "value": value});
            (name, entry)
        };
        if !new.properties.is_empty() {
            put(
                &mut task,
                "hyperparams.properties",
                new.properties.into_iter().map(property).collect(),
            );
        }
        let mut state = self.state();
        if let Some(name) = new.queue {
            let found = state
                .queues
                .iter()
                .find(|queue| queue["name"] == name && queue["company"] == company)
                .map(|queue| queue["id"].clone());
            let queue = found.unwrap_or_else(|| {
                let id = ids::fresh();
                state.queues.insert(&id, state::queue(&name, &company, &[], now));
                json!(id)
            });
            put(&mut task, "execution.queue", queue);
        }
        let id = new.id.unwrap_or_else(ids::fresh);
        state.tasks.insert(&id, task);
        id
    }

    /// The task as it is kept.
    pub fn task(&self, id: &str) -> Option<Value> {
        self.state().tasks.get(id).cloned().map(Value::Object)
    }

    /// The task's runtime; empty if there is no such task.
    pub fn runtime(&self, id: &str) -> Map<String, Value> {
        self.state()
            .tasks
            .get(id)
            .and_then(|task| task.get("runtime")?.as_object().cloned())
            .unwrap_or_default()
    }

    /// Replaces the task's runtime. False if there is no such task.
    pub fn set_runtime(&self, id: &str, runtime: Map<String, Value>) -> bool {
        self.set(id, "runtime", Value::Object(runtime))
    }

    /// Sets the task's status, whatever it was. False if there is no such task.
    pub fn set_status(&self, id: &str, status: &str) -> bool {
        let now = self.inner.clock.now().stored();
        self.set(id, "status_changed", json!(now)) && self.set(id, "status", json!(status))
    }

    /// Replaces the task's system tags. False if there is no such task.
    pub fn set_system_tags(&self, id: &str, tags: &[&str]) -> bool {
        self.set(id, "system_tags", json!(tags))
    }

    /// Sets any field of the task by its path. False if there is no such task.
    pub fn set(&self, id: &str, path: &str, value: Value) -> bool {
        let now = self.inner.clock.now().stored();
        let mut state = self.state();
        let Some(task) = state.tasks.get_mut(id) else {
            return false;
        };
        put(task, path, value);
        task.insert("last_change".to_owned(), json!(now));
        task.insert("last_update".to_owned(), json!(now));
        true
    }

    /// Deletes a task. False if there is none.
    pub fn delete_task(&self, id: &str) -> bool {
        let mut state = self.state();
        state.dequeue(id);
        state.tasks.remove(id).is_some()
    }

    /// Deletes a user, by log-in name or id, with keys and password. Tokens that were issued live on. False if there is none.
    pub fn delete_user(&self, who: &str) -> bool {
        let id = self.actor(who).map_or_else(|| who.to_owned(), |actor| actor.id.clone());
        self.state().delete_user(&id)
    }

    /// Adds an actor to the running server.
    pub fn add_actor(&self, actor: &Actor) {
        self.state()
            .add_actor(actor, &self.inner.settings, self.inner.clock.now());
    }

    /// A token of a user (log-in name or id), as a log-in gives; `None` if there is no such user.
    pub fn token(&self, who: &str) -> Option<String> {
        self.token_for(who, TOKEN_SECS)
    }

    /// A token that ends after so many seconds; a negative number gives one that has ended.
    pub fn token_for(&self, who: &str, lifetime_secs: i64) -> Option<String> {
        let id = self.actor(who).map_or(who, |actor| &actor.id);
        let identity = self.state().identities.get(id).cloned()?;
        self.inner
            .signer
            .issue(&identity, self.feature_set(), self.inner.clock.now(), lifetime_secs)
            .ok()
    }

    /// A token with any claims: what somebody with the server's secret can sign.
    pub fn sign(&self, claims: &Value) -> Option<String> {
        self.inner.signer.sign(claims).ok()
    }

    /// Moves the server's clock.
    pub fn advance(&self, secs: i64) {
        self.inner.clock.advance(secs);
    }

    /// The server's present moment, in seconds since 1970-01-01 UTC.
    pub fn now(&self) -> i64 {
        self.inner.clock.now().secs()
    }

    /// From now on the server misbehaves like this; `Faults::default()` ends it.
    pub fn set_faults(&self, faults: Faults) {
        *lock(&self.inner.faults) = faults;
    }

    /// How the server misbehaves.
    pub fn faults(&self) -> Faults {
        lock(&self.inner.faults).clone()
    }

    /// How often each call was made, refused ones included.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        lock(&self.inner.calls).known.clone()
    }

    /// Calls that the server does not know, and how often they were made.
    pub fn unknown_calls(&self) -> Vec<(String, u64)> {
        lock(&self.inner.calls)
            .unknown
            .iter()
            .map(|(name, count)| (name.clone(), *count))
            .collect()
    }

    /// What calls of the API set or removed in tasks, the oldest first: of one task, or of all.
    pub fn writes(&self, task: Option<&str>) -> Vec<Write> {
        lock(&self.inner.writes).of(task)
    }

    /// Starts the counts and the record of writes anew.
    pub fn forget_calls(&self) {
        *lock(&self.inner.calls) = Calls::default();
        *lock(&self.inner.writes) = Record::default();
    }

    pub(crate) fn note_writes(&self, writes: impl IntoIterator<Item = Write>) {
        lock(&self.inner.writes).extend(writes);
    }

    pub(crate) fn count(&self, name: &str, known: bool) {
        let mut calls = lock(&self.inner.calls);
        let counts = if known { &mut calls.known } else { &mut calls.unknown };
        *counts.entry(name.to_owned()).or_default() += 1;
    }
}

/// A value behind a lock stays whole even if a holder panicked: every change is one assignment or insertion.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
