//! What is read from the running gateway at each scrape.

use std::{collections::BTreeMap, fmt, time::Duration};

use portico_proxy::ThreadCounts;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder},
};

use super::{
    names::{self, Metric},
    tally::counter,
};
use crate::{public_ports::PortCounts, reconcile::Recording};

/// The gateway's state at one moment. What is not known is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readings {
    /// Nothing is awaited.
    pub is_ready: bool,
    /// Exchanges that are open, tunnels and streams among them.
    pub open_exchanges: usize,
    /// Streams that are open.
    pub open_streams: usize,
    /// Streams that were closed in place of an application's answer, by code.
    pub stream_refusals: Vec<(&'static str, u64)>,
    /// Public ports.
    pub ports: PortCounts,
    /// How the recording of leases goes.
    pub recording: Recording,
    /// What the data threads count.
    pub threads: Vec<ThreadCounts>,
    /// Endpoints that can be reached.
    pub routes: usize,
    /// Endpoints that cannot, by refusal code.
    pub refused_routes: BTreeMap<&'static str, usize>,
    /// Age of the last complete observation.
    pub source_age: Option<Duration>,
    /// Why ClearML cannot be read, and for how long.
    pub source_failing: Option<(&'static str, Duration)>,
    /// How long ago Kubernetes proved the list of pods last.
    pub kubernetes_age: Option<Duration>,
    /// How many accounts of tasks' pods may read the gateway's keys.
    pub state_readers: Option<usize>,
    /// Whether ClearML accepts the gateway's own key.
    pub is_own_key_accepted: Option<bool>,
    /// Tasks that are still to be written.
    pub publish_pending: usize,
    /// Values that are contested.
    pub publish_contested: usize,
    /// Writes that worked.
    pub publish_writes: u64,
    /// Writes that failed.
    pub publish_failures: u64,
    /// Remembered identities.
    pub identities: usize,
    /// Remembered pairs of user and task.
    pub sights: usize,
    /// Lost lines, by log: `log`, `access`, `audit`.
    pub lost: BTreeMap<&'static str, u64>,
}

/// What the data threads count.
fn threads(encoder: &mut DescriptorEncoder<'_>, now: &Readings) -> fmt::Result {
    let sum = |of: fn(&ThreadCounts) -> usize| now.threads.iter().map(of).sum::<usize>();
    let count = |of: fn(&ThreadCounts) -> u64| now.threads.iter().map(of).sum::<u64>();
    let tunnels = sum(|thread| thread.tunnels);
    let mut open = names::OPEN.start(encoder)?;
    gauge(
        &mut open,
        &[("kind", "request")],
        number(now.open_exchanges.saturating_sub(tunnels + now.open_streams)),
    )?;
    gauge(&mut open, &[("kind", "tunnel")], number(tunnels))?;
    gauge(&mut open, &[("kind", "stream")], number(now.open_streams))?;
    names::STREAMS
        .start(encoder)?
        .encode_gauge(&number(sum(|thread| thread.streams)))?;
    counter(
        &mut names::STREAMS_ACCEPTED.start(encoder)?,
        &[],
        count(|thread| thread.streams_accepted),
    )?;
    let mut connections = names::CONNECTIONS.start(encoder)?;
    for (thread, counts) in now.threads.iter().enumerate() {
        gauge(
            &mut connections,
            &[("thread", &thread.to_string())],
            number(counts.connections),
        )?;
    }
    let mut accepted = names::ACCEPTED.start(encoder)?;
    for (thread, counts) in now.threads.iter().enumerate() {
        counter(&mut accepted, &[("thread", &thread.to_string())], counts.accepted)?;
    }
    counter(
        &mut names::TURNED_AWAY.start(encoder)?,
        &[],
        count(|thread| thread.turned_away),
    )?;
    counter(
        &mut names::UNREADABLE.start(encoder)?,
        &[],
        count(|thread| thread.unreadable),
    )?;
    let mut upstream = names::UPSTREAM.start(encoder)?;
    counter(
        &mut upstream,
        &[("connection", "dialed")],
        count(|thread| thread.dialed),
    )?;
    counter(
        &mut upstream,
        &[("connection", "reused")],
        count(|thread| thread.reused),
    )?;
    counter(
        &mut upstream,
        &[("connection", "retried")],
        count(|thread| thread.retried),
    )?;
    names::IDLE_UPSTREAM
        .start(encoder)?
        .encode_gauge(&number(sum(|thread| thread.idle_upstream)))
}

/// Public ports, and who holds them.
fn ports(encoder: &mut DescriptorEncoder<'_>, now: &Readings) -> fmt::Result {
    let mut refusals = names::STREAM_REFUSALS.start(encoder)?;
    for (code, count) in &now.stream_refusals {
        counter(&mut refusals, &[("code", code)], *count)?;
    }
    let mut ports = names::PORTS.start(encoder)?;
    for (state, count) in now.ports.by_state() {
        gauge(&mut ports, &[("state", state)], number(count))?;
    }
    let is_recorded = now.recording.failing.is_none();
    names::LEASES_RECORDED
        .start(encoder)?
        .encode_gauge(&f64::from(u8::from(is_recorded)))?;
    let mut writes = names::LEASE_WRITES.start(encoder)?;
    counter(&mut writes, &[("outcome", "ok")], now.recording.writes)?;
    counter(&mut writes, &[("outcome", "failed")], now.recording.failures)
}

/// Makes readings at each scrape.
pub(super) struct Collected(pub(super) Box<dyn Fn() -> Readings + Send + Sync>);

impl fmt::Debug for Collected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Collected")
    }
}

