//! What is looked up for tasks: the addresses of their workers and the names of their queues.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use portico_core::{clock::Timestamp, principal::UserId};

/// A worker that is told of no longer keeps its address for so long: the server itself forgets workers after ten minutes, and a
/// single empty answer must not take the address from everybody.
const KEEPS_WORKER: Duration = Duration::from_mins(10);
/// A queue's name is asked for again after so long: queues can be renamed.
const KEEPS_NAME: Duration = Duration::from_mins(5);
/// A queue that was not found, or could not be asked for, is asked for again after so long.
const KEEPS_NO_NAME: Duration = Duration::from_secs(10);
/// The queue into which the open-source agent for Kubernetes moves its tasks; the task's own queue is a property then.
const K8S_PENDING: &str = "k8s_scheduler";

/// A worker's word: whoever has a key may report a worker of any name, and the server tells who did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WorkerReport {
    pub(super) worker: String,
    pub(super) user: UserId,
    /// From where the report came.
    pub(super) address: IpAddr,
}

/// What of a task is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// Whose task it is.
    pub(super) owner: UserId,
    pub(super) worker: Option<Arc<str>>,
    pub(super) queue: Option<Arc<str>>,
    pub(super) k8s_queue: Option<Arc<str>>,
}

/// The answers.
#[derive(Debug, Default)]
pub(super) struct Joins {
    workers: HashMap<String, (BTreeMap<UserId, BTreeSet<IpAddr>>, Timestamp)>,
    queues: HashMap<String, (Option<Arc<str>>, Timestamp)>,
    /// How many answers in a row did not know a worker that a task names.
    misses: HashMap<Arc<str>, u32>,
}

/// A worker that so many answers did not know is not asked for specially any more: machines of developers report no address.
const MISSES_MAX: u32 = 3;

impl Joins {
    /// Takes a complete list of workers.
    pub(super) fn set_workers(&mut self, reports: impl Iterator<Item = WorkerReport>, now: Timestamp) {
        let mut fresh: HashMap<String, (BTreeMap<UserId, BTreeSet<IpAddr>>, Timestamp)> = HashMap::new();
        for WorkerReport { worker, user, address } in reports {
            let reports = fresh.entry(worker).or_insert_with(|| (BTreeMap::new(), now));
            reports.0.entry(user).or_default().insert(address.to_canonical());
        }
        self.workers.retain(|_, (_, seen)| now.since(*seen) < KEEPS_WORKER);
        self.workers.extend(fresh);
        self.misses.retain(|worker, _| !self.workers.contains_key(&**worker));
    }

    /// Counts the workers that the last answer did not know; those that no task names any more are forgotten.
    pub(super) fn count_misses(&mut self, wanted: impl Iterator<Item = Arc<str>>) {
        let before = std::mem::take(&mut self.misses);
        for worker in wanted.filter(|worker| !self.workers.contains_key(&**worker)) {
            let misses = before.get(&worker).copied().unwrap_or(0).saturating_add(1);
            self.misses.insert(worker, misses);
        }
    }

    /// Takes the names of the queues that were asked for; those that do not exist have none.
    pub(super) fn set_queues(&mut self, asked: &[String], names: &HashMap<String, Arc<str>>, now: Timestamp) {
        for id in asked {
            self.queues.insert(id.clone(), (names.get(id).cloned(), now));
        }
    }

    /// The addresses of the task's worker. Its owner's word counts; where the owner reports no such worker, as with an agent that has
    /// a key of its own, the word of the only one who does. Where several others do, nobody can tell whose word is true.
    pub(super) fn addresses(&self, keys: &Keys) -> Vec<IpAddr> {
        let found = keys.worker.as_deref().and_then(|worker| self.workers.get(worker));
        let reported = found.and_then(|(reports, _)| match reports.get(&keys.owner) {
            None if reports.len() == 1 => reports.values().next(),
            own => own,
        });
        reported
            .map(|addresses| addresses.iter().copied().collect())
            .unwrap_or_default()
    }

    pub(super) fn queue(&self, keys: &Keys) -> Option<Arc<str>> {
        let name = self.queues.get(keys.queue.as_deref()?)?.0.clone()?;
        // The property counts only here: elsewhere anybody could claim a queue by it.
        if *name == *K8S_PENDING {
            keys.k8s_queue.clone().or(Some(name))
        } else {
            Some(name)
        }
    }

    pub(super) fn wants_worker(&self, keys: &Keys) -> bool {
        let is_wanted = |worker: &str| {
            !self.workers.contains_key(worker) && self.misses.get(worker).is_none_or(|misses| *misses < MISSES_MAX)
        };
        keys.worker.as_deref().is_some_and(is_wanted)
    }

    pub(super) fn wants_queue(&self, keys: &Keys, now: Timestamp) -> bool {
        let is_known = |id: &str| {
            self.queues.get(id).is_some_and(|(name, asked)| {
                let keeps = if name.is_some() { KEEPS_NAME } else { KEEPS_NO_NAME };
                now.since(*asked) < keeps
            })
        };
        keys.queue.as_deref().is_some_and(|id| !is_known(id))
    }

    pub(super) fn is_new_queue(&self, keys: &Keys) -> bool {
        keys.queue.as_deref().is_some_and(|id| !self.queues.contains_key(id))
    }

    /// Puts off a failed look-up of names, so that routes do not wait for it.
    pub(super) fn give_up_queues(&mut self, asked: &[String], now: Timestamp) {
        for id in asked {
            self.queues.entry(id.clone()).or_insert((None, now)).1 = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(owner: &str, reports: &[(&str, &str)]) -> Vec<String> {
        let mut joins = Joins::default();
        let reports = reports.iter().map(|(user, address)| WorkerReport {
            worker: "node1:gpu0".to_owned(),
            user: UserId::new(*user),
            address: address.parse().expect("an address"),
        });
        joins.set_workers(reports, Timestamp::from_secs(1));
        let keys = Keys {
            owner: UserId::new(owner),
            worker: Some("node1:gpu0".into()),
            queue: None,
            k8s_queue: None,
        };
        joins.addresses(&keys).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn who_reports_a_worker_of_anothers_name_vouches_for_nobody_elses_task() {
        let (own, agent, mallory) = (("alice", "10.0.0.7"), ("agent", "10.0.0.7"), ("mallory", "10.6.6.6"));
        assert_eq!(addresses("alice", &[mallory, own]), ["10.0.0.7"]);
        assert_eq!(
            addresses("alice", &[agent]),
            ["10.0.0.7"],
            "an agent with a key of its own"
        );
        assert!(
            addresses("alice", &[agent, mallory]).is_empty(),
            "nobody can tell whose word is true"
        );
        assert_eq!(
            addresses("mallory", &[agent, mallory]),
            ["10.6.6.6"],
            "for his own task"
        );
        assert_eq!(
            addresses("alice", &[own, ("alice", "10.0.0.8")]),
            ["10.0.0.7", "10.0.0.8"]
        );
        assert!(addresses("alice", &[]).is_empty());
    }
}
