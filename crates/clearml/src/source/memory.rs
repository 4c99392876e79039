//! The tasks that are known, from all answers so far.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use portico_core::{
    clock::Timestamp,
    endpoint::TaskId,
    notation,
    observe::{Observation, ObservedTask, RequestOrigin, Standing, TaskStatus},
    principal::{CompanyId, UserId},
};

use super::{
    joins::{Joins, Keys, WorkerReport},
    requests::{asked, published},
    row::{Row, key, moment},
};

/// The most tasks that are remembered after they ended.
const ENDED_MAX: usize = 2000;

#[derive(Debug)]
struct Known {
    task: Arc<ObservedTask>,
    /// `None`: restored from an earlier run, not seen since.
    keys: Option<Keys>,
    is_tagged: bool,
}

impl Known {
    fn asks_by_property(&self) -> bool {
        let mut requests = self.task.requests.iter();
        requests.any(|request| request.origin == RequestOrigin::Property)
    }

    /// True for a task that no list shows: neither tagged nor asking by property.
    fn is_unlisted(&self) -> bool {
        !self.is_tagged && !self.task.status.is_ended() && !self.asks_by_property()
    }
}

/// The tasks that are known.
#[derive(Debug, Default)]
pub(super) struct Memory {
    tasks: BTreeMap<TaskId, Known>,
    joins: Joins,
    /// Their tag changed, or they started again: they must be read whole.
    stale: BTreeSet<TaskId>,
    /// Their pods ask for endpoints, whatever they ask themselves.
    annotated: BTreeSet<TaskId>,
    /// Those among the known ones that no list shows.
    unlisted: BTreeSet<TaskId>,
    is_changed: bool,
}

/// A task as the short question tells it.
#[derive(Debug)]
pub(super) struct Brief {
    pub(super) id: TaskId,
    pub(super) status: TaskStatus,
    pub(super) status_since: Option<Timestamp>,
    /// When the task was last changed, by the server's clock.
    pub(super) changed: Timestamp,
    /// `None` if it was not told.
    pub(super) is_tagged: Option<bool>,
}

