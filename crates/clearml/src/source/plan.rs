//! Which question comes next, and when. Pure: time and situation come in, a step goes out.
//!
//! While a task lives that could ask, there is one question each second, in turn: what changed among the tagged tasks, which tasks
//! ask by property (and those for which only their pods ask), what became of the tasks that are known. Full reads and the workers' addresses take some of these turns; only
//! what a new task waits for goes in between. Otherwise there is a round of these questions every five seconds, with one more: does
//! any task run at all? Any task that runs could ask at any moment. Where TCP endpoints are offered there are two questions a second,
//! and every other one asks for the changes.

use std::time::{Duration, Instant};

use super::SourceSettings;
use crate::budget::Budget;

/// A question to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// What changed among the tagged tasks, whatever their status.
    Changes,
    /// All tagged tasks that run, page by page.
    Running,
    /// What became of tasks that are known, by their ids.
    Known,
    /// All running tasks that ask by property, page by page.
    ByProperty,
    /// Known tasks whose tag changed, whole.
    Whole,
    /// Tasks for which pods ask and that no other question shows, by their ids, page by page.
    Unlisted,
    /// Tasks that were set aside, whole.
    Again,
    /// Whether any task runs at all.
    Anything,
    /// Under which addresses the workers are known.
    Workers,
    /// The names of queues.
    Queues,
}

impl Question {
    /// A stable word, to tell failures apart.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Running => "running",
            Self::Known => "known",
            Self::ByProperty => "by_property",
            Self::Whole => "whole",
            Self::Unlisted => "unlisted",
            Self::Again => "again",
            Self::Anything => "anything",
            Self::Workers => "workers",
            Self::Queues => "queues",
        }
    }
}

/// What the next question depends on.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct Situation {
    /// A task lives that could ask.
    pub(super) is_busy: bool,
    /// A known task lives.
    pub(super) has_live: bool,
    /// A known task that lives asks by property.
    pub(super) has_by_property: bool,
    /// Tasks may ask by property.
    pub(super) reads_properties: bool,
    /// Tasks are known, so that something could become of them.
    pub(super) has_known: bool,
    /// An answer lacked known tasks: it must be confirmed or refuted.
    pub(super) is_doubtful: bool,
    /// The pass over the running tasks has pages left.
    pub(super) is_reading: bool,
    /// The pass over the tasks that ask by property has pages left.
    pub(super) is_reading_properties: bool,
    /// There are tasks that no list shows.
    pub(super) has_unlisted: bool,
    /// Known tasks must be read whole.
    pub(super) wants_whole: bool,
    /// An answer could not be read, so that they are read in small parts.
    pub(super) is_dividing: bool,
    /// Tasks that were set aside may be tried again.
    pub(super) wants_again: bool,
    /// Some of them were in bad company, perhaps.
    pub(super) is_suspecting: bool,
    /// Tasks name queues whose names are not known.
    pub(super) wants_queues: bool,
    /// Running tasks name workers whose addresses are not known.
    pub(super) wants_workers: bool,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Ask(Question),
    Wait(Duration),
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct Plan {
    settings: SourceSettings,
    budget: Budget,
    /// Not before then.
    next_turn: Instant,
    turn: usize,
    /// Not before then either, whoever nudges: a question failed.
    paused_until: Instant,
    is_nudged: bool,
    was_nudged: bool,
    was_workers: bool,
    was_whole: bool,
    /// When a question was asked last, and what a full pass cost.
    full: Option<Instant>,
    full_cost: u32,
    workers: Option<Instant>,
    queues: Option<Instant>,
    again: Option<Instant>,
    anything: Option<Instant>,
    is_started: bool,
}

/// Names of queues and addresses of unknown workers are asked for at most so often.
const LOOK_UP: Duration = Duration::from_secs(3);
/// An answer that lacked tasks is asked for again after this at the earliest: what was wrong with it takes a moment to pass.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Tasks that were set aside are tried again after so many turns at the earliest, those that were in bad company after fewer.
const AGAIN: u32 = 8;
const AGAIN_SOON: u32 = 2;

impl Plan {
    pub(super) fn new(settings: SourceSettings, now: Instant) -> Self {
        Self {
            budget: Budget::new(settings.requests_per_second, settings.burst, now),
            settings,
            next_turn: now,
            turn: 0,
            paused_until: now,
            is_nudged: false,
            was_nudged: false,
            was_workers: false,
            was_whole: false,
            full: None,
            full_cost: 0,
            workers: None,
            queues: None,
            again: None,
            anything: None,
            is_started: false,
        }
    }

    /// The first complete observation was made: from now on the turns are spaced.
    pub(super) fn start(&mut self) {
        self.is_started = true;
    }

    /// Somebody wants a fresh answer: the changes come next, as soon as the budget allows.
    pub(super) fn nudge(&mut self, now: Instant) {
        self.next_turn = now;
        self.is_nudged = true;
    }

    /// A question failed: no other one for a while. A pass that broke off is as due as before.
    pub(super) fn failed(&mut self, question: Question, now: Instant, pause: Duration) {
        self.paused_until = now + pause;
        if question == Question::Running {
            self.full = None;
        }
    }

    /// A question took so many calls besides the one that it was planned with.
    pub(super) fn charge(&mut self, calls: u32) {
        self.budget.charge(calls);
    }

