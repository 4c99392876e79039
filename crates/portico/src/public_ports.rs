//! The public ports of TCP endpoints, as the status and the metrics show them.

use std::{collections::HashMap, fmt};

use portico_core::{endpoint::EndpointId, ports::OpenPorts, routes::RouteTable};
use portico_proxy::{Exchanges, Upstreams, record::Kind};

/// How many there are of each kind. Each port of the range counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PortCounts {
    /// Nobody's.
    pub free: usize,
    /// An endpoint's.
    pub leased: usize,
    /// Kept for an endpoint that went, or given to nobody for a while.
    pub cooling: usize,
    /// Somebody else listens there.
    pub failed: usize,
}

impl PortCounts {
    /// As they are now; all zero if no TCP endpoints are served.
    pub fn of(table: &RouteTable, open: &OpenPorts) -> Self {
        let mut counts = Self::default();
        let Some(streams) = &table.policy().streams else {
            return counts;
        };
        let leases = &table.ports().leases;
        for port in streams.range.iter() {
            let lease = leases.holder(port).and_then(|key| leases.of(key));
            let count = match lease {
                _ if open.failed.contains_key(&port) => &mut counts.failed,
                None if leases.resting().contains_key(&port) => &mut counts.cooling,
                None => &mut counts.free,
                Some(lease) if lease.cooling_until.is_some() => &mut counts.cooling,
                Some(_) => &mut counts.leased,
            };
            *count += 1;
        }
        counts
    }

    /// With their names.
    pub fn by_state(self) -> [(&'static str, usize); 4] {
        [
            ("free", self.free),
            ("leased", self.leased),
            ("cooling", self.cooling),
            ("failed", self.failed),
        ]
    }
}

/// What goes through a TCP endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Traffic {
    /// Connections that are open.
    pub connections: usize,
    /// Connections since the endpoint is there.
    pub opened: u64,
    /// Bytes from visitors.
    pub received: u64,
    /// Bytes to visitors.
    pub sent: u64,
    /// When the last byte passed; `None` if none did.
    pub last_activity: Option<String>,
}

/// How many connections are open now, by endpoint.
#[derive(Clone, Debug, Default)]
pub struct OpenStreams(HashMap<EndpointId, usize>);

impl OpenStreams {
    /// Counts them.
    pub fn of(exchanges: &Exchanges) -> Self {
        let mut counts = HashMap::new();
        for exchange in exchanges.snapshot() {
            if exchange.kind() == Kind::Tcp {
                *counts.entry(exchange.endpoint.id).or_default() += 1;
            }
        }
        Self(counts)
    }

    /// What goes through one endpoint.
    pub fn traffic(&self, endpoint: EndpointId, upstreams: &Upstreams) -> Traffic {
        let passed = upstreams.traffic(endpoint).unwrap_or_default();
        Traffic {
            connections: self.0.get(&endpoint).copied().unwrap_or_default(),
            opened: passed.opened,
            received: passed.received,
            sent: passed.sent,
            last_activity: passed.last_activity.map(|at| format!("{at:.0}")),
        }
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, opened, received, sent) = (self.connections, self.opened, self.received, self.sent);
        write!(
            out,
            "{open} of {opened} connections open, {received} bytes in, {sent} bytes out"
        )?;
        match &self.last_activity {
            Some(at) => write!(out, ", the last at {at}"),
            None => Ok(()),
        }
    }
}