fn gauge(encoder: &mut MetricEncoder<'_>, labels: &[(&str, &str)], value: f64) -> fmt::Result {
    encoder.encode_family(&labels)?.encode_gauge(&value)
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts beyond 2^53")]
fn number(value: usize) -> f64 {
    value as f64
}

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let now = (self.0)();
        let encoder = &mut encoder;
        gauge(
            &mut names::BUILD.start(encoder)?,
            &[("version", env!("CARGO_PKG_VERSION"))],
            1.0,
        )?;
        let mut single = |metric: Metric, value: f64| metric.start(encoder)?.encode_gauge(&value);
        single(names::READY, f64::from(u8::from(now.is_ready)))?;
        single(names::ROUTES, number(now.routes))?;
        single(names::PUBLISH_PENDING, number(now.publish_pending))?;
        single(names::PUBLISH_CONTESTED, number(now.publish_contested))?;
        let failing = now.source_failing.map_or(0.0, |(_, since)| since.as_secs_f64());
        single(names::SOURCE_FAILING_SINCE, failing)?;
        if let Some(age) = now.source_age {
            single(names::SOURCE_AGE, age.as_secs_f64())?;
        }
        if let Some(age) = now.kubernetes_age {
            single(names::KUBERNETES_AGE, age.as_secs_f64())?;
        }
        if let Some(readers) = now.state_readers {
            single(names::STATE_READERS, number(readers))?;
        }
        if let Some(is_accepted) = now.is_own_key_accepted {
            single(names::OWN_KEY, f64::from(u8::from(is_accepted)))?;
        }
        if let Some((reason, _)) = now.source_failing {
            gauge(&mut names::SOURCE_FAILING.start(encoder)?, &[("reason", reason)], 1.0)?;
        }
        threads(encoder, &now)?;
        ports(encoder, &now)?;
        let mut refused = names::REFUSED_ROUTES.start(encoder)?;
        for (code, count) in &now.refused_routes {
            gauge(&mut refused, &[("code", code)], number(*count))?;
        }
        let mut writes = names::PUBLISH_WRITES.start(encoder)?;
        counter(&mut writes, &[("outcome", "ok")], now.publish_writes)?;
        counter(&mut writes, &[("outcome", "failed")], now.publish_failures)?;
        let mut remembered = names::REMEMBERED.start(encoder)?;
        gauge(&mut remembered, &[("what", "identities")], number(now.identities))?;
        gauge(&mut remembered, &[("what", "sights")], number(now.sights))?;
        let mut lost = names::LOST.start(encoder)?;
        for (log, count) in &now.lost {
            counter(&mut lost, &[("log", log)], *count)?;
        }
        Ok(())
    }
}
