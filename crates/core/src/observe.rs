//! What a source sees now: whole lists, never changes.

use std::{fmt, net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    access::Who,
    clock::Timestamp,
    endpoint::{Prefix, Protocol, TaskId},
    label::label_value,
    principal::{CompanyId, UserId},
};

/// All tasks that ask for an endpoint or did so until they ended, sorted by id. A source that sees an unchanged task again hands
/// on the same `Arc`: that is how a new route table finds out cheaply what is new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    tasks: Vec<Arc<ObservedTask>>,
}

impl Observation {
    /// Sorts by id; of two with the same id the later one stays.
    pub fn new(mut tasks: Vec<Arc<ObservedTask>>) -> Self {
        tasks.sort_by_key(|task| task.id);
        tasks.dedup_by(|later, kept| {
            let is_same = later.id == kept.id;
            if is_same {
                std::mem::swap(later, kept);
            }
            is_same
        });
        Self { tasks }
    }

    /// The tasks, sorted by id.
    pub fn tasks(&self) -> &[Arc<ObservedTask>] {
        &self.tasks
    }

    /// The task with this id.
    pub fn task(&self, id: TaskId) -> Option<&Arc<ObservedTask>> {
        let at = self.tasks.binary_search_by_key(&id, |task| task.id).ok()?;
        self.tasks.get(at)
    }
}

/// One task as its source tells of it. Only what decisions need: no secrets, nothing that changes without meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedTask {
    /// Identity.
    pub id: TaskId,
    /// The task's name, for people; at most 256 characters. Escape it.
    pub name: Arc<str>,
    /// Whose it is.
    pub owner: UserId,
    /// In which company.
    pub company: CompanyId,
    /// The project's id, if it has one.
    pub project: Option<Arc<str>>,
    /// The name of the queue it came from; `None` when unknown (tasks that nobody enqueued).
    pub queue: Option<Arc<str>>,
    /// What the task does.
    pub status: TaskStatus,
    /// Since when.
    pub status_since: Timestamp,
    /// When it started running, as ClearML tells.
    pub started: Option<Timestamp>,
    /// The addresses under which the source itself knows the task's workload: its worker's, or its pod's.
    pub addresses: Vec<IpAddr>,
    /// The endpoints that it asks for, sorted by protocol and name.
    pub requests: Vec<Request>,
    /// What stands in the task as published addresses now, sorted by name.
    pub published: Vec<Published>,
    /// What is known of it beyond ClearML's word.
    #[serde(default)]
    pub standing: Standing,
}

impl ObservedTask {
    /// True if it came from the queue of this name. Where only a pod's label tells the queue, every name counts that becomes this label.
    pub fn is_from(&self, queue: &str) -> bool {
        let own = self.queue.as_deref();
        own == Some(queue) || (self.standing.is_queue_label && own == Some(&*label_value(queue)))
    }
}

/// What is known of a task beyond ClearML's word. By default: nothing is known of pods or of other gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// What became of its pods.
    pub workload: Workload,
    /// `queue` is not the queue's name, but what the agent made of it for a label.
    pub is_queue_label: bool,
    /// The gateway that shall own it, as its property or its pod's annotation says.
    pub named_gateway: Option<Arc<str>>,
    /// The gateway that owns it.
    pub owning_gateway: OwningGateway,
}

/// What became of a task's pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// Nobody watches pods, or a pod lives.
    #[default]
    Known,
    /// A pod lived when Kubernetes was heard of last, which is too long ago: its address may be another pod's by now.
    Unproven,
    /// Its pods are gone.
    Gone,
    /// Its pods live, but are not dialed; why not.
    Refused(Arc<str>),
}

/// Which of several gateways publishes a task's endpoints, leases their ports, and withdraws.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwningGateway {
    /// This one.
    #[default]
    This,
    /// Another one, of this name.
    Another(Arc<str>),
    /// None, or it is not known.
    Nobody,
}

/// A task's status in ClearML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Not yet enqueued.
    Created,
    /// Waiting for a worker.
    Queued,
    /// Running.
    InProgress,
    /// Stopped by somebody.
    Stopped,
    /// Ended well.
    Completed,
    /// Ended badly.
    Failed,
    /// Ended and published.
    Published,
    /// Ended long ago.
    Closed,
    /// A word that we do not know.
    #[serde(other)]
    Unknown,
}

impl TaskStatus {
    /// Reads the server's word.
    pub fn parse(word: &str) -> Self {
        match word {
            "created" => Self::Created,
            "queued" => Self::Queued,
            "in_progress" => Self::InProgress,
            "stopped" => Self::Stopped,
            "completed" => Self::Completed,
            "failed" => Self::Failed,
            "published" | "publishing" => Self::Published,
            "closed" => Self::Closed,
            _ => Self::Unknown,
        }
    }

