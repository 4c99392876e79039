//! Tasks that are set aside because nothing that holds them can be read: what somebody writes into a task must not hide the others.
//!
//! Everybody who may run a task may write what he likes into it, and the server hands it on as it is: a number that JSON does not
//! know (`NaN`), or so much that no answer with it is read. Such tasks are found by asking for ever fewer at once. Pure.

use std::{collections::BTreeMap, time::Duration};

use portico_core::{clock::Timestamp, endpoint::TaskId};

use super::questions::PAGE;
use crate::client::CallError;

/// The most tasks that are set aside.
const TASKS_MAX: usize = 10_000;
/// The most that are tried again at once.
const PART_MAX: usize = 32;
/// The most that are set aside at once: those in bad company wait until they are read again.
const TOGETHER_MAX: usize = 4;
/// One more is set aside at once for each so many that were: many of them must not take long.
const PATIENCE: usize = 16;
/// A task that could not be read is tried again after so long even if it did not change, and one that no list shows any more is
/// forgotten.
const RETRY: Duration = Duration::from_mins(10);
/// What a task may take of an answer once one could not be read: one of so many parts of the longest one.
const SHARES: usize = 64;
/// But so many bytes at least.
const SHARE_MIN: usize = 16 << 10;

/// The tasks that are set aside, and how many are read at once.
#[derive(Debug)]
pub(super) struct Aside {
    /// So many tasks are read whole at once.
    part: usize,
    /// So many of those set aside are tried again at once.
    again: usize,
    tasks: BTreeMap<TaskId, Unread>,
    /// While tasks are read in small parts: when those that were read had last changed.
    read: BTreeMap<TaskId, Timestamp>,
}

/// One task that is set aside.
#[derive(Debug)]
struct Unread {
    /// When it was last changed, by the server's clock, if it was tried alone since. The others were in bad company, perhaps.
    changed: Option<Timestamp>,
    /// When it could not be read though it was alone.
    failed: Option<Timestamp>,
    tried: Timestamp,
    seen: Timestamp,
}

impl Default for Aside {
    fn default() -> Self {
        Self {
            part: PAGE,
            again: PART_MAX,
            tasks: BTreeMap::new(),
            read: BTreeMap::new(),
        }
    }
}

impl Aside {
    /// True if lists can be read as they are.
    pub(super) fn is_quiet(&self) -> bool {
        !self.is_dividing() && self.tasks.is_empty()
    }

    /// True while tasks are read in small parts.
    pub(super) fn is_dividing(&self) -> bool {
        self.part < PAGE
    }

    /// How many tasks are read whole at once.
    pub(super) fn part(&self) -> usize {
        self.part
    }

