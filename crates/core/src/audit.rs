//! What is recorded of who did what: a stream of events of its own, with a versioned schema.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::Serialize;
use tokio::sync::mpsc;

use crate::{
    clock::Timestamp,
    endpoint::TaskId,
    principal::{Method, SessionId, UserId},
};

/// The version of the schema of [`AuditEvent`]; grows when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    /// Somebody logged in.
    LogIn,
    /// Somebody tried to and failed.
    LogInFailed,
    /// Somebody logged out.
    LogOut,
    /// A session got to an endpoint for the first time.
    AccessGranted,
    /// Somebody known was refused.
    AccessRefused,
    /// A session was ended by somebody or by ClearML.
    SessionRevoked,
    /// An endpoint came, went or moved.
    RouteChanged,
    /// A stream was connected to its application.
    StreamOpened,
    /// An open exchange was cut because it was no longer allowed.
    ExchangeCut,
}

/// One event. Fields that do not apply are absent.
#[derive(Clone, Debug, Serialize)]
pub struct AuditEvent {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When.
    pub time: Timestamp,
    /// What.
    pub event: AuditKind,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<UserId>,
    /// By what credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// In which session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Which task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Whose task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// Which endpoint of it: its public prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Arc<str>>,
    /// By which access rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Where the rule was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_source: Option<String>,
    /// Of which request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// A refusal's code, or what changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl AuditEvent {
    /// An event with nothing but time and kind.
    pub fn new(time: Timestamp, event: AuditKind) -> Self {
        Self {
            schema: SCHEMA,
            time,
            event,
            actor: None,
            method: None,
            session: None,
            address: None,
            task: None,
            owner: None,
            endpoint: None,
            rule: None,
            rule_source: None,
            request_id: None,
            detail: None,
        }
    }
}

/// Where events are handed over: bounded, never blocking; what does not fit is counted.
#[derive(Clone, Debug)]
pub struct AuditLog {
    events: mpsc::Sender<AuditEvent>,
    dropped: Arc<AtomicU64>,
}

impl AuditLog {
    /// A log that holds at most `capacity` unwritten events, and the end from which they are written.
    pub fn bounded(capacity: usize) -> (Self, mpsc::Receiver<AuditEvent>) {
        let (events, receiver) = mpsc::channel(capacity);
        (
            Self {
                events,
                dropped: Arc::default(),
            },
            receiver,
        )
    }

    /// Hands an event over.
    pub fn record(&self, event: AuditEvent) {
        if self.events.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many events did not fit.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
