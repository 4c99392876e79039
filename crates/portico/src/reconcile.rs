//! The one loop: from what is observed and allowed to the route table that everybody follows.

mod blocked;
mod ledger;
mod ports;

use std::{sync::Arc, time::Duration};

use portico_core::{
    audit::{AuditEvent, AuditKind, AuditLog},
    clock::Clock,
    endpoint::Endpoint,
    live::{Live, Publish},
    observe::{Observation, SourceHealth},
    ports::{OpenPorts, PortBook},
    routes::{Policy, RouteTable},
};
use tokio_util::sync::CancellationToken;

use blocked::Blocked;
use ledger::Outcome;

pub use ledger::{DOCUMENT, Ledger, Recording};

/// After a build, the next one waits this long: many changes at once become one table.
const COALESCE: Duration = Duration::from_millis(50);
/// How often the clock is looked at while something depends on it: a port that cools down, or that is tried again.
const LOOK: Duration = Duration::from_secs(1);
/// Somebody else writes the leases, too: so often it is decided anew at once.
const TRIES: usize = 3;

/// What the loop reads and writes.
pub struct Reconcile {
    /// What the source sees.
    pub observation: Live<Observation>,
    /// How well it sees: no lease ends before there was anything to see.
    pub health: Live<SourceHealth>,
    /// What is allowed.
    pub policy: Live<Policy>,
    /// What the data plane made of the ports.
    pub open_ports: Live<OpenPorts>,
    /// Who holds which port.
    pub ledger: Ledger,
    /// How long a port is kept for an endpoint that went.
    pub cooling: Duration,
    /// Where the table goes.
    pub table: Publish<RouteTable>,
    /// Where changes of routes are recorded.
    pub audit: AuditLog,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// From here on another process decides about the leases, maybe by other settings: they are only read.
    pub drain: CancellationToken,
}

impl Reconcile {
    /// Builds a table at once and whenever something changes, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut blocked = Blocked::new(self.ledger.recorded().iter().map(|lease| lease.port));
        let mut has_ports = true;
        loop {
            // Neither is asked again below: what the step did not know would be news to nobody.
            let was_draining = self.drain.is_cancelled();
            let has_seen = self.step(&mut blocked).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(COALESCE) => {}
            }
            let later = self.later(&blocked);
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.observation.changed() => if changed.is_none() { return },
                changed = self.policy.changed() => if changed.is_none() { return },
                // The data plane ends before the control plane.
                changed = self.open_ports.changed(), if has_ports => has_ports = changed.is_some(),
                changed = self.health.changed(), if !has_seen => if changed.is_none() { return },
                () = self.drain.cancelled(), if !was_draining => {}
                () = tokio::time::sleep(later.unwrap_or_default()), if later.is_some() => {}
            }
        }
    }

    /// When to look again although nothing has changed.
    fn later(&self, blocked: &Blocked) -> Option<Duration> {
        let is_cooling = self.ledger.recorded().next_end().is_some();
        let decides = !self.drain.is_cancelled();
        let look = (decides && (is_cooling || blocked.is_waiting())).then_some(LOOK);
        let spared = self.ledger.spared().map(|wait| wait.max(ledger::SOONEST));
        look.into_iter().chain(spared).min()
    }

    /// One comparison of what is with what should be. It is told nothing: it looks at everything. True if there was anything to
    /// see.
    async fn step(&mut self, blocked: &mut Blocked) -> bool {
        // In this order: whoever sees well has published what is seen.
        let has_seen = self.health.get().observed.is_some();
        let (observation, policy) = (self.observation.get(), self.policy.get());
        let book = if has_seen {
            self.book(&observation, &policy, blocked).await
        } else {
            ports::unchanged(self.ledger.recorded())
        };
        let old = self.table.get();
        // An equal book is the same book: nothing has to be looked at again.
        let book = if **old.ports() == book {
            old.ports().clone()
        } else {
            Arc::new(book)
        };
        tell_refused(&old, &book);
        let new = RouteTable::build_with_ports(&observation, &policy, &book, Some(&old));
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
        has_seen
    }

    /// Who gets which port, written down before anybody is told.
    async fn book(&mut self, observation: &Observation, policy: &Policy, blocked: &mut Blocked) -> PortBook {
        let now = self.clock.now();
        let blocked = blocked.now(&self.open_ports.get(), now);
        if self.drain.is_cancelled() && policy.streams.is_some() {
            // The successor leases a port before it writes it into a task. By older leases, the port would be taken for the task's
            // own, and the streams that are still open would be cut.
            self.ledger.follow(now).await;
        }
        let mut tries = 0;
        loop {
            if self.drain.is_cancelled() {
                return ports::followed(self.ledger.recorded(), self.table.get().ports());
            }
            let recorded = self.ledger.recorded().clone();
            let book = ports::wanted(observation, policy, &recorded, self.cooling, &blocked, now);
            if book.leases == recorded {
                match self.ledger.settle(now).await {
                    // It was read, and may tell of a lease that nobody knew of.
                    Outcome::Changed => continue,
                    Outcome::Recorded | Outcome::NotRecorded => return book,
                }
            }
            tries += 1;
            match self.ledger.record(&book.leases, now).await {
                Outcome::Recorded => return book,
                Outcome::Changed if tries < TRIES => {}
                Outcome::Changed | Outcome::NotRecorded => return ports::usable(&book, self.ledger.recorded()),
            }
        }
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

/// A task that gets no port: said once, where its owner and the operator may look.
fn tell_refused(old: &RouteTable, book: &PortBook) {
    for (key, refusal) in &book.refused {
        if old.ports().refused.get(key) != Some(refusal) {
            tracing::warn!(
                task = %key.task,
                endpoint = key.name.as_deref().unwrap_or_default(),
                code = refusal.code(),
                "a TCP endpoint gets no port: {}",
                refusal.title()
            );
        }
    }
}

#[cfg(test)]
mod tests;
