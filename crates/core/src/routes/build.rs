//! A new table from an observation. What did not change since the previous table is shared with it.

use std::{collections::HashSet, net::SocketAddr, sync::Arc};

use super::{
    Policy, Route, RouteTable, SHARDS, Shard, TaskRoutes,
    claims::Claims,
    derive::{Candidate, Way, candidates},
    shard_of,
};
use crate::{
    endpoint::{Endpoint, Protocol, TaskId},
    observe::{Observation, ObservedTask, Workload},
    ports::PortBook,
    refusal::Refusal,
    site::Site,
};

impl RouteTable {
    /// A table without routes.
    pub fn empty(policy: Arc<Policy>) -> Self {
        Self::with_room(policy, 0)
    }

    /// A table without routes, with room for about this many.
    fn with_room(policy: Arc<Policy>, room: usize) -> Self {
        // Ids do not fall evenly into the shards: a quarter more saves most of them from growing.
        let room = room + room / 4;
        Self {
            policy,
            ports: Arc::default(),
            observed: Arc::from([]),
            shards: (0..SHARDS)
                .map(|_| Arc::new(Shard::with_capacity(room / SHARDS)))
                .collect(),
            claims: Claims::none(room),
            endpoints: 0,
        }
    }

    /// The table for what is observed now, without public ports.
    ///
    /// The result depends on `observation` and `policy` only; `previous` saves work: tasks that are the same `Arc` as before are
    /// not looked at again, unless an address that they claim is claimed anew.
    pub fn build(observation: &Observation, policy: &Arc<Policy>, previous: Option<&Self>) -> Self {
        Self::build_with_ports(observation, policy, &Arc::default(), previous)
    }

    /// The table for what is observed now and these public ports: what [`allocate`](crate::ports::allocate) made of the
    /// [`wishes`](Self::wishes) for the same observation and policy. `previous` saves work as in [`build`](Self::build); tasks whose
    /// ports changed are looked at again.
    pub fn build_with_ports(
        observation: &Observation,
        policy: &Arc<Policy>,
        ports: &Arc<PortBook>,
        previous: Option<&Self>,
    ) -> Self {
        let mut table = match previous {
            Some(previous) if previous.policy == *policy => previous.clone(),
            _ => Self::with_room(policy.clone(), observation.tasks().len()),
        };
        let observed = table.observed.clone();
        let before = std::mem::replace(&mut table.ports, ports.clone());
        let mut changes = changes(&observed, observation.tasks());
        changes.extend(moved(&observed, observation, &before, ports));
        let mut touched = HashSet::new();
        for (old, new) in &changes {
            let Some(old) = old else { continue };
            for (address, _) in claimed(&candidates(old, policy, &before)) {
                table.claims.remove(address, old.id);
                touched.insert(address);
            }
            if new.is_none() {
                table.replace(old.id, None);
            }
        }
        for task in changes.into_iter().filter_map(|(_, new)| new) {
            let candidates = candidates(task, policy, ports);
            for (address, protocol) in claimed(&candidates) {
                // Somebody else's routes depend on it only if somebody else is there.
                if table.claims.add(address, protocol, task) > 1 {
                    touched.insert(address);
                }
            }
            // Where an address is touched, all who claim it are judged below.
            let routes = table.routes_of(task, candidates, |_, _| Ok(()));
            table.replace(task.id, Some(routes));
        }
        let neighbors: HashSet<TaskId> = touched
            .iter()
            .flat_map(|address| table.claims.claimants(*address))
            .collect();
        for task in neighbors.into_iter().filter_map(|id| observation.task(id)) {
            let judge = |address, protocol| table.claims.judge(address, protocol, task);
            let routes = table.routes_of(task, candidates(task, policy, ports), judge);
            table.replace(task.id, Some(routes));
        }
        table.observed = observation.tasks().into();
        table
    }

    /// The routes of a task. `judge` tells whether it may have an address among the others.
    fn routes_of(
        &self,
        task: &Arc<ObservedTask>,
        candidates: Vec<Candidate<'_>>,
        judge: impl Fn(SocketAddr, Protocol) -> Result<(), Refusal>,
    ) -> TaskRoutes {
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
        let route = |candidate: Candidate<'_>| {
            let (key, slug) = (candidate.key, candidate.slug);
            let endpoint = |way: Way<'_>| {
                judge(way.upstream, key.protocol)?;
                Ok(known(Endpoint {
                    id: key.id(),
                    key: key.clone(),
                    slug: slug.clone(),
                    prefix: Site::prefix(task.id, slug.as_ref()).into(),
                    task_name: task.name.clone(),
                    owner: task.owner.clone(),
                    company: task.company.clone(),
                    upstream: way.upstream,
                    is_unproven: task.standing.workload == Workload::Unproven,
                    port: way.port,
                    prefix_choice: way.ask.prefix,
                    access: self.policy.access.rule_for(task, way.ask.access.as_ref()),
                }))
            };
            let outcome = candidate.outcome.and_then(endpoint);
            Route { key, slug, outcome }
        };
        // Not collected: that would be in the candidates' place, and leave holes in the memory.
        let mut routes = Vec::with_capacity(candidates.len());
        routes.extend(candidates.into_iter().map(route));
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

/// The addresses that a task claims and that could be dialed, and what it would speak there.
fn claimed(candidates: &[Candidate<'_>]) -> impl Iterator<Item = (SocketAddr, Protocol)> {
    candidates
        .iter()
        .filter_map(|candidate| Some((candidate.outcome.as_ref().ok()?.upstream, candidate.key.protocol)))
}

type Change<'t> = (Option<&'t Arc<ObservedTask>>, Option<&'t Arc<ObservedTask>>);

/// The tasks that both lists have unchanged, but whose ports are others now.
fn moved<'t>(old: &'t [Arc<ObservedTask>], new: &'t Observation, before: &PortBook, now: &PortBook) -> Vec<Change<'t>> {
    let mut tasks: Vec<TaskId> = now.differing(before).map(|key| key.task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let find = |id: TaskId| {
        let at = old.binary_search_by_key(&id, |task| task.id).ok()?;
        let (old, new) = (old.get(at)?, new.task(id)?);
        Arc::ptr_eq(old, new).then_some((Some(old), Some(new)))
    };
    tasks.into_iter().filter_map(find).collect()
}

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
