//! Pods, as a source of truth about where a task runs, and what becomes of an observation because of them.
//!
//! Where there are pods, a task's word about its address only chooses among the pods of that task; a task without a living pod
//! is not reached, whatever it says. Addresses of pods are reused, so that nothing is remembered of a pod that is gone.

mod join;

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use crate::{endpoint::TaskId, observe::Request};

pub use join::{Joined, unproven};

/// All pods that live now and belong to a task, and the tasks whose pods are gone. A whole list, never a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    live: Vec<Arc<Pod>>,
    gone: Vec<TaskId>,
}

/// A living pod: it runs, has an address, and nobody has asked for its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// The task that runs in it.
    pub task: TaskId,
    /// Which of the task's nodes it is; 0 is the first.
    pub rank: u16,
    /// The name of the queue from which the task came, in the form of [`label_value`](crate::label::label_value).
    pub queue_label: Option<Arc<str>>,
    /// Its addresses; the first is the one to dial. Never empty.
    pub addresses: Vec<IpAddr>,
    /// It shares the node's network: its address is the node's, and other ports there belong to others.
    pub has_host_network: bool,
    /// What its annotation `portico/endpoints` asks for; empty without one.
    pub requests: Vec<Request>,
    /// The gateway that its annotation names.
    pub gateway: Option<Arc<str>>,
    /// Kubernetes' own id for it; another pod of the same name has another one.
    pub uid: Arc<str>,
    /// Its name, unique in the namespace while it exists.
    pub name: Arc<str>,
}

/// What the operator allows of pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodRules {
    /// Pods that share their node's network are dialed too.
    pub allows_host_network: bool,
}

/// Why a living pod is not dialed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PodFault {
    /// It shares the node's network.
    #[error(
        "it shares the node's network, where other ports belong to others (discovery.kubernetes.allow_host_network)"
    )]
    HostNetwork,
    /// Another living pod says that it is the same node of the same task.
    #[error("the pod {other} says that it runs the same task {task}")]
    SameTask {
        /// The task.
        task: TaskId,
        /// The other pod's name.
        other: Arc<str>,
    },
    /// A living pod of another task has the same address: one of the two has lost it already.
    #[error("the pod {other} of another task has the same address {address}")]
    SameAddress {
        /// The address.
        address: IpAddr,
        /// The other pod's name.
        other: Arc<str>,
    },
}

impl PodFault {
    /// In a few words, without other pods' names.
    pub fn brief(&self) -> &'static str {
        match self {
            Self::HostNetwork => "it shares the node's network (allow_host_network)",
            Self::SameTask { .. } => "another pod says that it runs the same task",
            Self::SameAddress { .. } => "a pod of another task has the same address",
        }
    }
}

impl Pods {
    /// Sorts the pods by task, rank and name. A task with a living pod is not gone.
    pub fn new(mut live: Vec<Arc<Pod>>, mut gone: Vec<TaskId>) -> Self {
        live.sort_by(|one, other| (one.task, one.rank, &one.name).cmp(&(other.task, other.rank, &other.name)));
        gone.sort_unstable();
        gone.dedup();
        gone.retain(|task| live.binary_search_by_key(task, |pod| pod.task).is_err());
        Self { live, gone }
    }

    /// The living pods, sorted by task, rank and name.
    pub fn live(&self) -> &[Arc<Pod>] {
        &self.live
    }

    /// The living pods of one task, sorted by rank and name.
    pub fn of(&self, task: TaskId) -> &[Arc<Pod>] {
        let from = self.live.partition_point(|pod| pod.task < task);
        let to = self.live.partition_point(|pod| pod.task <= task);
        self.live.get(from..to).unwrap_or_default()
    }

    /// The tasks that had a pod here and have none any more, sorted.
    pub fn gone(&self) -> &[TaskId] {
        &self.gone
    }

    /// True if the task had a pod here and has none any more.
    pub fn is_gone(&self, task: TaskId) -> bool {
        self.gone.binary_search(&task).is_ok()
    }

    /// The living pods that are not dialed, and why. In the order of [`Self::live`].
    pub fn faults(&self, rules: PodRules) -> Vec<(&Arc<Pod>, PodFault)> {
        let is_shut_out = |pod: &Pod| pod.has_host_network && !rules.allows_host_network;
        let shared = self.shared_addresses();
        let same_address = |pod: &Arc<Pod>| {
            let own = if pod.has_host_network { &[][..] } else { &pod.addresses };
            let meetings = own.iter().filter_map(|address| Some((address, shared.get(address)?)));
            meetings
                .flat_map(|(address, pods)| pods.iter().map(move |other| (*address, *other)))
                .find(|(_, other)| other.task != pod.task)
        };
        let same_task = |pod: &Arc<Pod>, own: &[Arc<Pod>]| {
            let mut others = own.iter();
            let other = others.find(|other| other.uid != pod.uid && other.rank == pod.rank && !is_shut_out(other));
            other.cloned()
        };
        let fault = |pod: &Arc<Pod>, own: &[Arc<Pod>]| {
            if is_shut_out(pod) {
                return Some(PodFault::HostNetwork);
            }
            if let Some((address, other)) = same_address(pod) {
                let other = other.name.clone();
                return Some(PodFault::SameAddress { address, other });
            }
            same_task(pod, own).map(|other| PodFault::SameTask {
                task: pod.task,
                other: other.name.clone(),
            })
        };
        self.live
            .chunk_by(|one, other| one.task == other.task)
            .flat_map(|own| own.iter().map(move |pod| (pod, own)))
            .filter_map(|(pod, own)| Some((pod, fault(pod, own)?)))
            .collect()
    }

    /// The addresses that pods of several tasks have, and all who have them.
    fn shared_addresses(&self) -> HashMap<IpAddr, Vec<&Arc<Pod>>> {
        let own = self.live.iter().filter(|pod| !pod.has_host_network);
        let all = own.flat_map(|pod| pod.addresses.iter().map(move |address| (*address, pod)));
        let mut first: HashMap<IpAddr, TaskId> = HashMap::with_capacity(self.live.len());
        let mut shared: HashMap<IpAddr, Vec<&Arc<Pod>>> = HashMap::new();
        for (address, pod) in all.clone() {
            if *first.entry(address).or_insert(pod.task) != pod.task {
                shared.entry(address).or_default();
            }
        }
        if !shared.is_empty() {
            for (address, pod) in all {
                if let Some(pods) = shared.get_mut(&address) {
                    pods.push(pod);
                }
            }
        }
        shared
    }
}

#[cfg(test)]
mod tests;
