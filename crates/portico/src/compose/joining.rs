//! From tasks, pods and gateways to the one observation that routes are made of.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use portico_core::{
    clock::{Clock, Timestamp},
    live::{Live, Publish},
    observe::{Observation, SourceHealth},
    ownership::assign,
    pods::{PodRules, Pods, join, unproven},
};
use portico_kubernetes::Gateways;
use tokio_util::sync::CancellationToken;

/// Silence is not told by anybody: so often it is looked for.
const LOOK: Duration = Duration::from_secs(5);

/// Follows all of them.
pub(super) struct Joining {
    pub(super) tasks: Live<Observation>,
    pub(super) task_health: Live<SourceHealth>,
    pub(super) pods: Live<Pods>,
    pub(super) pod_health: Live<SourceHealth>,
    pub(super) gateways: Live<Gateways>,
    /// Until when the list of gateways, in which this one stands itself, is waited for; `None`: there is none.
    pub(super) waits_until: Option<Timestamp>,
    /// This gateway's name among them.
    pub(super) name: Arc<str>,
    pub(super) rules: PodRules,
    /// How long the pods that were seen last are dialed without a new proof.
    pub(super) stale: Duration,
    pub(super) was_stale: AtomicBool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observation: Publish<Observation>,
    pub(super) health: Publish<SourceHealth>,
}

impl Joining {
    /// Joins whenever something changes, until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut has_gateways = true;
        loop {
            self.step();
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.tasks.changed() => if changed.is_none() { return },
                changed = self.task_health.changed() => if changed.is_none() { return },
                changed = self.pods.changed() => if changed.is_none() { return },
                changed = self.pod_health.changed() => if changed.is_none() { return },
                // A gateway without a Lease has no others.
                changed = self.gateways.changed(), if has_gateways => has_gateways = changed.is_some(),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn step(&self) {
        let (tasks, pods) = (self.task_health.get(), self.pod_health.get());
        // Half a view would show tasks as gone.
        let both = tasks.observed.zip(pods.observed).map(|(tasks, pods)| tasks.min(pods));
        let observed = both.filter(|_| self.knows_gateways());
        if observed.is_some() {
            let before = self.observation.get();
            let joined = join(&self.tasks.get(), &self.pods.get(), self.rules, &before);
            let joined = if self.is_stale(&pods) {
                unproven(&joined)
            } else {
                joined
            };
            let now = assign(&joined, &self.gateways.get(), &self.name, &before, self.clock.now());
            if now != *before {
                self.observation.publish(now);
            }
        }
        let health = SourceHealth {
            observed,
            failing: tasks.failing.clone().or_else(|| pods.failing.clone()),
        };
        if health != *self.health.get() {
            self.health.publish(health);
        }
    }
}

impl Joining {
    /// True if the pods were proven last so long ago that an address may be another pod's by now.
    fn is_stale(&self, pods: &SourceHealth) -> bool {
        let stale = pods.observed.is_some_and(|at| self.clock.now().since(at) >= self.stale);
        if stale && !self.was_stale.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "kubernetes has not been heard of for too long: what is open goes on, nothing new is dialed"
            );
        }
        if !stale && self.was_stale.swap(false, Ordering::Relaxed) {
            tracing::info!("kubernetes is heard of again: everything is dialed as before");
        }
        stale
    }

    /// Whoever believed to be alone for a moment would write over what another gateway has written.
    fn knows_gateways(&self) -> bool {
        let is_late = self.waits_until.is_none_or(|until| self.clock.now() >= until);
        is_late || !self.gateways.get().is_empty()
    }
}

#[cfg(test)]
mod tests;
