//! TCP endpoints in the status.

use portico_core::ports::Lease;
use serde::Serialize;

use crate::{
    inside::Inside,
    public_ports::{OpenStreams, PortCounts, Traffic},
};

/// So many endpoints are shown to people; programs get all.
const SHOWN: usize = 20;

/// TCP endpoints, if they are served.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Streams {
    pub(crate) host: String,
    pub(crate) range: String,
    pub(crate) admission: String,
    pub(crate) ports: PortCounts,
    /// Ports that cannot be opened, and why.
    pub(crate) failed: Vec<String>,
    /// Since when leases cannot be recorded, and why.
    pub(crate) not_recorded: Option<String>,
    pub(crate) endpoints: Vec<Stream>,
}

/// One public port that somebody has.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Stream {
    /// The public address.
    pub(crate) address: String,
    pub(crate) task: String,
    pub(crate) name: Option<String>,
    /// Where it leads to; nothing while the endpoint cannot be reached.
    pub(crate) upstream: Option<String>,
    pub(crate) leased_since: String,
    pub(crate) cooling_until: Option<String>,
    pub(crate) is_open: bool,
    #[serde(flatten)]
    pub(crate) traffic: Traffic,
}

impl Streams {
    pub(super) fn of(inside: &Inside) -> Option<Self> {
        let (table, open) = (inside.table.get(), inside.open_ports.get());
        let streams = table.policy().streams.as_ref()?;
        let connections = OpenStreams::of(&inside.exchanges);
        let stream = |lease: &Lease| {
            let route = table.route(&lease.key).and_then(|route| route.outcome.as_ref().ok());
            let id = lease.key.id();
            Stream {
                address: streams.address(lease.port),
                task: lease.key.task.to_string(),
                name: lease.key.name.as_deref().map(str::to_owned),
                upstream: route.map(|endpoint| endpoint.upstream.to_string()),
                leased_since: format!("{:.0}", lease.since),
                cooling_until: lease.cooling_until.map(|until| format!("{until:.0}")),
                is_open: open.open.get(&lease.port) == Some(&id),
                traffic: connections.traffic(id, &inside.upstreams),
            }
        };
        let recording = inside.recording.get();
        Some(Self {
            host: streams.host.to_string(),
            range: streams.range.to_string(),
            admission: streams.admission.to_string(),
            ports: PortCounts::of(&table, &open),
            failed: open.failed.iter().map(|(port, why)| format!("{port}: {why}")).collect(),
            not_recorded: recording
                .failing
                .as_ref()
                .map(|(since, why)| format!("since {since:.0}: {why}")),
            endpoints: table.ports().leases.iter().map(stream).collect(),
        })
    }

    pub(super) fn is_good(&self) -> bool {
        self.failed.is_empty() && self.not_recorded.is_none()
    }

    pub(super) fn lines(&self, line: &mut impl FnMut(&str, String)) {
        let counts: Vec<String> = self
            .ports
            .by_state()
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        line(
            "TCP",
            format!(
                "{}, ports {} ({}), admission {}",
                self.host,
                self.range,
                counts.join(", "),
                self.admission
            ),
        );
        if let Some(why) = &self.not_recorded {
            line(
                "",
                format!("leases cannot be written down {why}; new endpoints get no port"),
            );
        }
        for failed in &self.failed {
            line("", format!("port {failed}"));
        }
        for stream in self.endpoints.iter().take(SHOWN) {
            line("", stream.words());
        }
        if self.endpoints.len() > SHOWN {
            line("", format!("and {} more: see --json", self.endpoints.len() - SHOWN));
        }
    }
}

impl Stream {
    fn words(&self) -> String {
        let name = self
            .name
            .as_deref()
            .map_or_else(String::new, |name| format!(" {name:?}"));
        let leads = match (&self.upstream, &self.cooling_until) {
            (_, Some(until)) => format!("is kept for task {}{name} until {until}", self.task),
            (Some(upstream), None) => {
                let state = if self.is_open { "" } else { ", not open yet" };
                format!("leads to {upstream}{state}, task {}{name}: {}", self.task, self.traffic)
            }
            (None, None) => format!("leads nowhere now, task {}{name}", self.task),
        };
        format!("{} {leads}", self.address)
    }
}
