//! What is seen of all gateways' Leases.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use portico_core::{
    clock::{Clock, Timestamp},
    live::Publish,
    observe::SourceHealth,
    ownership::Gateway,
};

use super::{Gateways, heard::Heard, lease::Told};
use crate::{health, watch::Step};

/// From steps of the watch to the list of gateways.
pub(super) struct Sight<'s> {
    pub(super) own_lease: &'s str,
    pub(super) own: &'s Gateway,
    pub(super) clock: &'s Arc<dyn Clock>,
    pub(super) gateways: Publish<Gateways>,
    pub(super) health: &'s Publish<SourceHealth>,
    pub(super) heard: Heard,
    /// Other Leases that say our name, as of the last warning.
    pub(super) namesakes: BTreeSet<String>,
}

impl Sight<'_> {
    pub(super) fn take(&mut self, step: &Step<'_, (Told, String)>) {
        let now = self.clock.now();
        match step {
            Step::Complete(known) => {
                self.heard.prove(now);
                self.complete(known, now);
            }
            Step::Proof => {
                if let Some(gap) = self.heard.prove(now) {
                    self.forgive(gap);
                }
                health::well(self.health, "gateways", now);
            }
            Step::Failed(error) => health::failed(self.health, "gateways", error, now),
        }
    }

    fn complete(&mut self, known: &BTreeMap<String, (Told, String)>, now: Timestamp) {
        self.heard.retain(|lease| known.contains_key(lease));
        let all = known.iter().map(|(lease, (told, renewed))| {
            let heard = self.heard.hear(lease, renewed, told.first_heard(now), now);
            let told = &told.gateway;
            // What we are is ours to say: somebody who set the label back would make us another gateway until the next renewal.
            let gateway = if lease == self.own_lease { self.own } else { told };
            let gateway = Gateway {
                since: told.since,
                heard,
                ..gateway.clone()
            };
            (lease.as_str(), gateway)
        });
        let all: Vec<(&str, Gateway)> = all.collect();
        self.warn_of_namesakes(&all, now);
        let all = one_of_each_name(all, self.own_lease);
        if *self.gateways.get() != all {
            self.gateways.publish(all);
        }
    }

    /// As the list that is known already would be read now.
    fn forgive(&self, gap: Duration) {
        let all = self.gateways.get();
        let all = all.iter().map(|gateway| Gateway {
            heard: gateway.heard.plus(gap),
            ..gateway.clone()
        });
        self.gateways.publish(all.collect::<Gateways>());
    }

    /// Two of one name each believe that the other is themselves, and both write into all tasks.
    fn warn_of_namesakes(&mut self, all: &[(&str, Gateway)], now: Timestamp) {
        let others = all.iter().filter(|(lease, gateway)| {
            *lease != self.own_lease && gateway.name == self.own.name && gateway.is_heard(now)
        });
        let namesakes: BTreeSet<String> = others.map(|(lease, _)| (*lease).to_owned()).collect();
        if namesakes == self.namesakes {
            return;
        }
        for lease in namesakes.difference(&self.namesakes) {
            tracing::warn!(
                name = %self.own.name,
                own_lease = self.own_lease,
                other_lease = lease,
                "another gateway of the namespace has this one's name: both take all tasks; give one of them another gateway.name"
            );
        }
        self.namesakes = namesakes;
    }
}

/// The gateways, sorted by name. Of two with one name the one counts that is ours; otherwise the older, so that a copy takes nothing.
fn one_of_each_name(mut all: Vec<(&str, Gateway)>, own_lease: &str) -> Gateways {
    all.sort_by(|(one_lease, one), (other_lease, other)| {
        let place = |lease: &str, gateway: &Gateway| {
            (
                gateway.name.clone(),
                lease != own_lease,
                gateway.since,
                lease.to_owned(),
            )
        };
        place(one_lease, one).cmp(&place(other_lease, other))
    });
    all.dedup_by(|(_, later), (_, kept)| later.name == kept.name);
    all.into_iter().map(|(_, gateway)| gateway).collect()
}

#[cfg(test)]
mod tests;
