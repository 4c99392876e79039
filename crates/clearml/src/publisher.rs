//! Writes the addresses of endpoints into their tasks, and takes them back when the endpoints go.
//!
//! A reconciler: it compares what should stand in each task with what was observed there, and writes only what differs. Whether a
//! write lasted shows at the next observation.

mod care;
mod wanted;
mod write;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use portico_core::{
    clock::Timestamp,
    endpoint::{Protocol, TaskId},
    foreign_text::one_line,
    live::{Live, Nudge, Publish},
    observe::{Observation, ObservedTask, OwningGateway, TaskStatus},
    ports::OpenPorts,
    routes::{RouteTable, TaskRoutes},
    site::Site,
};
use tokio_util::sync::CancellationToken;

use crate::{
    budget::Budget,
    client::{CallError, Clearml, pause},
    facts::FeatureSet,
    source,
};
use care::{Care, Turn};
use wanted::{Difference, Ground, Place, Wanted};

/// How tasks are written.
#[derive(Clone, Debug)]
pub struct PublisherSettings {
    /// Between two looks without a reason.
    pub tick: Duration,
    /// Before the first write that replaces a whole runtime: the SDK does the same when it asks, and one would erase the other.
    pub first_write: Duration,
    /// Before an address is taken back from a task that still runs: its route may be refused for a moment only.
    pub withdrawal: Duration,
    /// A write that does not show after so long was lost.
    pub recheck: Duration,
    /// So many times within [`Self::window`] our value is replaced by another one before we give in.
    pub overwritten_limit: usize,
    /// So many times within [`Self::window`] our value vanishes before we give in, until the window holds fewer again.
    pub vanished_limit: usize,
    /// See the limits.
    pub window: Duration,
    /// How many tasks are written in a second on average, and at once after a quiet time.
    pub writes_per_second: f64,
    /// See [`Self::writes_per_second`].
    pub burst: u32,
}

impl Default for PublisherSettings {
    fn default() -> Self {
        Self {
            tick: Duration::from_millis(250),
            first_write: Duration::from_millis(500),
            withdrawal: Duration::from_secs(10),
            recheck: Duration::from_secs(5),
            overwritten_limit: 3,
            vanished_limit: 10,
            window: Duration::from_mins(5),
            writes_per_second: 10.0,
            burst: 50,
        }
    }
}

impl PublisherSettings {
    /// How long a difference must last before it is written.
    fn delay(&self, task: &ObservedTask, difference: &Difference) -> Duration {
        match difference.is_withdrawal {
            true if task.status == TaskStatus::InProgress => self.withdrawal,
            true => Duration::ZERO,
            false if difference.place.is_plain() => Duration::ZERO,
            false => self.first_write,
        }
    }
}

/// How publishing goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublisherStatus {
    /// Tasks in which something differs that will be written.
    pub pending: usize,
    /// Where somebody writes against us, so that we stopped.
    pub contested: Vec<Contested>,
    /// Calls that changed a task, since the start.
    pub writes: u64,
    /// Calls that failed, since the start.
    pub failures: u64,
    /// The last failure.
    pub last_error: Option<PublishError>,
}

/// A place in a task that somebody keeps overwriting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contested {
    /// The task.
    pub task: TaskId,
    /// The runtime key, or `properties/` and the user property.
    pub key: String,
}

/// A write that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishError {
    /// When.
    pub at: Timestamp,
    /// Which task.
    pub task: TaskId,
    /// Stable word for metrics.
    pub reason: &'static str,
    /// For the operator; no secrets.
    pub detail: String,
}

/// Writes addresses into tasks.
pub struct Publisher {
    clearml: Clearml,
    site: Arc<Site>,
    open: Live<OpenPorts>,
    publishes: bool,
    settings: PublisherSettings,
    cares: HashMap<TaskId, Care>,
    /// Where nothing is to be done until something else is observed, and what was judged then.
    settled: HashMap<TaskId, Arc<TaskRoutes>>,
    /// Whose turn it was last.
    last: Option<TaskId>,
    has_property: Option<bool>,
    status: PublisherStatus,
    /// The server cannot be asked: nothing is written before then.
    paused_until: Option<Instant>,
    failures: u32,
}

