//! From the gateway's live values to the readings that its metrics show.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use portico_clearml::KeyState;
use portico_core::{
    audit::{AuditEvent, AuditLog},
    routes::RouteTable,
};
use portico_proxy::record::Kind;

use crate::{
    inside::Inside,
    public_ports::PortCounts,
    telemetry::{access_log::AccessLog, lines::Lines, metrics::Readings},
};

/// Who counts lost lines.
pub(super) struct Lost {
    pub(super) log: Option<Lines<Vec<u8>>>,
    pub(super) audit: AuditLog,
    pub(super) audit_lines: Option<Lines<AuditEvent>>,
    /// Set once the access log is started: it counts into the same metrics that show what it lost.
    pub(super) access: Arc<OnceLock<Arc<AccessLog>>>,
}

/// The gateway's state now.
pub(super) fn of(inside: &Inside, lost: &Lost) -> Readings {
    let now = inside.clock.now();
    let (health, published) = (inside.health.get(), inside.published.get());
    let (identities, sights) = inside.gatekeeper.remembered();
    let table = inside.table.get();
    Readings {
        is_ready: inside.readiness.awaited().is_empty(),
        open_exchanges: inside.exchanges.len(),
        open_streams: streams(&inside.exchanges.by_kind()),
        stream_refusals: inside
            .counters
            .stream_refusals()
            .into_iter()
            .map(|(why, count)| (why.code(), count))
            .collect(),
        ports: PortCounts::of(&table, &inside.open_ports.get()),
        recording: (*inside.recording.get()).clone(),
        threads: inside.counters.threads(),
        routes: table.len(),
        refused_routes: refused(&table),
        source_age: health.observed.map(|at| now.since(at)),
        source_failing: health
            .failing
            .as_ref()
            .map(|failing| (failing.reason, now.since(failing.since))),
        kubernetes_age: inside.cluster.as_ref().map(|sight| {
            let proven = sight.health.get().observed;
            now.since(proven.unwrap_or(inside.started))
        }),
        state_readers: inside.cluster.as_ref().and_then(|sight| {
            let told = sight.state_readers.as_ref()?.get();
            told.accounts.as_ref().map(Vec::len)
        }),
        is_own_key_accepted: match inside.facts.get().key {
            KeyState::Unknown => None,
            KeyState::Accepted => Some(true),
            KeyState::Refused(_) => Some(false),
        },
        publish_pending: published.pending,
        publish_contested: published.contested.len(),
        publish_writes: published.writes,
        publish_failures: published.failures,
        identities,
        sights,
        lost: BTreeMap::from([
            ("access", lost.access.get().map_or(0, |access| access.dropped())),
            ("log", lost.log.as_ref().map_or(0, Lines::dropped)),
            (
                "audit",
                lost.audit.dropped() + lost.audit_lines.as_ref().map_or(0, Lines::dropped),
            ),
        ]),
    }
}

fn streams(open: &[(Kind, usize)]) -> usize {
    let streams = open.iter().filter(|(kind, _)| *kind == Kind::Tcp);
    streams.map(|(_, count)| count).sum()
}

fn refused(table: &RouteTable) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for route in table.tasks().flat_map(|task| &task.routes) {
        if let Err(refusal) = &route.outcome {
            *counts.entry(refusal.code()).or_default() += 1;
        }
    }
    counts
}