impl Memory {
    /// Starts with what an earlier run observed.
    pub(super) fn restored(observation: &Observation) -> Self {
        let known = |task: &Arc<ObservedTask>| {
            let known = Known {
                task: task.clone(),
                keys: None,
                is_tagged: true,
            };
            (task.id, known)
        };
        Self {
            tasks: observation.tasks().iter().map(known).collect(),
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) fn contains(&self, id: TaskId) -> bool {
        self.tasks.contains_key(&id)
    }

    /// The company that the remembered tasks belong to, if they are not of this one.
    pub(super) fn has_strangers(&self, company: &CompanyId) -> bool {
        self.tasks.values().any(|known| known.task.company != *company)
    }

    /// Takes the tasks for which pods ask. Those that were not known are read whole, and so are those for which no pod asks any more:
    /// they are remembered until nothing of them is published.
    pub(super) fn set_annotated(&mut self, annotated: &BTreeSet<TaskId>) {
        let new = annotated.difference(&self.annotated);
        let new = new.filter(|id| !self.tasks.contains_key(id));
        let gone = self.annotated.difference(annotated);
        let gone = gone.filter(|id| self.tasks.contains_key(id));
        self.stale.extend(new.chain(gone));
        self.annotated.clone_from(annotated);
    }

    /// Takes a whole task. A task for which nobody ever asked is not remembered.
    pub(super) fn take(&mut self, row: &Row) {
        let Some(id) = row.id() else { return };
        self.stale.remove(&id);
        let before = self.tasks.get(&id);
        let (status, is_tagged) = (row.status(), row.is_tagged());
        let asked = asked(row);
        let published = published(&row.runtime, row.properties());
        let has_property = published.iter().any(|entry| entry.property.is_some());
        let is_annotated = self.annotated.contains(&id);
        let is_remembered = match status {
            // What was published is taken back before a task is forgotten.
            TaskStatus::InProgress => {
                !asked.is_empty() || has_property || is_annotated || before.is_some() && !published.is_empty()
            }
            // A clone carries the property of the task that it was made from, until the publisher removes it.
            TaskStatus::Created | TaskStatus::Queued => {
                has_property || is_annotated || before.is_some() && !asked.is_empty()
            }
            _ => before.is_some(),
        };
        if !is_remembered {
            self.forget(id);
            return;
        }
        let owner = UserId::new(row.user.as_ref().and_then(|user| user.id()).unwrap_or_default());
        let keys = Keys {
            owner: owner.clone(),
            worker: row
                .last_worker
                .as_deref()
                .filter(|worker| !worker.is_empty())
                .map(Arc::from),
            queue: row
                .execution
                .as_ref()
                .and_then(|execution| execution.queue.as_ref()?.id())
                .map(Arc::from),
            k8s_queue: row.property(key::K8S_QUEUE).map(short),
        };
        let task = ObservedTask {
            id,
            name: short(row.name.as_deref().unwrap_or_default()),
            owner,
            company: CompanyId::new(row.company.id().unwrap_or_default()),
            project: row.project.as_ref().and_then(|project| project.id()).map(Arc::from),
            queue: self.joins.queue(&keys),
            status,
            status_since: moment(row.status_changed.as_deref()).unwrap_or_default(),
            started: moment(row.started.as_deref()),
            addresses: self.joins.addresses(&keys),
            requests: asked,
            published,
            standing: Standing {
                named_gateway: row.property(key::PORTICO).and_then(notation::gateway).map(Arc::from),
                ..Standing::default()
            },
        };
        let known = match before {
            Some(known) if *known.task == task => known.task.clone(),
            _ => {
                self.is_changed = true;
                Arc::new(task)
            }
        };
        let known = Known {
            task: known,
            keys: Some(keys),
            is_tagged,
        };
        if known.is_unlisted() {
            self.unlisted.insert(id);
        } else {
            self.unlisted.remove(&id);
        }
        self.tasks.insert(id, known);
    }

    /// Takes what became of a known task. One whose tag changed, or that was never seen whole, is read whole next.
    pub(super) fn take_brief(&mut self, brief: &Brief) {
        let Some(known) = self.tasks.get_mut(&brief.id) else {
            return;
        };
        let runs_again = brief.status == TaskStatus::InProgress && known.task.status != TaskStatus::InProgress;
        let is_tag_moved = brief.is_tagged.is_some_and(|is_tagged| is_tagged != known.is_tagged);
        if is_tag_moved || known.keys.is_none() || runs_again {
            self.stale.insert(brief.id);
        }
        let status_since = brief.status_since.unwrap_or(known.task.status_since);
        // An answer that is older than what is known does not bring an ended task back.
        let is_news = brief.status != known.task.status && status_since >= known.task.status_since;
        if is_news && !runs_again {
            let task = Arc::make_mut(&mut known.task);
            (task.status, task.status_since) = (brief.status, status_since);
            self.is_changed = true;
        }
    }

    /// Forgets a task that is no more.
    pub(super) fn forget(&mut self, id: TaskId) {
        self.stale.remove(&id);
        self.unlisted.remove(&id);
        self.is_changed |= self.tasks.remove(&id).is_some();
    }

    /// Forgets tasks that ended long ago, the oldest first if there are too many.
    pub(super) fn forget_ended(&mut self, now: Timestamp, keeps: Duration) {
        let mut ended: Vec<(Timestamp, TaskId)> = self
            .tasks
            .values()
            .filter(|known| known.task.status != TaskStatus::InProgress)
            .map(|known| (known.task.status_since, known.task.id))
            .collect();
        ended.sort_unstable();
        let too_many = ended.len().saturating_sub(ENDED_MAX);
        for (at, (since, id)) in ended.into_iter().enumerate() {
            if at < too_many || now.since(since) >= keeps {
                self.forget(id);
            }
        }
    }

    /// The ids of known tasks after `last`, in order, at most `limit`.
    pub(super) fn ids_after(&self, last: Option<TaskId>, limit: usize) -> Vec<TaskId> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = last.map_or(Unbounded, Excluded);
        self.tasks
            .range((from, Unbounded))
            .take(limit)
            .map(|(id, _)| *id)
            .collect()
    }

    /// True if there are tasks that no list shows.
    pub(super) fn has_unlisted(&self) -> bool {
        self.unlisted().next().is_some()
    }

    /// The ids of tasks that no list shows, after `last`, in order, at most `limit`.
    pub(super) fn unlisted_after(&self, last: Option<TaskId>, limit: usize) -> Vec<TaskId> {
        let mut ids: Vec<TaskId> = self
            .unlisted()
            .filter(|id| last.is_none_or(|last| *id > last))
            .collect();
        ids.sort_unstable();
        ids.truncate(limit);
        ids
    }

    /// Known ones, and those for which pods ask and that the server did not show yet.
    fn unlisted(&self) -> impl Iterator<Item = TaskId> {
        let unknown = self.annotated.iter().filter(|id| !self.tasks.contains_key(id));
        self.unlisted.iter().chain(unknown).copied()
    }

    /// Tasks that have ended, that no list shows, and in which addresses stood: whether they still do is read whole.
    pub(super) fn doubt_ended(&mut self) {
        let left = |known: &Known| !known.is_tagged && known.task.status.is_ended() && !known.task.published.is_empty();
        let ended = self.tasks.iter().filter(|(_, known)| left(known));
        self.stale.extend(ended.map(|(id, _)| *id));
    }

