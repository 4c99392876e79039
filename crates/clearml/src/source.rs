//! Which tasks ask for endpoints, seen by asking the ClearML server again and again.

mod answers;
mod aside;
mod doubt;
mod joins;
mod memory;
mod plan;
mod questions;
mod requests;
mod row;
mod saved;
mod streams;
mod value;
mod whole;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use portico_core::{
    clock::{Clock, Timestamp},
    endpoint::TaskId,
    foreign_text::one_line,
    live::{Live, Nudge, Publish},
    observe::{Failing, Observation, Published, SourceHealth},
};
use tokio_util::sync::CancellationToken;

use crate::client::{CallError, Clearml, pause};
use answers::Pass;
use aside::Aside;
use doubt::Doubt;
use memory::Memory;
use plan::{Plan, Question, Situation, Step};
use questions::{List, Questions};
use row::Row;
pub(crate) use row::{key, suffix};
pub use saved::Saved;

/// How the server is asked.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Between two questions while a task lives that could ask.
    pub busy: Duration,
    /// Between two rounds of questions otherwise.
    pub idle: Duration,
    /// Between two full reads; large installations read less often, so that full reads take a quarter of the budget at most.
    pub full: Duration,
    /// Between two looks at the workers' addresses.
    pub workers: Duration,
    /// How many questions a second there may be on average.
    pub requests_per_second: f64,
    /// How many questions that were saved in quiet times may be asked at once.
    pub burst: u32,
    /// How long a task that ended is remembered.
    pub keeps_ended: Duration,
    /// Whether tasks may ask by the user property `portico`.
    pub reads_properties: bool,
    /// Whether every other question in turn asks for changes.
    pub is_prompt: bool,
}

impl SourceSettings {
    /// For a gateway that offers TCP endpoints: changes are asked for every second and other questions in between. The client of a
    /// session dials its task's own address if the public one is not there 1.1 s after the task asked (observed with
    /// clearml-session 0.17.0).
    pub fn for_streams() -> Self {
        Self {
            busy: Duration::from_millis(500),
            requests_per_second: 2.0,
            is_prompt: true,
            ..Self::default()
        }
    }
}

impl Default for SourceSettings {
    fn default() -> Self {
        Self {
            busy: Duration::from_secs(1),
            idle: Duration::from_secs(5),
            full: Duration::from_secs(30),
            workers: Duration::from_secs(10),
            requests_per_second: 1.0,
            burst: 30,
            keeps_ended: Duration::from_hours(24),
            reads_properties: true,
            is_prompt: false,
        }
    }
}

/// Asks the ClearML server and publishes what it sees.
pub struct Source {
    questions: Questions,
    settings: SourceSettings,
    clock: Arc<dyn Clock>,
    memory: Memory,
    aside: Aside,
    initial: Option<Saved>,
    doubt: Option<Doubt>,
    /// The newest change seen, by the server's clock; later ones are asked for.
    since: Option<Timestamp>,
    running: Option<Pass>,
    by_property: Option<Pass>,
    known_after: Option<TaskId>,
    unlisted_after: Option<TaskId>,
    /// The tasks for which pods ask, and what of them was taken.
    annotated: Live<BTreeSet<TaskId>>,
    taken: Arc<BTreeSet<TaskId>>,
    /// Which passes were made since the start.
    has_read: Passes,
    is_started: bool,
    anything_runs: bool,
    failing: BTreeMap<&'static str, Failing>,
    failures: u32,
    observed: Option<Timestamp>,
}

/// Which passes were made since the start; before all were, nothing is complete.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
struct Passes {
    running: bool,
    properties: bool,
    known: bool,
    workers: bool,
}