    /// What to do now. A question counts as asked.
    pub(super) fn next(&mut self, now: Instant, situation: &Situation) -> Step {
        let not_before = self.next_turn.max(self.paused_until);
        if now < not_before {
            return Step::Wait(not_before - now);
        }
        if let Err(wait) = self.budget.take(now) {
            return Step::Wait(wait);
        }
        Step::Ask(self.choose(now, situation))
    }

    fn choose(&mut self, now: Instant, situation: &Situation) -> Question {
        let is_due = |last: Option<Instant>, every: Duration| last.is_none_or(|last| now.duration_since(last) >= every);
        // Every other question at most while tasks that cannot be read are looked for: the others must not wait for them.
        self.was_whole = situation.wants_whole && !(situation.is_dividing && self.was_whole);
        if self.was_whole {
            return Question::Whole;
        }
        if situation.is_doubtful {
            self.next_turn = now + self.settings.busy.max(SECOND_LOOK);
            return Question::Known;
        }
        if situation.wants_queues && is_due(self.queues, LOOK_UP.min(self.settings.workers)) {
            self.queues = Some(now);
            return Question::Queues;
        }
        // Where the tasks are asked for by their ids in every round, the workers come in between, otherwise in their place. Nothing
        // usual may come in between where a session's client waits.
        let wants_workers = situation.wants_workers && is_due(self.workers, LOOK_UP.min(self.settings.workers));
        let is_usual = self.is_started
            && situation.has_by_property
            && !self.settings.is_prompt
            && is_due(self.workers, self.settings.workers);
        if wants_workers || is_usual {
            self.workers = Some(now);
            return Question::Workers;
        }
        let again = if situation.is_suspecting { AGAIN_SOON } else { AGAIN };
        if situation.wants_again && is_due(self.again, self.settings.busy * again) {
            self.again = Some(now);
            return Question::Again;
        }
        if !self.is_started && situation.is_reading {
            self.full_cost += 1;
            return Question::Running;
        }
        if !self.is_started && situation.is_reading_properties {
            return Question::ByProperty;
        }
        self.take_turn(now, situation)
    }

    /// The next of the questions that are asked in turn.
    fn take_turn(&mut self, now: Instant, situation: &Situation) -> Question {
        // Every other question belongs to the turns, whoever nudges.
        self.was_nudged = self.is_nudged && !self.was_nudged;
        if self.was_nudged {
            self.is_nudged = false;
            return Question::Changes;
        }
        let is_due = |last: Option<Instant>, every: Duration| last.is_none_or(|last| now.duration_since(last) >= every);
        let wants_anything = !situation.is_busy || !situation.has_live && is_due(self.anything, self.settings.full);
        // Tasks that ask by property are seen leaving by their ids only; the others by their changes.
        let pattern: &[Question] = match (situation.has_known, situation.has_by_property) {
            (false, _) => &[Question::Changes, Question::ByProperty],
            (true, true) => &[Question::Changes, Question::Known, Question::ByProperty],
            (true, false) if !situation.is_busy => &[Question::Changes, Question::Known, Question::ByProperty],
            // Who asks by tag asks most often, so the changes wait for one list at most.
            (true, false) => &[
                Question::Changes,
                Question::ByProperty,
                Question::Changes,
                Question::Changes,
                Question::ByProperty,
                Question::Changes,
                Question::Known,
            ],
        };
        let with_unlisted = |question: &Question| match question {
            Question::ByProperty if situation.has_unlisted => vec![Question::ByProperty, Question::Unlisted],
            question => vec![*question],
        };
        let mut turns: Vec<Question> = pattern.iter().flat_map(with_unlisted).collect();
        turns.retain(|question| situation.reads_properties || *question != Question::ByProperty);
        if situation.is_reading {
            turns.push(Question::Running);
        }
        if wants_anything {
            turns.push(Question::Anything);
        }
        if self.settings.is_prompt {
            turns.retain(|question| *question != Question::Changes);
            turns.dedup();
            turns = turns.into_iter().flat_map(|other| [Question::Changes, other]).collect();
        }
        let question = turns.get(self.turn).copied().unwrap_or(Question::Changes);
        self.turn = if self.turn + 1 < turns.len() { self.turn + 1 } else { 0 };
        if self.is_started {
            let is_end_of_round = self.turn == 0;
            self.next_turn = match (situation.is_busy, is_end_of_round) {
                (true, _) => now + self.settings.busy,
                (false, true) => now + self.settings.idle,
                (false, false) => now,
            };
        }
        // A large installation must not spend its whole budget on full reads: they take at most a quarter. A full read tells of
        // the changes too, so it takes their turn.
        let full_every = self
            .settings
            .full
            .max(self.settings.busy * self.full_cost.saturating_mul(4));
        match question {
            Question::Changes if !situation.is_reading && is_due(self.full, full_every) => {
                (self.full, self.full_cost) = (Some(now), 1);
                return Question::Running;
            }
            Question::Running => self.full_cost += 1,
            // Every other of these turns at most, however slowly the server answers.
            Question::Known if !situation.has_by_property || self.settings.is_prompt => {
                self.was_workers = !self.was_workers && is_due(self.workers, self.settings.workers);
                if self.was_workers {
                    self.workers = Some(now);
                    return Question::Workers;
                }
            }
            Question::Anything => self.anything = Some(now),
            _ => {}
        }
        question
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
