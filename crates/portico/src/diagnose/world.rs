//! What an explanation is made of: values at one moment.

use std::{net::IpAddr, sync::Arc};

use portico_auth::session::SessionFault;
use portico_clearml::Contested;
use portico_core::{
    clock::Timestamp,
    decision::Sight,
    observe::{Observation, SourceHealth},
    ports::OpenPorts,
    principal::{Principal, User, UserId},
    refusal::Refusal,
    routes::RouteTable,
    site::Site,
};
use portico_kubernetes::Gateways;
use portico_proxy::{Probe, UpstreamStatus};

use crate::{public_ports::Traffic, reconcile::Recording};

/// What the gateway knows now.
#[derive(Clone, Debug)]
pub struct World {
    /// The gateway's names.
    pub site: Arc<Site>,
    /// What leads where.
    pub table: Arc<RouteTable>,
    /// How well ClearML can be read.
    pub health: SourceHealth,
    /// The server's words, if it rejects the gateway's own key.
    pub own_key_refused: Option<String>,
    /// What the data plane made of the public ports.
    pub open_ports: Arc<OpenPorts>,
    /// How the recording of their leases goes.
    pub recording: Arc<Recording>,
    /// Values in tasks that somebody else keeps overwriting.
    pub contested: Vec<Contested>,
    /// What is known of Kubernetes, where pods are the truth.
    pub cluster: Option<Namespace>,
    /// The time.
    pub now: Timestamp,
}

/// What is known of the namespace whose pods run the tasks.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Its name.
    pub name: Arc<str>,
    /// The gateways that serve it.
    pub gateways: Arc<Gateways>,
    /// The tasks that ask for endpoints, wherever their pods are.
    pub tasks: Arc<Observation>,
    /// When Kubernetes proved itself last, and why it does not.
    pub health: SourceHealth,
}

/// For whom it is explained.
#[derive(Clone, Debug)]
pub enum Visitor {
    /// Nobody was named: the task's own owner.
    Owner,
    /// A user of this gateway's company, looked up by the operator's word.
    Named(Arc<User>),
    /// No user of this gateway's company has this id or name.
    Unknown(String),
    /// Several users have this name.
    Ambiguous(String, Vec<UserId>),
    /// ClearML could not be asked about this user.
    Unasked(String),
    /// Whoever sent these cookies.
    Cookies {
        /// What the gatekeeper makes of them.
        outcome: Result<Principal, Refusal>,
        /// What is wrong with our session cookies among them.
        faults: Vec<SessionFault>,
    },
}

/// What was found behind an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Does it accept connections?
    pub probe: Probe,
    /// Who listens on the port, if the upstream is this machine.
    pub listening_here: Option<Vec<IpAddr>>,
    /// What the data plane knows of it.
    pub status: Option<UpstreamStatus>,
}

/// What had to be asked for one endpoint, or for a task without any.
#[derive(Clone, Debug)]
pub struct Findings {
    /// For whom.
    pub visitor: Visitor,
    /// Does ClearML show the visitor the task?
    pub sight: Sight,
    /// What is behind it; `None` if it was not tried.
    pub port: Option<Port>,
    /// What goes through it, if it is a TCP endpoint.
    pub traffic: Option<Traffic>,
}
