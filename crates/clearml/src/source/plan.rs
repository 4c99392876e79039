//! Which question comes next, and when. Pure: time and situation come in, a step goes out.
//!
//! While a task lives that could ask, there is one question each second, in turn: what changed among the tagged tasks, which tasks
//! ask by property, what became of the tasks that are known. Full reads and the workers' addresses take some of these turns; only
//! what a new task waits for goes in between. Otherwise there is a round of these questions every five seconds, with one more: does
//! any task run at all? Any task that runs could ask at any moment.

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
    /// Known tasks must be read whole.
    pub(super) wants_whole: bool,
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
    /// When a question was asked last, and what a full pass cost.
    full: Option<Instant>,
    full_cost: u32,
    workers: Option<Instant>,
    queues: Option<Instant>,
    anything: Option<Instant>,
    is_started: bool,
}

/// Names of queues and addresses of unknown workers are asked for at most so often.
const LOOK_UP: Duration = Duration::from_secs(3);

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
            full: None,
            full_cost: 0,
            workers: None,
            queues: None,
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
        if situation.wants_whole {
            return Question::Whole;
        }
        if situation.is_doubtful {
            self.next_turn = now + self.settings.busy;
            return Question::Known;
        }
        if situation.wants_queues && is_due(self.queues, LOOK_UP.min(self.settings.workers)) {
            self.queues = Some(now);
            return Question::Queues;
        }
        // Where the tasks are asked for by their ids in every round, the workers come in between, otherwise in their place.
        let wants_workers = situation.wants_workers && is_due(self.workers, LOOK_UP.min(self.settings.workers));
        let is_usual = self.is_started && situation.has_by_property && is_due(self.workers, self.settings.workers);
        if wants_workers || is_usual {
            self.workers = Some(now);
            return Question::Workers;
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
            (true, false) => &[
                Question::Changes,
                Question::ByProperty,
                Question::Changes,
                Question::ByProperty,
                Question::Known,
            ],
        };
        let mut turns = pattern.to_vec();
        turns.retain(|question| situation.reads_properties || *question != Question::ByProperty);
        if situation.is_reading {
            turns.push(Question::Running);
        }
        if wants_anything {
            turns.push(Question::Anything);
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
            Question::Known if !situation.has_by_property => {
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
mod tests {
    use super::*;

    /// An hour in a steady situation: when which question was asked.
    fn an_hour(situation: Situation, nudge_every: Option<Duration>) -> Vec<(Duration, Question)> {
        let start = Instant::now();
        let mut plan = Plan::new(SourceSettings::default(), start);
        plan.start();
        let (mut now, mut asked, mut nudged) = (start, Vec::new(), start);
        while now < start + Duration::from_hours(1) {
            if nudge_every.is_some_and(|every| now.duration_since(nudged) >= every) {
                nudged = now;
                plan.nudge(now);
            }
            match plan.next(now, &situation) {
                Step::Ask(question) => asked.push((now - start, question)),
                Step::Wait(wait) => now += wait.min(nudge_every.unwrap_or(wait)),
            }
        }
        asked
    }

    const BUSY: Situation = Situation {
        is_busy: true,
        has_live: true,
        has_by_property: false,
        reads_properties: true,
        has_known: true,
        is_doubtful: false,
        is_reading: false,
        is_reading_properties: false,
        wants_whole: false,
        wants_queues: false,
        wants_workers: false,
    };

    fn longest_gap(asked: &[(Duration, Question)], questions: &[Question]) -> Duration {
        let is_meant = |(_, asked): &&(Duration, Question)| questions.contains(asked);
        let times: Vec<Duration> = asked.iter().filter(is_meant).map(|(at, _)| *at).collect();
        let gaps = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
        gaps.max().expect("asked at least twice")
    }

    #[test]
    fn a_busy_hour_stays_within_one_request_a_second() {
        for nudges in [None, Some(Duration::from_millis(100))] {
            let asked = an_hour(BUSY, nudges);
            let burst = usize::try_from(SourceSettings::default().burst).unwrap();
            assert!(asked.len() <= 3600 + burst, "{} with {nudges:?}", asked.len());
            assert!(asked.len() >= 3000, "{} with {nudges:?}", asked.len());
        }
    }

    #[test]
    fn in_a_busy_hour_a_change_is_noticed_within_three_seconds() {
        let asked = an_hour(BUSY, None);
        for questions in [&[Question::Changes, Question::Running][..], &[Question::ByProperty]] {
            let gap = longest_gap(&asked, questions);
            assert!(gap <= Duration::from_millis(3100), "{questions:?}: {gap:?}");
        }
        assert!(longest_gap(&asked, &[Question::Known]) <= Duration::from_secs(11));
        assert!(longest_gap(&asked, &[Question::Workers]) <= Duration::from_secs(16));
        assert!(longest_gap(&asked, &[Question::Running]) <= Duration::from_secs(34));
    }

    #[test]
    fn with_tasks_that_ask_by_property_a_change_is_noticed_within_four_seconds() {
        let asked = an_hour(
            Situation {
                has_by_property: true,
                ..BUSY
            },
            None,
        );
        for questions in [
            &[Question::Changes, Question::Running][..],
            &[Question::Known],
            &[Question::ByProperty],
        ] {
            let gap = longest_gap(&asked, questions);
            assert!(gap <= Duration::from_millis(4100), "{questions:?}: {gap:?}");
        }
        assert!(longest_gap(&asked, &[Question::Workers]) <= Duration::from_secs(12));
    }

    #[test]
    fn a_quiet_hour_is_cheap_and_still_looks_every_five_seconds() {
        let asked = an_hour(Situation::default(), None);
        assert!(asked.len() < 2400, "{}", asked.len());
        assert!(longest_gap(&asked, &[Question::Changes, Question::Running]) <= Duration::from_secs(6));
        assert!(longest_gap(&asked, &[Question::Anything]) <= Duration::from_secs(6));
    }

    #[test]
    fn a_slow_server_is_still_asked_every_question() {
        let start = Instant::now();
        let mut plan = Plan::new(SourceSettings::default(), start);
        plan.start();
        let (mut now, mut asked) = (start, Vec::new());
        while asked.len() < 200 {
            match plan.next(now, &BUSY) {
                Step::Ask(question) => {
                    asked.push((now - start, question));
                    now += Duration::from_secs(8);
                }
                Step::Wait(wait) => now += wait,
            }
        }
        for question in [
            Question::Running,
            Question::ByProperty,
            Question::Known,
            Question::Workers,
        ] {
            assert!(
                longest_gap(&asked, &[question]) <= Duration::from_secs(100),
                "{question:?}"
            );
        }
    }

    #[test]
    fn a_full_read_that_failed_is_made_up_for_at_once() {
        let start = Instant::now();
        let mut plan = Plan::new(SourceSettings::default(), start);
        assert_eq!(plan.next(start, &BUSY), Step::Ask(Question::Running));
        plan.failed(Question::Running, start, Duration::ZERO);
        let mut asked = (0..5).map(|_| plan.next(start, &BUSY));
        assert!(asked.any(|step| step == Step::Ask(Question::Running)));
    }

    #[test]
    fn doubts_come_first() {
        let start = Instant::now();
        let mut plan = Plan::new(SourceSettings::default(), start);
        plan.start();
        let doubtful = Situation {
            is_doubtful: true,
            ..BUSY
        };
        assert_eq!(plan.next(start, &doubtful), Step::Ask(Question::Known));
    }

    #[test]
    fn constant_nudges_do_not_starve_the_other_questions() {
        let asked = an_hour(BUSY, Some(Duration::from_millis(1500)));
        assert!(longest_gap(&asked, &[Question::Known]) <= Duration::from_secs(30));
    }
}