    /// How long an answer about so many tasks may be, in bytes. Once none of the tasks has more than its share, all are read in a few
    /// answers.
    pub(super) fn limit(&self, tasks: usize, longest: usize) -> usize {
        if self.is_quiet() {
            return longest;
        }
        let share = (longest / SHARES).max(SHARE_MIN);
        share.saturating_mul(tasks).min(longest)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = TaskId> {
        self.tasks.keys().copied()
    }

    /// A list cannot be read.
    pub(super) fn divide(&mut self, error: &CallError) {
        // Each time-out takes long.
        let most = if error.is_unreadable() { PAGE / 2 } else { PART_MAX };
        self.part = self.part.min(most);
    }

    /// These, changed then, were read at once.
    pub(super) fn note_read(&mut self, tasks: impl Iterator<Item = (TaskId, Timestamp)>) {
        self.part = self.part.saturating_mul(2).min(PAGE);
        if self.is_dividing() {
            self.read.extend(tasks);
        } else {
            self.read.clear();
        }
    }

    /// All were read or set aside.
    pub(super) fn finish(&mut self) {
        self.part = PAGE;
        self.read.clear();
    }

    /// So few that could not be read together are set aside.
    pub(super) fn is_smallest(&self, tasks: usize) -> bool {
        tasks <= (1 + self.tasks.len() / PATIENCE).min(TOGETHER_MAX)
    }

    /// So many could not be read together: fewer are asked for next.
    pub(super) fn note_unread(&mut self, tasks: usize) {
        self.part = (tasks / 2).max(1);
    }

    /// Sets these aside.
    pub(super) fn set_aside(&mut self, ids: impl Iterator<Item = TaskId>, now: Timestamp) {
        for id in ids {
            if self.tasks.len() < TASKS_MAX {
                self.tasks.entry(id).or_insert(Unread {
                    changed: None,
                    failed: None,
                    tried: now,
                    seen: now,
                });
            }
        }
        // All that is smaller would be set aside too.
        while self.is_smallest(self.part * 2) {
            self.part *= 2;
        }
    }

    /// A list shows this task. True if it need not be read now: it was, or it is set aside. One of these that changed is tried again
    /// soon.
    pub(super) fn sees(&mut self, id: TaskId, changed: Timestamp, now: Timestamp) -> bool {
        let Some(task) = self.tasks.get_mut(&id) else {
            return self.read.get(&id) == Some(&changed);
        };
        task.seen = now;
        task.changed = task.changed.filter(|before| *before == changed);
        true
    }

    /// True if some may be tried again.
    pub(super) fn wants_again(&self, now: Timestamp) -> bool {
        self.tasks.values().any(|task| task.is_due(now))
    }

    /// True if some were in bad company, perhaps: whoever owns them did nothing wrong.
    pub(super) fn is_suspecting(&self) -> bool {
        self.tasks
            .values()
            .any(|task| task.changed.is_none() && task.failed.is_none())
    }

    /// Those whose turn it is to be tried again: one that was read alone before is alone again, the others are together.
    pub(super) fn due(&self, now: Timestamp) -> Vec<TaskId> {
        let due = self.tasks.iter().filter(|(_, task)| task.is_due(now));
        let mut due: Vec<_> = due
            .map(|(id, task)| (task.changed.is_some(), task.tried, *id, task.failed.is_none()))
            .collect();
        due.sort_unstable();
        if let Some((.., id, false)) = due.first() {
            return vec![*id];
        }
        let together = due.iter().filter(|(.., is_new)| *is_new);
        together.take(self.again).map(|(_, _, id, _)| *id).collect()
    }

    /// These are no more.
    pub(super) fn forget(&mut self, ids: impl Iterator<Item = TaskId>) {
        for id in ids {
            self.tasks.remove(&id);
        }
    }

    /// These, changed then, could be read again. One that failed lately is read alone for a while: whoever writes into it what cannot be
    /// read now and then hinders nobody else.
    pub(super) fn take_back(&mut self, tasks: &[(TaskId, Timestamp)], now: Timestamp) {
        for (id, changed) in tasks {
            let Some(task) = self.tasks.get_mut(id) else { continue };
            (task.changed, task.tried) = (Some(*changed), now);
            if task.failed.is_none_or(|failed| now.since(failed) >= RETRY) {
                self.tasks.remove(id);
            }
        }
        self.again = self.again.saturating_mul(2).min(PART_MAX);
    }

    /// These, changed then, could not be read again. True for a single one of which that was not known.
    pub(super) fn is_news(&mut self, tasks: &[(TaskId, Timestamp)], now: Timestamp) -> bool {
        let [(id, changed)] = tasks else {
            self.again = (tasks.len() / 2).max(1);
            return false;
        };
        let Some(task) = self.tasks.get_mut(id) else {
            return false;
        };
        (task.changed, task.tried, task.seen) = (Some(*changed), now, now);
        task.failed.replace(now).is_none()
    }

    /// Forgets tasks that no list shows any more.
    pub(super) fn forget_unseen(&mut self, now: Timestamp) {
        self.tasks.retain(|_, task| now.since(task.seen) < RETRY);
    }
}

impl Unread {
    fn is_due(&self, now: Timestamp) -> bool {
        self.changed.is_none() || now.since(self.tried) >= RETRY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_000_000);

    fn id(at: u32) -> TaskId {
        TaskId::parse(&format!("{at:032x}")).unwrap()
    }

    fn ids(range: std::ops::Range<u32>) -> Vec<TaskId> {
        range.map(id).collect()
    }

    fn too_large() -> CallError {
        CallError::TooLarge {
            url: String::new(),
            limit: 1,
        }
    }

    /// Reads all tasks in parts as the source does. How many questions it took.
    fn read_all(aside: &mut Aside, mut left: Vec<TaskId>, is_bad: impl Fn(&TaskId) -> bool) -> u32 {
        aside.divide(&too_large());
        let mut questions = 0;
        while !left.is_empty() {
            questions += 1;
            let part: Vec<TaskId> = left.iter().take(aside.part()).copied().collect();
            if !part.iter().any(&is_bad) {
                aside.note_read(part.iter().map(|id| (*id, NOON)));
            } else if aside.is_smallest(part.len()) {
                aside.set_aside(part.iter().copied(), NOON);
            } else {
                aside.note_unread(part.len());
                continue;
            }
            left.retain(|id| !part.contains(id));
        }
        questions
    }

