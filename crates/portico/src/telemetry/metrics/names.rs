//! What is measured, under which name, with which labels.

use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder},
    metrics::MetricType,
};

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, without the `_total` that counters get.
    pub name: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// Its labels, in their order.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub about: &'static str,
}

impl Metric {
    pub(super) fn start<'e>(
        &'e self,
        encoder: &'e mut DescriptorEncoder<'_>,
    ) -> Result<MetricEncoder<'e>, std::fmt::Error> {
        let kind = match self.kind {
            MetricKind::Counter => MetricType::Counter,
            MetricKind::Gauge => MetricType::Gauge,
            MetricKind::Histogram => MetricType::Histogram,
        };
        // The encoder adds the full stop.
        encoder.encode_descriptor(self.name, self.about.trim_end_matches('.'), None, kind)
    }
}

macro_rules! metrics {
    ($($constant:ident = $name:literal $kind:ident [$($label:literal),*] $about:literal;)+) => {
        $(pub(super) const $constant: Metric = Metric { name: $name, kind: MetricKind::$kind, labels: &[$($label),*], about: $about };)+
        /// All metrics.
        pub const METRICS: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    EXCHANGES = "portico_exchanges" Counter ["kind", "status"] "Exchanges that are over, by kind (http, events, websocket, tcp, page) and class of status (2xx, …, none: the visitor left before the answer, or it is no HTTP).";
    REFUSALS = "portico_refusals" Counter ["code"] "Answers of Portico in place of the application's, by code (see errors.md).";
    CUTS = "portico_cuts" Counter ["reason"] "Exchanges that were cut because they were no longer allowed, by reason.";
    DURATION = "portico_exchange_duration_seconds" Histogram ["kind"] "From the end of the request's headers to the end of the exchange.";
    FIRST_BYTE = "portico_first_byte_seconds" Histogram [] "From the end of the request's headers to the answer's headers.";
    RECEIVED = "portico_received_bytes" Counter ["kind"] "Bytes of bodies and tunnels from visitors, counted when the exchange is over.";
    SENT = "portico_sent_bytes" Counter ["kind"] "Bytes of bodies and tunnels to visitors, counted when the exchange is over.";

    BUILD = "portico_build" Gauge ["version"] "Always 1; the version is the label.";
    READY = "portico_ready" Gauge [] "1 if /readyz says so.";
    OPEN = "portico_open_exchanges" Gauge ["kind"] "Exchanges that are open now: requests, tunnels (WebSocket), and streams (TCP).";
    CONNECTIONS = "portico_connections" Gauge ["thread"] "Visitors' connections that are open now, by data thread.";
    IDLE_UPSTREAM = "portico_idle_upstream_connections" Gauge [] "Idle connections to applications.";
    ACCEPTED = "portico_accepted_connections" Counter ["thread"] "Visitors' connections that were accepted, by data thread.";
    TURNED_AWAY = "portico_turned_away_connections" Counter [] "Visitors' connections that were closed at once, because there were too many from one address.";
    UNREADABLE = "portico_unreadable_connections" Counter [] "Visitors' connections that ended with something that is no HTTP request, or with half of one.";
    UPSTREAM = "portico_upstream_requests" Counter ["connection"] "Requests to applications, by where their connection came from: dialed, reused, or retried because a reused one had been closed.";
    STREAMS = "portico_stream_connections" Gauge [] "TCP connections to public ports that are open now, those that wait for their application included.";
    STREAMS_ACCEPTED = "portico_accepted_stream_connections" Counter [] "TCP connections to public ports that were accepted, those closed at once included.";
    STREAM_REFUSALS = "portico_stream_refusals" Counter ["code"] "TCP connections that were closed in place of the application's answer, by code (see errors.md).";
    PORTS = "portico_stream_ports" Gauge ["state"] "Public ports of TCP endpoints: free, leased, cooling (kept for an endpoint that went), failed (somebody else listens there).";
    LEASES_RECORDED = "portico_leases_recorded" Gauge [] "0 while the leases of public ports cannot be written down: new TCP endpoints get no port then.";
    LEASE_WRITES = "portico_lease_writes" Counter ["outcome"] "Writes of the leases of public ports, by outcome (ok, failed).";
    ROUTES = "portico_routes" Gauge [] "Endpoints that can be reached.";
    REFUSED_ROUTES = "portico_refused_routes" Gauge ["code"] "Endpoints that are asked for and cannot be reached, by refusal code.";
    SOURCE_AGE = "portico_source_age_seconds" Gauge [] "How old the last complete observation of ClearML is; absent before the first.";
    SOURCE_FAILING = "portico_source_failing" Gauge ["reason"] "1 with a reason while ClearML cannot be read; absent otherwise.";
    SOURCE_FAILING_SINCE = "portico_source_failing_seconds" Gauge [] "For how long ClearML cannot be read; 0 while it can.";
    KUBERNETES_AGE = "portico_kubernetes_age_seconds" Gauge [] "How long ago Kubernetes proved the list of pods last; absent where no pods are watched.";
    STATE_READERS = "portico_state_readers" Gauge [] "Service accounts of tasks' pods that may read the Secret with the gateway's keys: whoever runs a task with one can act as any visitor; absent while that is not known.";
    OWN_KEY = "portico_own_key_accepted" Gauge [] "0 while ClearML rejects the gateway's own key; absent before the first answer.";
    PUBLISH_PENDING = "portico_publish_pending" Gauge [] "Tasks whose published URLs are not yet as they should be.";
    PUBLISH_CONTESTED = "portico_publish_contested" Gauge [] "Published values that somebody else keeps overwriting and that Portico has stopped writing.";
    PUBLISH_WRITES = "portico_publish_writes" Counter ["outcome"] "Writes of URLs into tasks, by outcome (ok, failed).";
    REMEMBERED = "portico_remembered" Gauge ["what"] "Answers of ClearML that are remembered: identities, and sights (user and task).";
    LOST = "portico_lost_records" Counter ["log"] "Lines of the log, the access log and the audit events that were lost because nobody took them in time.";

    CPU = "process_cpu_seconds" Counter [] "CPU time of the process, user and system.";
    RESIDENT = "process_resident_memory_bytes" Gauge [] "Memory that the process has in use.";
    FILES = "process_open_fds" Gauge [] "File descriptors that are open.";
    MAX_FILES = "process_max_fds" Gauge [] "The most file descriptors that may be open.";
}
