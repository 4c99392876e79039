//! What a test's world is like.

use portico_core::port_range::PortRange;
use portico_emulator::FeatureSet;

use super::streams::{STREAMS, free_ports};

pub(crate) struct Plan {
    pub(crate) feature_set: FeatureSet,
    pub(crate) applications: usize,
    /// Applications that speak TCP.
    pub(crate) lines: usize,
    /// The public ports of TCP endpoints.
    pub(crate) ports: Option<PortRange>,
    /// Whether the gateway's state is in a file that outlives it.
    pub(crate) remembers: bool,
    /// Whether log-in has an origin of its own.
    pub(crate) has_console: bool,
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            feature_set: FeatureSet::Advanced,
            applications: 1,
            lines: 0,
            ports: None,
            remembers: false,
            has_console: true,
            variables: Vec::new(),
        }
    }
}

impl Plan {
    /// The open-source server.
    pub(crate) fn basic() -> Self {
        Self {
            feature_set: FeatureSet::Basic,
            ..Self::default()
        }
    }

    pub(crate) fn applications(mut self, count: usize) -> Self {
        self.applications = count;
        self
    }

    /// Serves TCP endpoints on so many ports, with so many applications.
    pub(crate) fn streams(mut self, ports: u16, lines: usize) -> Self {
        let range = free_ports(ports);
        (self.ports, self.lines) = (Some(range), lines);
        self.set("ROUTER__STREAM__EXTERNAL_URL", STREAMS)
            .set("ROUTER__STREAM__PORT_RANGE__START", &range.start().to_string())
            .set("ROUTER__STREAM__PORT_RANGE__END", &range.end().to_string())
            .set("PORTICO__STREAMS__LISTEN", "127.0.0.1")
    }

    /// Log-in and applications share one URL.
    pub(crate) fn one_url(mut self) -> Self {
        self.has_console = false;
        self
    }

    pub(crate) fn remembers(mut self) -> Self {
        self.remembers = true;
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }
}
