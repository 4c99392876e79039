//! Everything that the server remembers.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value, json};

use crate::{
    clock::Moment,
    collection::{Collection, Document, text},
    ids,
    seed::{Actor, Role, Seed},
    settings::{SERVER_VERSION, Settings},
    token::Identity,
};

/// The server's memory.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) companies: Collection,
    pub(crate) users: Collection,
    pub(crate) projects: Collection,
    pub(crate) tasks: Collection,
    pub(crate) queues: Collection,
    pub(crate) models: Collection,
    /// Identities by user id, service identities included.
    pub(crate) identities: HashMap<String, Identity>,
    pub(crate) credentials: Vec<Credential>,
    pub(crate) passwords: Vec<Password>,
    /// Sessions that were logged out.
    pub(crate) revoked: HashSet<String>,
    /// Positions of running scrolls.
    pub(crate) scrolls: HashMap<String, usize>,
    /// Workers by company, user and name, as the real server keys them.
    pub(crate) workers: BTreeMap<String, Document>,
    /// Log lines by task.
    pub(crate) logs: HashMap<String, Vec<Value>>,
}

/// An API key.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) user: String,
    pub(crate) label: Option<String>,
    pub(crate) last_used: Option<String>,
}

/// A fixed user's password.
#[derive(Clone, Debug)]
pub(crate) struct Password {
    pub(crate) login: String,
    pub(crate) secret: String,
    pub(crate) user: String,
}

impl State {
    /// The memory of a server that has just started.
    pub(crate) fn new(seed: &Seed, settings: &Settings, now: Moment) -> Self {
        let mut state = Self::default();
        for company in &seed.companies {
            state
                .companies
                .insert(&company.id, Map::from_iter([("name".to_owned(), json!(company.name))]));
            let queue = queue("default", &company.id, &[], now);
            let id = ids::fresh();
            state.queues.insert(&id, queue);
            if let Some(queue) = state.queues.get_mut(&id) {
                queue.insert("system_tags".to_owned(), json!(["default"]));
            }
        }
        for actor in &seed.actors {
            state.add_actor(actor, settings, now);
        }
        state
    }

    /// Adds an actor with profile, password and key.
    pub(crate) fn add_actor(&mut self, actor: &Actor, settings: &Settings, now: Moment) {
        self.add_identity(&actor.id, &actor.name, &actor.company, actor.role);
        if actor.profile {
            let (given, family) = actor.name.split_once(' ').unwrap_or((&actor.name, ""));
            let mut user = user(&actor.name, given, family, &actor.company, now);
            if actor.id.starts_with("__") {
                for field in ["created_in_version", "given_name", "family_name"] {
                    user.remove(field);
                }
            }
            self.users.insert(&actor.id, user);
        }
        if let Some(password) = actor.password.as_ref().filter(|_| settings.fixed_users) {
            self.passwords.push(Password {
                login: actor.login.clone(),
                secret: password.clone(),
                user: actor.id.clone(),
            });
        }
        if let Some(key) = &actor.key {
            self.credentials.push(Credential {
                access_key: key.access_key.clone(),
                secret_key: key.secret_key.clone(),
                user: actor.id.clone(),
                label: None,
                last_used: None,
            });
        }
    }

    /// Adds an identity that tokens can carry.
    pub(crate) fn add_identity(&mut self, id: &str, name: &str, company: &str, role: Role) {
        let company_name = self.company_name(company).to_owned();
        let identity = Identity {
            user: id.to_owned(),
            company: company.to_owned(),
            role,
            user_name: name.to_owned(),
            company_name,
        };
        self.identities.insert(id.to_owned(), identity);
    }

    /// The company's shown name.
    pub(crate) fn company_name(&self, id: &str) -> &str {
        self.companies
            .get(id)
            .map(|company| text(company, "name"))
            .unwrap_or_default()
    }

    /// Deletes a user with keys and password. Tokens that were issued live on: the server does not look the user up.
    pub(crate) fn delete_user(&mut self, id: &str) -> bool {
        self.credentials.retain(|credential| credential.user != id);
        self.passwords.retain(|password| password.user != id);
        self.identities.remove(id).is_some() | self.users.remove(id).is_some()
    }

    /// Takes a task out of every queue.
    pub(crate) fn dequeue(&mut self, task: &str) -> bool {
        let mut found = false;
        for queue in self.queues.iter_mut() {
            if let Some(Value::Array(entries)) = queue.get_mut("entries") {
                let before = entries.len();
                entries.retain(|entry| entry["task"] != task);
                found |= entries.len() < before;
            }
        }
        found
    }
}

/// A user's profile.
pub(crate) fn user(name: &str, given: &str, family: &str, company: &str, now: Moment) -> Document {
    object(json!({
        "company": company,
        "name": name,
        "given_name": given,
        "family_name": family,
        "created": now.stored(),
        "created_in_version": SERVER_VERSION,
    }))
}

/// An empty queue.
pub(crate) fn queue(name: &str, company: &str, tags: &[String], now: Moment) -> Document {
    object(json!({
        "name": name,
        "company": company,
        "created": now.stored(),
        "tags": tags,
        "system_tags": [],
        "entries": [],
        "last_update": now.stored(),
        "metadata": {},
    }))
}

/// A new project.
pub(crate) fn project(name: &str, description: &str, company: &str, user: &str, now: Moment) -> Document {
    object(json!({
        "name": name,
        "basename": name.rsplit('/').next(),
        "description": description,
        "company": company,
        "user": user,
        "created": now.stored(),
        "last_update": now.stored(),
        "tags": [],
        "system_tags": [],
        "path": [],
    }))
}

/// A new task, with the fields that the real server fills in.
pub(crate) fn task(name: &str, kind: &str, company: &str, user: &str, now: Moment) -> Document {
    object(json!({
        "name": name,
        "type": kind,
        "company": company,
        "user": user,
        "status": "created",
        "status_reason": "",
        "status_message": "",
        "status_changed": now.stored(),
        "report_assets": [],
        "created": now.stored(),
        "output": {},
        "execution": {"test_split": 0, "parameters": {}, "model_desc": {}, "model_labels": {}, "artifacts": []},
        "tags": [],
        "system_tags": [],
        "script": {"binary": "python", "repository": "", "entry_point": "", "requirements": {}},
        "last_update": now.stored(),
        "last_change": now.stored(),
        "last_iteration": 0,
        "last_metrics": {},
        "unique_metrics": [],
        "metric_stats": {},
        "hyperparams": {},
        "configuration": {},
        "runtime": {},
        "models": {"input": [], "output": []},
        "container": {},
        "last_changed_by": user,
    }))
}

/// The map of a value that is written as one.
pub(crate) fn object(value: Value) -> Document {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