    /// Tries those set aside again until none is due. How many questions it took.
    fn try_again(aside: &mut Aside, is_bad: impl Fn(&TaskId) -> bool) -> u32 {
        let mut questions = 0;
        while aside.wants_again(NOON) {
            questions += 1;
            let due = aside.due(NOON);
            if due.iter().any(&is_bad) {
                let tasks: Vec<_> = due.iter().map(|id| (*id, NOON)).collect();
                aside.is_news(&tasks, NOON);
            } else {
                let tasks: Vec<_> = due.iter().map(|id| (*id, NOON)).collect();
                aside.take_back(&tasks, NOON);
            }
        }
        questions
    }

    #[test]
    fn a_single_bad_task_is_found_in_a_few_questions() {
        for bad in [0, 1, 250, 499] {
            let mut aside = Aside::default();
            let questions = read_all(&mut aside, ids(0..500), |task| *task == id(bad));
            assert!(questions <= 20, "{questions} for {bad}");
            assert_eq!(aside.ids().collect::<Vec<_>>(), [id(bad)]);
            assert_eq!(try_again(&mut aside, |task| *task == id(bad)), 1);
            assert!(!aside.wants_again(NOON));
        }
    }

    #[test]
    fn a_page_of_bad_tasks_takes_few_questions_and_the_good_ones_among_them_come_back() {
        let mut aside = Aside::default();
        let questions = read_all(&mut aside, ids(0..500), |_| true);
        assert!(questions <= 200, "{questions}");
        let is_bad = |task: &TaskId| *task < id(490);
        try_again(&mut aside, is_bad);
        assert_eq!(aside.ids().collect::<Vec<_>>(), ids(0..490));
    }

    #[test]
    fn a_task_is_tried_again_when_it_changed_or_after_long() {
        let mut aside = Aside::default();
        aside.set_aside(ids(0..1).into_iter(), NOON);
        assert!(aside.is_news(&[(id(0), NOON)], NOON));
        assert!(aside.sees(id(0), NOON, NOON) && !aside.wants_again(NOON));
        assert!(aside.wants_again(NOON.plus(RETRY)));
        let later = NOON.plus(Duration::from_secs(1));
        assert!(aside.sees(id(0), later, later) && aside.wants_again(later));
        assert!(!aside.is_news(&[(id(0), later)], later), "it is told once");
    }

    #[test]
    fn a_task_that_can_be_read_now_and_then_stays_alone_for_a_while() {
        let mut aside = Aside::default();
        aside.set_aside(ids(0..1).into_iter(), NOON);
        aside.is_news(&[(id(0), NOON)], NOON);
        let later = |secs| NOON.plus(Duration::from_secs(secs));
        aside.sees(id(0), later(1), later(1));
        aside.take_back(&[(id(0), later(1))], later(1));
        assert!(
            aside.sees(id(0), later(1), later(2)) && !aside.wants_again(later(2)),
            "it was read"
        );
        assert!(aside.sees(id(0), later(3), later(3)), "it is not read with others");
        assert_eq!(aside.due(later(3)), [id(0)]);
        assert!(!aside.is_news(&[(id(0), later(3))], later(3)), "it is told once");
        let end = later(3).plus(RETRY);
        assert_eq!(aside.due(end), [id(0)]);
        aside.take_back(&[(id(0), later(3))], end);
        assert!(aside.is_quiet());
    }

    #[test]
    fn a_task_that_always_changes_keeps_none_from_its_turn() {
        let mut aside = Aside::default();
        aside.set_aside(ids(0..2).into_iter(), NOON);
        for task in 0..2 {
            aside.is_news(&[(id(task), NOON)], NOON);
        }
        let later = |secs| NOON.plus(Duration::from_secs(secs));
        for secs in 1..10 {
            aside.sees(id(0), later(secs), later(secs));
            if secs == 5 {
                aside.sees(id(1), later(secs), later(secs));
            }
            let due = aside.due(later(secs));
            assert_eq!(due, [id(u32::from(secs == 5))]);
            aside.is_news(&[(due[0], later(secs))], later(secs));
        }
    }

    #[test]
    fn no_more_are_set_aside_than_fit_and_what_nobody_sees_is_forgotten() {
        let mut aside = Aside::default();
        aside.set_aside(ids(0..20_000).into_iter(), NOON);
        assert_eq!(aside.ids().count(), TASKS_MAX);
        aside.forget_unseen(NOON.plus(RETRY));
        assert!(aside.ids().next().is_none());
    }
}
