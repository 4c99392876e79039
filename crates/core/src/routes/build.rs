//! A new table from an observation. What did not change since the previous table is shared with it.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use super::{Policy, Route, RouteTable, SHARDS, TaskRoutes, claims::Claims, derive::candidates, shard_of};
use crate::{
    endpoint::{Endpoint, TaskId},
    observe::{Observation, ObservedTask},
    site::Site,
};

impl RouteTable {
    /// A table without routes.
    pub fn empty(policy: Arc<Policy>) -> Self {
        Self {
            policy,
            observed: Arc::from([]),
            shards: (0..SHARDS).map(|_| Arc::default()).collect(),
            claims: Claims::none(),
            endpoints: 0,
        }
    }

    /// The table for what is observed now.
    ///
    /// The result depends on `observation` and `policy` only; `previous` saves work: tasks that are the same `Arc` as before are
    /// not looked at again, unless an address that they claim is claimed anew.
    pub fn build(observation: &Observation, policy: &Arc<Policy>, previous: Option<&Self>) -> Self {
        let mut table = match previous {
            Some(previous) if previous.policy == *policy => previous.clone(),
            _ => Self::empty(policy.clone()),
        };
        let observed = table.observed.clone();
        let changes = changes(&observed, observation.tasks());
        let mut stale = BTreeSet::new();
        let mut touched = BTreeSet::new();
        for (old, new) in changes {
            for (task, is_new) in [(old, false), (new, true)] {
                let Some(task) = task else { continue };
                for address in claimed(task, policy) {
                    if is_new {
                        table.claims.add(address, task);
                    } else {
                        table.claims.remove(address, task.id);
                    }
                    touched.insert(address);
                }
            }
            if let Some(new) = new {
                stale.insert(new.id);
            } else if let Some(old) = old {
                table.replace(old.id, None);
            }
        }
        stale.extend(
            touched
                .into_iter()
                .flat_map(|address| table.claims.claimants(address).collect::<Vec<_>>()),
        );
        for id in stale {
            if let Some(task) = observation.task(id) {
                let routes = table.routes_of(task);
                table.replace(id, Some(routes));
            }
        }
        table.observed = observation.tasks().into();
        table
    }

    fn routes_of(&self, task: &Arc<ObservedTask>) -> TaskRoutes {
        let before = self.task(task.id);
        let known = |endpoint: Endpoint| -> Arc<Endpoint> {
            let mut old = before
                .iter()
                .flat_map(|before| &before.routes)
                .filter_map(|route| route.outcome.as_ref().ok());
            old.find(|old| ***old == endpoint)
                .cloned()
                .unwrap_or_else(|| Arc::new(endpoint))
        };
        let routes = candidates(task, &self.policy)
            .into_iter()
            .map(|candidate| {
                let outcome = candidate.outcome.and_then(|(upstream, ask)| {
                    self.claims.judge(upstream, task)?;
                    Ok(known(Endpoint {
                        id: candidate.key.id(),
                        key: candidate.key.clone(),
                        slug: candidate.slug.clone(),
                        prefix: Site::prefix(task.id, candidate.slug.as_ref()).into(),
                        task_name: task.name.clone(),
                        owner: task.owner.clone(),
                        company: task.company.clone(),
                        upstream,
                        prefix_choice: ask.prefix,
                        access: self.policy.access.rule_for(task, ask.access.as_ref()),
                    }))
                });
                Route {
                    key: candidate.key,
                    slug: candidate.slug,
                    outcome,
                }
            })
            .collect();
        TaskRoutes {
            task: task.clone(),
            routes,
        }
    }

    fn replace(&mut self, id: TaskId, routes: Option<TaskRoutes>) {
        let reachable = |routes: &TaskRoutes| routes.routes.iter().filter(|route| route.outcome.is_ok()).count();
        let shard = Arc::make_mut(&mut self.shards[shard_of(id)]);
        let after = routes.as_ref().map_or(0, reachable);
        let before = match routes {
            Some(routes) => shard.insert(id, Arc::new(routes)),
            None => shard.remove(&id),
        };
        self.endpoints = self.endpoints + after - before.as_deref().map_or(0, reachable);
    }
}

/// The addresses that a task claims and that could be dialled.
fn claimed(task: &ObservedTask, policy: &Policy) -> Vec<SocketAddr> {
    candidates(task, policy)
        .into_iter()
        .filter_map(|candidate| Some(candidate.outcome.ok()?.0))
        .collect()
}

type Change<'t> = (Option<&'t Arc<ObservedTask>>, Option<&'t Arc<ObservedTask>>);

/// The pairs that differ between two lists sorted by id.
fn changes<'t>(old: &'t [Arc<ObservedTask>], new: &'t [Arc<ObservedTask>]) -> Vec<Change<'t>> {
    let mut changes = Vec::new();
    let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
    loop {
        match (olds.peek(), news.peek()) {
            (None, None) => return changes,
            (Some(old), Some(new)) if Arc::ptr_eq(old, new) => {
                olds.next();
                news.next();
            }
            (Some(old), Some(new)) if old.id == new.id => changes.push((olds.next(), news.next())),
            (Some(old), Some(new)) if old.id < new.id => changes.push((olds.next(), None)),
            (Some(_), None) => changes.push((olds.next(), None)),
            (_, Some(_)) => changes.push((None, news.next())),
        }
    }
}