    /// True if the task ran and runs no longer.
    pub fn is_ended(self) -> bool {
        matches!(
            self,
            Self::Stopped | Self::Completed | Self::Failed | Self::Published | Self::Closed
        )
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Created => "created",
            Self::Queued => "queued",
            Self::InProgress => "in progress",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Published => "published",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        })
    }
}

/// One endpoint that a task asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What is spoken.
    pub protocol: Protocol,
    /// Its name; `None` for the unnamed endpoint.
    pub name: Option<Arc<str>>,
    /// Where it was asked.
    pub origin: RequestOrigin,
    /// What is asked, or why it cannot be understood.
    pub ask: Result<Ask, RequestFault>,
}

/// The understood part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The address that the task claims to have. A hint, never a target by itself. `None`: it names none.
    pub claimed: Option<IpAddr>,
    /// The port it listens on.
    pub port: u16,
    /// Whether it wants its prefix.
    pub prefix: Prefix,
    /// Whom it wants to let in. May only tighten the rule that holds without it.
    pub access: Option<Who>,
    /// What stands beside it in the task, for a TCP endpoint: our own values and older ones are told apart when routes are made.
    #[serde(default)]
    pub stream: StreamClaims,
}

/// What a task's keys say of a TCP endpoint, uninterpreted: who wrote which of them, and when, cannot be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamClaims {
    /// Runtime `external_address[__name]`: the task's own address or a gateway's public host; at most 256 characters, trimmed. `None`:
    /// absent or empty.
    pub host: Option<Arc<str>>,
    /// Runtime `external_tcp_port[__name]`: the task's own port or a gateway's public one.
    pub port: Option<u16>,
    /// Runtime `upstream_task_port[__name]`: a gateway wrote it, or the SDK.
    pub upstream_port: Option<u16>,
    /// The port that the user property `portico`, or a pod's annotation, asks for.
    pub noted_port: Option<u16>,
    /// The public port that the task wants and no other: `_ROUTER_ENDPOINT_MODE[__name]` = `port` and its `_PARAM`.
    pub fixed: Option<u16>,
    /// What clearml-session says of its SSH server, for the unnamed endpoint.
    pub session: Option<SessionClaims>,
}

/// User properties that clearml-session writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClaims {
    /// `external_address`: the task's first own address, or a gateway that the user named.
    pub address: Option<IpAddr>,
    /// `internal_ssh_port`: where the SSH server listens.
    pub ssh_port: Option<u16>,
    /// `internal_stable_ssh_port` is set: what the task announces is a proxy on its loopback, which breaks when it is dialed.
    pub is_kept_alive: bool,
}

/// Where a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestOrigin {
    /// Runtime keys, as the SDK writes them.
    Runtime,
    /// The user property `portico`.
    Property,
    /// The pod's annotation `portico/endpoints`.
    Annotation,
}

/// Why a request cannot be understood. Texts are cut at 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum RequestFault {
    /// The port is no number.
    #[error("the port {0:?} is not a number")]
    PortNotANumber(String),
    /// The port is a number, but no port.
    #[error("the port {0} is not between 1 and 65535")]
    PortOutOfRange(i64),
    /// The address is missing or empty.
    #[error("no address was given")]
    AddressMissing,
    /// The address is something else than an IP address; names are never looked up.
    #[error("the address {0:?} is not an IP address")]
    AddressNotAnIp(String),
    /// The name is longer than 256 characters.
    #[error("the endpoint's name is longer than 256 characters")]
    NameTooLong,
    /// More endpoints than one task may have.
    #[error("a task may ask for at most {0} endpoints")]
    TooMany(usize),
    /// The property does not follow the notation.
    #[error("the property portico: {0}")]
    Notation(String),
}

/// What stands in a task as the address of one endpoint. Numbers are told as text.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Published {
    /// The endpoint's name; `None` for the unnamed one.
    pub name: Option<Arc<str>>,
    /// Runtime `endpoint[__name]`.
    pub endpoint: Option<Arc<str>>,
    /// Runtime `browser_endpoint[__name]`.
    pub browser_endpoint: Option<Arc<str>>,
    /// User property `gateway_url[__name]`.
    pub property: Option<Arc<str>>,
    /// Runtime `external_address[__name]`: the task's own address, or the public host.
    pub external_address: Option<Arc<str>>,
    /// Runtime `external_tcp_port[__name]`: the task's own port, or the public one.
    pub external_tcp_port: Option<Arc<str>>,
    /// Runtime `upstream_task_port[__name]`.
    pub upstream_task_port: Option<Arc<str>>,
}

/// How well a source is doing; the console, the metrics and `status` show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceHealth {
    /// When the last complete observation was made.
    pub observed: Option<Timestamp>,
    /// Since when it fails, and why; `None` while it works.
    pub failing: Option<Failing>,
}

/// A failure that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// Stable word for metrics: `unreachable`, `refused`, `timeout`, `bad_answer`, `untrusted` …
    pub reason: &'static str,
    /// For the operator; no secrets.
    pub detail: String,
}
