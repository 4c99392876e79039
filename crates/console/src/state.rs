//! What the pages need of the rest of the gateway.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use portico_auth::{gatekeeper::Gatekeeper, hand_over::HandOver, log_in::LogIn};
use portico_core::{live::Live, routes::RouteTable, site::Site};

/// Everything that the pages ask or show. Cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The gateway's names.
    pub site: Arc<Site>,
    /// Who asks, and which tasks they see.
    pub gatekeeper: Gatekeeper,
    /// Opens and ends sessions.
    pub log_in: LogIn,
    /// Carries a session from the console's origin to the applications'.
    pub hand_over: HandOver,
    /// The routes.
    pub table: Live<RouteTable>,
    /// `clearml.web_url`: ClearML's own pages.
    pub web_url: Option<Arc<str>>,
    /// Warnings that whoever is logged in should see: "the server has no real authentication".
    pub notes: Live<Vec<String>>,
}

/// Who sent a request, as the listener knows: an extension of each request, without which no page answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// The client's address, behind trusted proxies too.
    pub address: IpAddr,
    /// The request's id, to quote.
    pub request_id: String,
}

impl Visitor {
    /// Somebody of whom the listener said nothing.
    pub(crate) fn unknown() -> Self {
        Self {
            address: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            request_id: String::new(),
        }
    }
}