    /// This task must be read whole.
    pub(super) fn want_whole(&mut self, id: TaskId) {
        self.stale.insert(id);
    }

    /// A task was read whole, or could not be.
    pub(super) fn settle(&mut self, id: TaskId) {
        self.stale.remove(&id);
    }

    /// Known tasks that must be read whole.
    pub(super) fn stale(&self, limit: usize) -> Vec<TaskId> {
        self.stale.iter().take(limit).copied().collect()
    }

    /// A pass over the tagged tasks that run is complete: those that it lacks are read whole.
    pub(super) fn doubt_tagged(&mut self, seen: &BTreeSet<TaskId>) {
        self.doubt_running(seen, |known| known.is_tagged);
    }

    /// A pass over the running tasks that ask by property is complete: those that it lacks are read whole.
    pub(super) fn doubt_by_property(&mut self, seen: &BTreeSet<TaskId>) {
        self.doubt_running(seen, Known::asks_by_property);
    }

    fn doubt_running(&mut self, seen: &BTreeSet<TaskId>, is_meant: impl Fn(&Known) -> bool) {
        let running = self
            .tasks
            .iter()
            .filter(|(_, known)| known.task.status == TaskStatus::InProgress);
        let lacking = running.filter(|(id, known)| is_meant(known) && !seen.contains(id));
        self.stale.extend(lacking.map(|(id, _)| *id));
    }

    /// True if a task that runs asks by property.
    pub(super) fn has_by_property(&self) -> bool {
        self.tasks
            .values()
            .any(|known| !known.task.status.is_ended() && known.asks_by_property())
    }

    /// True if a known task runs, or may run soon.
    pub(super) fn has_live(&self) -> bool {
        self.tasks.values().any(|known| !known.task.status.is_ended())
    }

    /// True if a running task's worker is not known.
    pub(super) fn wants_workers(&self) -> bool {
        let mut running = self
            .tasks
            .values()
            .filter(|known| known.task.status == TaskStatus::InProgress);
        running.any(|known| known.keys.as_ref().is_some_and(|keys| self.joins.wants_worker(keys)))
    }

    /// Takes a complete list of workers.
    pub(super) fn take_workers(&mut self, workers: Vec<WorkerReport>, now: Timestamp) {
        let named = self.named_workers();
        self.join(|joins| {
            joins.set_workers(workers.into_iter(), now);
            joins.count_misses(named.into_iter());
        });
    }

    /// Nobody waits for workers of which nothing is known; those that are known stay.
    pub(super) fn miss_workers(&mut self) {
        let named = self.named_workers();
        self.join(|joins| joins.count_misses(named.into_iter()));
    }

    /// The workers that running tasks name.
    fn named_workers(&self) -> Vec<Arc<str>> {
        let running = self
            .tasks
            .values()
            .filter(|known| known.task.status == TaskStatus::InProgress);
        running
            .filter_map(|known| known.keys.as_ref()?.worker.clone())
            .collect()
    }

    /// The ids of queues whose names are not known.
    pub(super) fn wanted_queues(&self, now: Timestamp, limit: usize) -> Vec<String> {
        let keys = self.tasks.values().filter_map(|known| known.keys.as_ref());
        let wanted: BTreeSet<&str> = keys
            .filter(|keys| self.joins.wants_queue(keys, now))
            .filter_map(|keys| keys.queue.as_deref())
            .collect();
        wanted.into_iter().take(limit).map(str::to_owned).collect()
    }

    /// True if a task names a queue that was never asked for.
    pub(super) fn wants_new_queue(&self) -> bool {
        self.tasks
            .values()
            .any(|known| known.keys.as_ref().is_some_and(|keys| self.joins.is_new_queue(keys)))
    }

    /// Changes what is looked up, and the tasks with it.
    pub(super) fn join(&mut self, change: impl FnOnce(&mut Joins)) {
        change(&mut self.joins);
        for known in self.tasks.values_mut() {
            let Some(keys) = &known.keys else { continue };
            let (queue, addresses) = (self.joins.queue(keys), self.joins.addresses(keys));
            if known.task.queue != queue || known.task.addresses != addresses {
                let task = Arc::make_mut(&mut known.task);
                (task.queue, task.addresses) = (queue, addresses);
                self.is_changed = true;
            }
        }
    }

    /// The observation, if it changed since the last time.
    pub(super) fn changed(&mut self) -> Option<Observation> {
        std::mem::take(&mut self.is_changed)
            .then(|| Observation::new(self.tasks.values().map(|known| known.task.clone()).collect()))
    }

    /// The observation must be handed out again.
    pub(super) fn touch(&mut self) {
        self.is_changed = true;
    }
}

fn short(text: &str) -> Arc<str> {
    text.chars().take(256).collect::<String>().into()
}
