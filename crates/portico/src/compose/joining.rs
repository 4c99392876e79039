//! From tasks, pods and gateways to the one observation that routes are made of.

use std::{sync::Arc, time::Duration};

use portico_core::{
    clock::{Clock, Timestamp},
    live::{Live, Publish},
    observe::{Observation, SourceHealth},
    ownership::{Assigned, Gateway},
    pods::{Joined, PodRules, Pods, unproven},
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
    pub(super) gateway_health: Live<SourceHealth>,
    /// Until when the list of gateways, in which this one stands itself, is waited for; `None`: there is none.
    pub(super) waits_until: Option<Timestamp>,
    /// This gateway's name among them.
    pub(super) name: Arc<str>,
    pub(super) rules: PodRules,
    /// How long the pods that were seen last are dialed without a new proof.
    pub(super) stale: Duration,
    pub(super) was_stale: bool,
    /// What came of it last.
    pub(super) joined: Joined,
    pub(super) assigned: Assigned,
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
                changed = self.gateway_health.changed(), if has_gateways => has_gateways = changed.is_some(),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn step(&mut self) {
        let (tasks, pods) = (self.task_health.get(), self.pod_health.get());
        // Half a view would show tasks as gone.
        let both = tasks.observed.zip(pods.observed).map(|(tasks, pods)| tasks.min(pods));
        let observed = both.filter(|_| self.knows_gateways());
        if observed.is_some() {
            self.joined = self.joined.next(self.tasks.get(), self.pods.get(), self.rules);
            let joined = if self.is_stale(&pods) {
                Arc::new(unproven(self.joined.observation()))
            } else {
                self.joined.observation().clone()
            };
            let gateways = self.gateways.get();
            let (known, at) = match self.waits_until {
                None => (Some(&gateways[..]), self.clock.now()),
                // Who could not be heard was not silent.
                Some(_) => match self.gateway_health.get().observed {
                    Some(observed) => (Some(&gateways[..]), observed),
                    None => (None, self.clock.now()),
                },
            };
            self.assigned = self.assigned.next(joined, known, &self.name, at);
            let seen = self.assigned.observation();
            if *seen != self.observation.get() {
                self.observation.publish(seen.clone());
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
    fn is_stale(&mut self, pods: &SourceHealth) -> bool {
        let is_stale = pods.observed.is_some_and(|at| self.clock.now().since(at) >= self.stale);
        let was_stale = std::mem::replace(&mut self.was_stale, is_stale);
        if is_stale && !was_stale {
            tracing::error!(
                "kubernetes has not been heard of for too long: what is open goes on, nothing new is dialed"
            );
        }
        if !is_stale && was_stale {
            tracing::info!("kubernetes is heard of again: everything is dialed as before");
        }
        is_stale
    }

    /// Whoever believed to be alone for a moment would write over what another gateway has written.
    fn knows_gateways(&self) -> bool {
        let now = self.clock.now();
        let is_late = self.waits_until.is_none_or(|until| now >= until);
        let stands_itself = |gateway: &Gateway| *gateway.name == *self.name && gateway.is_heard(now);
        is_late || self.gateways.get().iter().any(stands_itself)
    }
}

#[cfg(test)]
mod tests;
