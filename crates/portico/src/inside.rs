//! The running gateway's values, for those who only look: the control socket, `explain`, the metrics.

use std::sync::Arc;

use portico_auth::{gatekeeper::Gatekeeper, log_in::LogIn, session::Sessions};
use portico_clearml::{Clearml, PublisherStatus, ServerFacts};
use portico_core::{
    clock::{Clock, Timestamp},
    live::Live,
    observe::{Observation, SourceHealth},
    pods::Pods,
    ports::OpenPorts,
    routes::RouteTable,
    site::Site,
};
use portico_kubernetes::{Gateways, StateReaders};
use portico_proxy::{Counters, Exchanges, Upstreams};

use crate::{reconcile::Recording, telemetry::readiness::Readiness};

/// Everything that can be looked at. Cheap to clone.
#[derive(Clone)]
pub struct Inside {
    /// When this process started.
    pub started: Timestamp,
    /// The gateway's names.
    pub site: Arc<Site>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is not there yet.
    pub readiness: Readiness,
    /// What the server is.
    pub facts: Live<ServerFacts>,
    /// What the source sees.
    pub observation: Live<Observation>,
    /// How well ClearML is read.
    pub health: Live<SourceHealth>,
    /// What leads where.
    pub table: Live<RouteTable>,
    /// What the data plane made of the public ports.
    pub open_ports: Live<OpenPorts>,
    /// How the recording of their leases goes.
    pub recording: Live<Recording>,
    /// How publishing goes.
    pub published: Live<PublisherStatus>,
    /// What is open.
    pub exchanges: Arc<Exchanges>,
    /// Connections by data thread.
    pub counters: Arc<Counters>,
    /// What is known of the applications.
    pub upstreams: Arc<Upstreams>,
    /// Who may come in.
    pub gatekeeper: Gatekeeper,
    /// Reads session cookies.
    pub sessions: Sessions,
    /// Ends sessions.
    pub log_in: LogIn,
    /// Asks ClearML.
    pub clearml: Clearml,
    /// What is seen of Kubernetes, where pods are the truth.
    pub cluster: Option<ClusterSight>,
}

/// What is seen of a namespace.
#[derive(Clone)]
pub struct ClusterSight {
    /// Where the pods are.
    pub namespace: Arc<str>,
    /// The pods that live.
    pub pods: Live<Pods>,
    /// When Kubernetes proved itself last.
    pub health: Live<SourceHealth>,
    /// The gateways that serve the namespace; empty where this one keeps no Lease.
    pub gateways: Live<Gateways>,
    /// When their list was proven last.
    pub gateway_health: Live<SourceHealth>,
    /// The tasks that ask for endpoints, wherever their pods are.
    pub tasks: Live<Observation>,
    /// Who may read the gateway's keys; absent where they are in no Secret.
    pub state_readers: Option<Live<StateReaders>>,
}
