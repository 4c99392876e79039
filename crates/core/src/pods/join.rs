//! The observation of tasks, seen through the pods that run them.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use super::{Pod, PodFault, PodRules, Pods};
use crate::{
    abreast::Abreast,
    label::label_value,
    observe::{Observation, ObservedTask, Request, RequestFault, Workload},
};

/// An observation seen through pods, and what it was made of: what did not change since is not looked at again.
#[derive(Debug, Default)]
pub struct Joined {
    tasks: Arc<Observation>,
    pods: Arc<Pods>,
    /// Why pods are not dialed, by their `uid`.
    refused: HashMap<Arc<str>, PodFault>,
    observation: Arc<Observation>,
}

impl Joined {
    /// What remains of the tasks where pods are the truth:
    ///
    /// * a task is known by the addresses of its living pods alone, the first rank first. What the task claims counts if it is one of
    ///   them; otherwise the first is meant.
    /// * a task whose pods are gone stays, without any address: its visitors are told, and what was published is withdrawn.
    /// * a task that never had a pod here is another gateway's, or not yet anybody's: it is not here.
    /// * the pod's label tells the queue, unless it agrees with what the task says. The same goes for the gateway that is named.
    /// * what the annotation of a pod asks for is asked for, beside what the task asks. Where both ask for one endpoint, the task says
    ///   where it is, and only those are let in whom both let in: any colleague may edit the task, but not the pod.
    pub fn observation(&self) -> &Arc<Observation> {
        &self.observation
    }

    /// The same for these tasks and pods. Tasks that look as before are handed on as the same `Arc`.
    #[must_use]
    pub fn next(&self, tasks: Arc<Observation>, pods: Arc<Pods>, rules: PodRules) -> Self {
        let refused: HashMap<Arc<str>, PodFault> = pods
            .faults(rules)
            .into_iter()
            .map(|(pod, fault)| (pod.uid.clone(), fault))
            .collect();
        let of_task = |task: &Arc<ObservedTask>| task.id;
        let mut live = Abreast::new(pods.live(), |pod| pod.task);
        let mut live_before = Abreast::new(self.pods.live(), |pod| pod.task);
        let mut known = Abreast::new(self.tasks.tasks(), of_task);
        let mut joined_before = Abreast::new(self.observation.tasks(), of_task);
        // True if a task, its pods and their faults are those that were joined last. One without pods that was joined was gone.
        let mut is_same = |task: &Arc<ObservedTask>, own: &[Arc<Pod>]| {
            let (known, before) = (known.of(task.id).first(), live_before.of(task.id));
            known.is_some_and(|known| Arc::ptr_eq(known, task))
                && own.len() == before.len()
                && own.iter().zip(before).all(|(now, before)| Arc::ptr_eq(now, before))
                && own
                    .iter()
                    .all(|pod| refused.get(&pod.uid) == self.refused.get(&pod.uid))
        };
        let joined = tasks.tasks().iter().filter_map(|task| {
            let own = live.of(task.id);
            if own.is_empty() && !pods.is_gone(task.id) {
                return None;
            }
            let before = joined_before.of(task.id).first();
            if let Some(before) = before.filter(|_| is_same(task, own)) {
                return Some(before.clone());
            }
            let seen = see(task, own, &refused);
            let known = [Some(task), before];
            let same = known.into_iter().flatten().find(|known| ***known == seen);
            Some(same.cloned().unwrap_or_else(|| Arc::new(seen)))
        });
        let observation = Arc::new(Observation::new(joined.collect()));
        Self {
            tasks,
            pods,
            refused,
            observation,
        }
    }
}

/// The same tasks, when the pods were seen last too long ago: their addresses may be other pods' by now.
pub fn unproven(observation: &Observation) -> Observation {
    let unproven = observation.tasks().iter().map(|task| {
        let mut unproven = ObservedTask::clone(task);
        if unproven.standing.workload == Workload::Known {
            unproven.standing.workload = Workload::Unproven;
        }
        Arc::new(unproven)
    });
    Observation::new(unproven.collect())
}