impl Publisher {
    /// A publisher; one that is not to publish writes nothing and takes nothing back.
    pub fn new(clearml: Clearml, site: Arc<Site>, publishes: bool) -> Self {
        Self::with(clearml, site, publishes, PublisherSettings::default())
    }

    /// A publisher with settings of its own.
    pub fn with(clearml: Clearml, site: Arc<Site>, publishes: bool, settings: PublisherSettings) -> Self {
        Self {
            clearml,
            site,
            open: Live::fixed(OpenPorts::default()),
            publishes,
            settings,
            cares: HashMap::new(),
            settled: HashMap::new(),
            last: None,
            has_property: None,
            status: PublisherStatus::default(),
            paused_until: None,
            failures: 0,
        }
    }

    /// The same publisher, which publishes the addresses of TCP endpoints too, once their ports stand open.
    #[must_use]
    pub fn with_streams(self, open: Live<OpenPorts>) -> Self {
        Self { open, ..self }
    }

    /// Keeps the tasks right until `shutdown`. After a write the source is nudged, to see whether it lasted.
    pub async fn run(
        mut self,
        mut table: Live<RouteTable>,
        mut observation: Live<Observation>,
        status: Publish<PublisherStatus>,
        nudge: Nudge,
        shutdown: CancellationToken,
    ) {
        if !self.publishes {
            return shutdown.cancelled().await;
        }
        let mut open = self.open.clone();
        let mut budget = Budget::new(self.settings.writes_per_second, self.settings.burst, Instant::now());
        loop {
            let seen = (table.get(), observation.get(), open.get());
            let pass = self.pass(&seen.0, &seen.1, &seen.2, &mut budget, &status, &nudge);
            tokio::select! {
                () = pass => {}
                () = shutdown.cancelled() => return,
            }
            let tick = if self.status.pending > 0 {
                self.settings.tick
            } else {
                self.settings.recheck
            };
            tokio::select! {
                () = tokio::time::sleep(tick) => {}
                Some(_) = table.changed() => {}
                Some(_) = observation.changed() => {}
                Some(_) = open.changed() => self.settled.retain(|_, routes| !has_streams(routes)),
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Looks at every task once; one is written after the other. The first is the one behind the task whose turn it was last: what
    /// may be written in a second is shared by all, and a task that always differs must not use it up.
    async fn pass(
        &mut self,
        table: &RouteTable,
        observation: &Observation,
        open: &OpenPorts,
        budget: &mut Budget,
        status: &Publish<PublisherStatus>,
        nudge: &Nudge,
    ) {
        let has_property = self
            .clearml
            .facts()
            .get()
            .feature_set
            .map(|set| set == FeatureSet::Basic);
        if has_property != self.has_property {
            self.has_property = has_property;
            self.settled.clear();
        }
        self.cares.retain(|id, _| observation.task(*id).is_some());
        self.settled.retain(|id, _| observation.task(*id).is_some());
        let is_paused = self.paused_until.is_some_and(|until| Instant::now() < until);
        let mut pending = 0;
        for task in in_turn(observation.tasks(), self.last) {
            // A table that has not caught up knows nothing of what was observed.
            let Some(routes) = table.task(task.id).filter(|routes| Arc::ptr_eq(&routes.task, task)) else {
                continue;
            };
            if self
                .settled
                .get(&task.id)
                .is_some_and(|settled| Arc::ptr_eq(settled, routes))
            {
                continue;
            }
            // Its owner writes, and takes back; what stands there of ours, the owner writes over.
            if task.standing.owning_gateway != OwningGateway::This {
                self.cares.remove(&task.id);
                self.settled.insert(task.id, routes.clone());
                continue;
            }
            let ground = Ground {
                site: &self.site,
                table,
                open,
                has_property,
            };
            let wanted = Wanted::of(routes, ground);
            if wanted.places.is_empty() {
                self.cares.remove(&task.id);
                self.settled.insert(task.id, routes.clone());
                continue;
            }
            let now = self.clearml.clock().now();
            let care = self.cares.entry(task.id).or_default();
            let is_put_off = care.not_before.is_some_and(|at| now < at);
            match care.judge(task, wanted.places, now, &self.settings) {
                // Time alone may change this.
                Turn::Rest if care.is_exhausted(&self.settings) => {}
                Turn::Rest => {
                    self.settled.insert(task.id, routes.clone());
                }
                Turn::Write(differences) if !is_paused && budget.take(Instant::now()).is_ok() => {
                    self.last = Some(task.id);
                    // What was written is pending until it was seen.
                    self.write(task, &differences, nudge).await;
                    pending += 1;
                }
                Turn::Look(differences) if !is_paused && !is_put_off && budget.take(Instant::now()).is_ok() => {
                    self.last = Some(task.id);
                    self.look(task, differences).await;
                    pending += 1;
                }
                Turn::Wait | Turn::Write(_) | Turn::Look(_) => pending += 1,
            }
        }
        self.status.pending = pending;
        self.tell(status);
    }

    /// Writes one task.
    async fn write(&mut self, task: &Arc<ObservedTask>, differences: &[Difference], nudge: &Nudge) {
        let result = write::write(&self.clearml, task, differences).await;
        let now = self.clearml.clock().now();
        match result {
            Ok(writes) => {
                let care = self.cares.entry(task.id).or_default();
                care.note_written(task, differences, now);
                (self.failures, self.paused_until) = (0, None);
                self.status.writes += writes;
                nudge.nudge();
                tracing::debug!(task = %task.id, writes, "wrote the task's addresses");
            }
            Err(error) => self.note_failure(task.id, &error, now).await,
        }
    }

    /// Looks whether what was written stands.
    async fn look(&mut self, task: &Arc<ObservedTask>, mut differences: Vec<Difference>) {
        let result = source::look(&self.clearml, task.id).await;
        let now = self.clearml.clock().now();
        match result {
            Ok(published) => {
                let found = wanted::found(&published);
                for difference in &mut differences {
                    difference.found = found.get(&difference.place).cloned();
                }
                let care = self.cares.entry(task.id).or_default();
                care.note_looked(task, &differences, now, &self.settings);
            }
            Err(error) => self.note_failure(task.id, &error, now).await,
        }
    }

    async fn note_failure(&mut self, task: TaskId, error: &CallError, now: Timestamp) {
        let care = self.cares.entry(task).or_default();
        care.failures = care.failures.saturating_add(1);
        care.not_before = Some(now.plus(pause(care.failures)));
        // A refusal concerns this task, and so does what somebody wrote into it; everything else concerns the server.
        let concerns_task = match error {
            CallError::Refused { code: 400..=499, .. } => true,
            error => error.is_unreadable() && source::is_plain_readable(&self.clearml, task).await,
        };
        if !concerns_task {
            self.failures = self.failures.saturating_add(1);
            self.paused_until = Some(Instant::now() + pause(self.failures));
        }
        let (reason, detail) = (error.reason(), one_line(&error.to_string()));
        tracing::debug!(task = %task, reason, detail, "the task's addresses could not be written");
        self.status.failures += 1;
        self.status.last_error = Some(PublishError {
            at: now,
            task,
            reason,
            detail,
        });
    }

    fn tell(&mut self, status: &Publish<PublisherStatus>) {
        let mut contested: Vec<Contested> = self
            .cares
            .iter()
            .flat_map(|(task, care)| care.contested().map(|place| (*task, place)))
            .map(|(task, place)| Contested {
                task,
                key: match place {
                    Place::Runtime(name) => name.to_string(),
                    Place::Property(name) => format!("properties/{name}"),
                },
            })
            .collect();
        contested.sort_by(|one, other| (one.task, &one.key).cmp(&(other.task, &other.key)));
        for new in contested
            .iter()
            .filter(|contested| !self.status.contested.contains(contested))
        {
            tracing::warn!(
                task = %new.task,
                key = one_line(&new.key),
                "somebody keeps overwriting the address that was published: it is left alone (is there another gateway?)"
            );
        }
        self.status.contested = contested;
        if self.status != *status.get() {
            status.publish(self.status.clone());
        }
    }
}

/// All tasks, sorted by id, beginning behind `last`.
fn in_turn(tasks: &[Arc<ObservedTask>], last: Option<TaskId>) -> impl Iterator<Item = &Arc<ObservedTask>> {
    let (before, behind) = tasks.split_at(tasks.partition_point(|task| last.is_some_and(|last| task.id <= last)));
    behind.iter().chain(before)
}

fn has_streams(routes: &TaskRoutes) -> bool {
    routes.routes.iter().any(|route| route.key.protocol == Protocol::Tcp)
}