impl Source {
    /// A source that starts with what an earlier run observed, until the server tells otherwise.
    pub fn new(clearml: Clearml, settings: SourceSettings, initial: Option<Saved>) -> Self {
        let memory = initial
            .as_ref()
            .map(|saved| Memory::restored(&saved.observation))
            .unwrap_or_default();
        Self {
            clock: clearml.clock().clone(),
            questions: Questions::new(clearml),
            has_read: Passes {
                properties: !settings.reads_properties,
                known: memory.is_empty(),
                ..Passes::default()
            },
            settings,
            memory,
            aside: Aside::default(),
            observed: initial.as_ref().map(|saved| saved.at),
            initial,
            doubt: None,
            since: None,
            running: None,
            by_property: None,
            known_after: None,
            unlisted_after: None,
            annotated: Live::fixed(BTreeSet::new()),
            taken: Arc::default(),
            is_started: false,
            anything_runs: false,
            failing: BTreeMap::new(),
            failures: 0,
        }
    }

    /// The same source, which asks for these tasks too, by their ids: pods ask for endpoints of theirs, whatever they ask themselves.
    #[must_use]
    pub fn with_annotated(self, annotated: Live<BTreeSet<TaskId>>) -> Self {
        Self { annotated, ..self }
    }

    /// Asks until `shutdown`. Only complete observations are published; while the server cannot be asked, the last one stays.
    /// `nudge` makes the next question come early, within the budget.
    pub async fn run(
        mut self,
        observation: Publish<Observation>,
        health: Publish<SourceHealth>,
        nudge: Nudge,
        shutdown: CancellationToken,
    ) {
        if let Some(saved) = self.initial.take() {
            observation.publish(saved.observation);
        }
        let mut plan = Plan::new(self.settings.clone(), Instant::now());
        let mut annotated = self.annotated.clone();
        loop {
            self.take_annotated();
            self.settle_aside();
            let step = plan.next(Instant::now(), &self.situation());
            let question = match step {
                Step::Ask(question) => question,
                Step::Wait(wait) => {
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = nudge.nudged() => plan.nudge(Instant::now()),
                        Some(_) = annotated.changed() => plan.nudge(Instant::now()),
                        () = shutdown.cancelled() => return,
                    }
                    continue;
                }
            };
            let result = tokio::select! {
                result = self.ask(question) => result,
                () = shutdown.cancelled() => return,
            };
            plan.charge(self.questions.take_calls().saturating_sub(1));
            self.note(question, result, &mut plan);
            self.forget_failures();
            if !self.is_started && self.is_complete() {
                self.is_started = true;
                self.memory.touch();
                plan.start();
            }
            self.memory.forget_ended(self.clock.now(), self.settings.keeps_ended);
            self.hand_on(&observation, &health);
        }
    }

    fn take_annotated(&mut self) {
        let annotated = self.annotated.get();
        if !Arc::ptr_eq(&annotated, &self.taken) {
            self.memory.set_annotated(&annotated);
            self.taken = annotated;
        }
    }

    fn situation(&self) -> Situation {
        let (now, has_live) = (self.clock.now(), self.memory.has_live());
        Situation {
            is_busy: self.anything_runs || has_live,
            has_live,
            has_by_property: self.memory.has_by_property(),
            reads_properties: self.settings.reads_properties,
            has_known: !self.memory.is_empty(),
            is_doubtful: self.doubt.is_some(),
            is_reading: self.running.is_some(),
            is_reading_properties: self.by_property.is_some(),
            has_unlisted: self.memory.has_unlisted(),
            wants_whole: !self.memory.stale(1).is_empty(),
            is_dividing: self.aside.is_dividing(),
            wants_again: self.aside.wants_again(now),
            is_suspecting: self.aside.is_suspecting(),
            wants_queues: !self.memory.wanted_queues(now, 1).is_empty(),
            wants_workers: self.memory.wants_workers(),
        }
    }

    fn is_complete(&self) -> bool {
        let situation = self.situation();
        self.has_read.running
            && self.has_read.properties
            && self.has_read.known
            && !situation.is_doubtful
            && !situation.wants_whole
            && !situation.wants_queues
            && (self.has_read.workers || !situation.wants_workers)
    }

    fn take(&mut self, rows: &[Row]) {
        self.leave_strangers();
        for row in rows {
            self.memory.take(row);
        }
    }

    /// Forgets what another company's key showed.
    fn leave_strangers(&mut self) {
        if let Some(company) = self.questions.company()
            && self.memory.has_strangers(&company)
        {
            tracing::warn!("the gateway's key belongs to another company than before: starting anew");
            (self.memory, self.aside) = (Memory::default(), Aside::default());
            self.memory.set_annotated(&self.taken);
        }
    }

    /// Remembers whether a question was answered.
    fn note(&mut self, question: Question, result: Result<(), CallError>, plan: &mut Plan) {
        let result = match result {
            Err(error) if error.is_refusal() && self.can_do_without(question, &error) => Ok(()),
            result => result,
        };
        let Err(error) = result else {
            self.failures = 0;
            if self.failing.remove(question.name()).is_some() && self.failing.is_empty() {
                tracing::info!("clearml answers again");
            }
            if self.failing.is_empty() && self.is_started {
                self.observed = Some(self.clock.now());
            }
            return;
        };
        let (reason, detail) = (error.reason(), one_line(&error.to_string()));
        if !self.failing.values().any(|failing| failing.reason == reason) {
            tracing::warn!(reason, detail, "clearml cannot be asked: what was observed last stays");
        }
        let since = self.clock.now();
        let failing = self.failing.entry(question.name()).or_insert_with(|| Failing {
            since,
            reason,
            detail: String::new(),
        });
        (failing.reason, failing.detail) = (reason, detail);
        // Doubts are settled at the usual pace, and so is one question that is refused; a server that cannot be asked is left
        // alone for a while.
        let concerns_server = !matches!(error, CallError::Untrusted(_)) && !error.is_refusal();
        self.failures += u32::from(concerns_server);
        plan.failed(
            question,
            Instant::now(),
            if concerns_server {
                pause(self.failures)
            } else {
                Duration::ZERO
            },
        );
    }

    /// A question that need not be asked any more fails no more.
    fn forget_failures(&mut self) {
        let situation = self.situation();
        self.failing.retain(|question, _| match *question {
            "whole" => situation.wants_whole,
            "again" => situation.wants_again,
            "unlisted" => situation.has_unlisted,
            _ => true,
        });
    }

    /// True if a question that the server refuses, for good as it seems, is one without which tasks are still seen.
    fn can_do_without(&mut self, question: Question, error: &CallError) -> bool {
        if question != Question::ByProperty {
            return false;
        }
        let detail = one_line(&error.to_string());
        tracing::warn!(
            detail,
            "tasks cannot ask by the property portico: the server refuses the question"
        );
        (self.settings.reads_properties, self.has_read.properties) = (false, true);
        true
    }

    fn hand_on(&mut self, observation: &Publish<Observation>, health: &Publish<SourceHealth>) {
        // A new task waits for the name of its queue: without it, it would be refused for a moment.
        let waits = self.memory.wants_new_queue();
        if self.is_started
            && !waits
            && let Some(changed) = self.memory.changed()
        {
            observation.publish(changed);
        }
        let now = SourceHealth {
            observed: self.observed,
            failing: self.failing.values().min_by_key(|failing| failing.since).cloned(),
        };
        if now != *health.get() {
            health.publish(now);
        }
    }
}

/// What stands in a task as published addresses, asked apart from the observation; nothing if there is no such task.
pub(crate) async fn look(clearml: &Clearml, task: TaskId) -> Result<Vec<Published>, CallError> {
    let rows = Questions::new(clearml.clone()).by_id(&[task]).await?;
    let row = rows.iter().find(|row| row.id() == Some(task));
    Ok(row
        .map(|row| requests::published(&row.runtime, row.properties()))
        .unwrap_or_default())
}

/// True if the server answers about this task as long as it is not asked for what people wrote into it.
pub(crate) async fn is_plain_readable(clearml: &Clearml, task: TaskId) -> bool {
    let questions = Questions::new(clearml.clone());
    questions.plain(List::Ids(&[task])).await.is_ok()
}