fn see(task: &ObservedTask, own: &[Arc<Pod>], refused: &HashMap<Arc<str>, PodFault>) -> ObservedTask {
    let is_dialed = |pod: &&Arc<Pod>| !refused.contains_key(&pod.uid);
    let dialed: Vec<&Pod> = own.iter().filter(is_dialed).map(|pod| &**pod).collect();
    let addresses: Vec<IpAddr> = dialed.iter().flat_map(|pod| &pod.addresses).copied().collect();
    let mut seen = task.clone();
    for ask in seen.requests.iter_mut().filter_map(|request| request.ask.as_mut().ok()) {
        let claimed = ask.claimed.map(|claimed| claimed.to_canonical());
        ask.claimed = claimed.filter(|claimed| addresses.contains(claimed));
    }
    for pod in &dialed {
        for asked in &pod.requests {
            let is_given_twice = pod.requests.iter().filter(|other| is_same(other, asked)).count() > 1;
            let mut asked = at(pod, asked.clone());
            if is_given_twice {
                asked.ask = Err(RequestFault::Notation("an entry is given twice".to_owned()));
            }
            for own in seen.requests.iter_mut().filter(|own| is_bound(own, &asked)) {
                tighten(own, &asked);
            }
            if !seen.requests.iter().any(|own| is_same(own, &asked)) {
                seen.requests.push(asked);
            }
        }
    }
    let order = |request: &Request| (request.protocol, request.name.clone());
    seen.requests.sort_by_key(order);
    seen.addresses = addresses;
    (seen.queue, seen.standing.is_queue_label) = queue(task, own);
    let named = own.iter().find_map(|pod| pod.gateway.as_ref());
    seen.standing.named_gateway = named.or(task.standing.named_gateway.as_ref()).cloned();
    seen.standing.workload = match own.iter().find_map(|pod| refused.get(&pod.uid)) {
        _ if !dialed.is_empty() => Workload::Known,
        Some(fault) => Workload::Refused(fault.brief().into()),
        None => Workload::Gone,
    };
    seen
}

/// True if both ask for the same endpoint.
fn is_same(one: &Request, other: &Request) -> bool {
    one.protocol == other.protocol && one.name == other.name
}

/// True if what the annotation says holds for this request, too: it asks for the same endpoint, or for the same port by another
/// name. An annotation that cannot be understood may have meant any of them.
fn is_bound(own: &Request, annotated: &Request) -> bool {
    let ports = |request: &Request| -> Vec<u16> {
        let ask = request.ask.as_ref().ok();
        ask.map_or_else(Vec::new, |ask| {
            let session = ask.stream.session.as_ref().and_then(|session| session.ssh_port);
            let claims = [ask.stream.upstream_port, ask.stream.noted_port, session];
            claims.into_iter().flatten().chain([ask.port]).collect()
        })
    };
    let meant = ports(annotated);
    is_same(own, annotated) || annotated.ask.is_err() || ports(own).iter().any(|port| meant.contains(port))
}

/// An annotation that cannot be understood closes the endpoint: it may have meant to tighten.
fn tighten(own: &mut Request, annotated: &Request) {
    match (&mut own.ask, &annotated.ask) {
        (Ok(ask), Ok(annotated)) => {
            ask.access = match (&ask.access, &annotated.access) {
                (Some(one), Some(other)) => Some(one.and(other)),
                (one, other) => one.as_ref().or(other.as_ref()).cloned(),
            };
        }
        (ask @ Ok(_), Err(fault)) => *ask = Err(fault.clone()),
        (Err(_), _) => {}
    }
}

fn at(pod: &Pod, mut request: Request) -> Request {
    if let Ok(ask) = &mut request.ask {
        ask.claimed = pod.addresses.first().copied();
    }
    request
}

/// The label was written by the agent, the task may be edited by its colleagues; but only the task knows the name in full.
/// True beside it: it is the label. So it may be already, in an observation that was kept over a restart.
fn queue(task: &ObservedTask, own: &[Arc<Pod>]) -> (Option<Arc<str>>, bool) {
    let label = own.iter().find_map(|pod| pod.queue_label.as_ref());
    match (&task.queue, label) {
        (Some(name), Some(label)) if label_value(name) != **label => (Some(label.clone()), true),
        (None, Some(label)) => (Some(label.clone()), true),
        (name, _) => (name.clone(), task.standing.is_queue_label),
    }
}
