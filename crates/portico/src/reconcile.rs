//! The one loop: from what is observed and allowed to the route table that everybody follows.

use std::{sync::Arc, time::Duration};

use portico_core::{
    audit::{AuditEvent, AuditKind, AuditLog},
    clock::Clock,
    endpoint::Endpoint,
    live::{Live, Publish},
    observe::Observation,
    routes::{Policy, RouteTable},
};
use tokio_util::sync::CancellationToken;

/// After a build, the next one waits this long: many changes at once become one table.
const COALESCE: Duration = Duration::from_millis(50);

/// What the loop reads and writes.
pub struct Reconcile {
    /// What the source sees.
    pub observation: Live<Observation>,
    /// What is allowed.
    pub policy: Live<Policy>,
    /// Where the table goes.
    pub table: Publish<RouteTable>,
    /// Where changes of routes are recorded.
    pub audit: AuditLog,
    /// The time, for the record.
    pub clock: Arc<dyn Clock>,
}

impl Reconcile {
    /// Builds a table at once and whenever something changes, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            self.step();
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(COALESCE) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.observation.changed() => if changed.is_none() { return },
                changed = self.policy.changed() => if changed.is_none() { return },
            }
        }
    }

    /// One comparison of what is with what should be. It is told nothing: it looks at everything.
    fn step(&self) {
        let old = self.table.get();
        let new = RouteTable::build(&self.observation.get(), &self.policy.get(), Some(&old));
        let diff = new.diff(&old);
        for (detail, endpoints) in [
            ("added", &diff.added),
            ("removed", &diff.removed),
            ("changed", &diff.changed),
        ] {
            for endpoint in endpoints {
                self.record(detail, endpoint);
            }
        }
        if !diff.is_empty() {
            tracing::info!(
                routes = new.len(),
                added = diff.added.len(),
                removed = diff.removed.len(),
                changed = diff.changed.len(),
                "routes changed"
            );
        }
        self.table.publish(new);
    }

    fn record(&self, detail: &str, endpoint: &Endpoint) {
        let mut event = AuditEvent::new(self.clock.now(), AuditKind::RouteChanged);
        event.task = Some(endpoint.key.task);
        event.owner = Some(endpoint.owner.clone());
        event.endpoint = Some(endpoint.prefix.clone());
        event.rule = Some(endpoint.access.who.to_string());
        event.rule_source = Some(endpoint.access.source.to_string());
        event.detail = Some(detail.to_owned());
        self.audit.record(event);
    }
}
