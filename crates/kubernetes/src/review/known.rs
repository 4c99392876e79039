//! What the API server said of each account, and about which one to ask next.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::StateReaders;
use crate::pods::Accounts;

/// The most accounts that are asked about.
const MOST: usize = 32;
/// After an answer. Rights change seldom.
const EVERY: Duration = Duration::from_mins(10);
/// Between two questions: many new accounts make no crowd of them.
const BETWEEN: Duration = Duration::from_secs(1);
/// Pauses after failures: doubled each time, up to the last. Nobody waits for an answer.
const PAUSES: [Duration; 2] = [Duration::from_secs(15), EVERY];
/// So long after its last pod an account is still asked about: the next task may run soon.
const KEPT: Duration = Duration::from_hours(24);

/// What is known of the accounts that pods have, or had lately.
#[derive(Debug)]
pub(super) struct Known {
    accounts: BTreeMap<Arc<str>, Finding>,
    not_asked: usize,
    may_not_ask: bool,
    has_told_so: bool,
    not_before: Instant,
    pause: Duration,
}

#[derive(Debug)]
struct Finding {
    lived: Instant,
    due: Instant,
    may_read: Option<bool>,
    /// What the log said last.
    is_told: bool,
}

impl Known {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            accounts: BTreeMap::new(),
            not_asked: 0,
            may_not_ask: false,
            has_told_so: false,
            not_before: now,
            pause: PAUSES[0],
        }
    }

    /// These accounts have living pods.
    pub(super) fn see(&mut self, living: &Accounts, now: Instant) {
        for (account, finding) in &mut self.accounts {
            if living.contains(account) {
                finding.lived = now;
            }
        }
        self.accounts
            .retain(|_, finding| now.saturating_duration_since(finding.lived) < KEPT);
        self.not_asked = 0;
        for account in living {
            if self.accounts.contains_key(account) {
                continue;
            }
            if self.accounts.len() >= MOST && !self.make_room(living) {
                self.not_asked += 1;
                continue;
            }
            let finding = Finding {
                lived: now,
                due: now,
                may_read: None,
                is_told: false,
            };
            self.accounts.insert(account.clone(), finding);
        }
    }

    /// Forgets the account whose last pod is gone for longest. False if all have pods.
    fn make_room(&mut self, living: &Accounts) -> bool {
        let gone = self.accounts.iter().filter(|(account, _)| !living.contains(*account));
        let longest = gone
            .min_by_key(|(_, finding)| finding.lived)
            .map(|(account, _)| account.clone());
        longest.is_some_and(|account| self.accounts.remove(&account).is_some())
    }

    /// About which account to ask next, and when.
    pub(super) fn next(&self) -> Option<(Instant, Arc<str>)> {
        let (account, finding) = self.accounts.iter().min_by_key(|(_, finding)| finding.due)?;
        Some((finding.due.max(self.not_before), account.clone()))
    }

    /// True if that is news: an account may read the keys, or may no longer.
    pub(super) fn answered(&mut self, account: &str, may_read: bool, now: Instant) -> bool {
        self.pause = PAUSES[0];
        self.not_before = now + BETWEEN;
        self.may_not_ask = false;
        let Some(finding) = self.accounts.get_mut(account) else {
            return false;
        };
        finding.may_read = Some(may_read);
        finding.due = now + EVERY;
        std::mem::replace(&mut finding.is_told, may_read) != may_read
    }

    /// We may not ask, so that nothing is known any more. True if that was never said.
    pub(super) fn refused(&mut self, account: &str, now: Instant) -> bool {
        self.failed(account, now);
        for finding in self.accounts.values_mut() {
            finding.may_read = None;
        }
        self.may_not_ask = true;
        !std::mem::replace(&mut self.has_told_so, true)
    }

    /// There was no answer. What was answered before is what is known.
    pub(super) fn failed(&mut self, account: &str, now: Instant) {
        self.not_before = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSES[1]);
        // The others first: it may be about this one.
        if let Some(finding) = self.accounts.get_mut(account) {
            finding.due = self.not_before;
        }
    }

    pub(super) fn readers(&self) -> StateReaders {
        let may = |answer| {
            self.accounts
                .iter()
                .filter(move |(_, finding)| finding.may_read == Some(answer))
        };
        let readers: Vec<Arc<str>> = may(true).map(|(account, _)| account.clone()).collect();
        let asked = readers.len() + may(false).count();
        let is_known = !readers.is_empty() || (asked > 0 && asked == self.accounts.len());
        StateReaders {
            accounts: is_known.then_some(readers),
            asked,
            not_asked: self.not_asked,
            may_not_ask: self.may_not_ask,
        }
    }
}

#[cfg(test)]
mod tests;
