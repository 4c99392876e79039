//! What is remembered of one question to ClearML, and what it is worth as time goes by. Only an answer replaces an
//! answer: a failure to ask never does.

use std::time::Duration;

use portico_core::clock::Timestamp;

/// How long answers are worth something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Freshness {
    /// A yes is asked again, in passing, from this age.
    pub(super) refresh: Duration,
    /// A yes of this age is not believed without asking again.
    pub(super) limit: Duration,
    /// A no is not believed from this age.
    pub(super) negative: Duration,
    /// While ClearML cannot be asked, the last answer holds until this age.
    pub(super) stale: Duration,
    /// After a failure nobody asks for this long.
    pub(super) retry: Duration,
}

/// An answer that says yes or no.
pub(super) trait Answer: Clone {
    /// True if it lets somebody in.
    fn is_yes(&self) -> bool;
}

/// What one may go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict<A> {
    /// ClearML's answer.
    Answer(A),
    /// ClearML cannot be asked, and there is no answer that still holds.
    Unavailable,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look<A> {
    /// Go by this; `None`: wait for the answer.
    pub(super) verdict: Option<Verdict<A>>,
    /// Ask, unless somebody does already.
    pub(super) is_due: bool,
}

/// The last answer and the last failure since.
#[derive(Clone, Debug)]
pub(super) struct Held<A> {
    answer: Option<(A, Timestamp)>,
    failed: Option<Timestamp>,
}

impl<A> Default for Held<A> {
    fn default() -> Self {
        Self {
            answer: None,
            failed: None,
        }
    }
}

/// The age of something; a clock that went back makes it old, never young.
fn age(now: Timestamp, at: Timestamp) -> Duration {
    if at.since(now) > Duration::from_secs(5) {
        Duration::MAX
    } else {
        now.since(at)
    }
}

impl<A: Answer> Held<A> {
    /// Takes an answer, or the failure to get one.
    pub(super) fn record(&mut self, now: Timestamp, answer: Option<A>) {
        match answer {
            Some(answer) => {
                *self = Self {
                    answer: Some((answer, now)),
                    failed: None,
                }
            }
            None => self.failed = Some(now),
        }
    }

    /// True if there ever was an answer.
    pub(super) fn is_answered(&self) -> bool {
        self.answer.is_some()
    }

    /// True if there is a yes: worth more than anything else when room is needed.
    pub(super) fn is_yes(&self) -> bool {
        self.answer.as_ref().is_some_and(|(answer, _)| answer.is_yes())
    }

    /// When something was last learned.
    pub(super) fn last(&self) -> Timestamp {
        let answered = self.answer.as_ref().map(|(_, at)| *at);
        answered.max(self.failed).unwrap_or_default()
    }

    /// What to do with a request. `can_wait`: false for those who go on without an answer too.
    pub(super) fn look(&self, now: Timestamp, freshness: &Freshness, can_wait: bool) -> Look<A> {
        if let Some((answer, at)) = &self.answer {
            let age = age(now, *at);
            let fresh = if answer.is_yes() {
                freshness.limit
            } else {
                freshness.negative
            };
            if age < fresh {
                return Look {
                    verdict: Some(Verdict::Answer(answer.clone())),
                    is_due: answer.is_yes() && age >= freshness.refresh && !self.failed_within(now, freshness.retry),
                };
            }
        }
        let settled = self.settle(now, freshness);
        if self.failed_within(now, freshness.retry) {
            return Look {
                verdict: Some(settled),
                is_due: false,
            };
        }
        // In an outage not every request waits for another failure; long after the last one, the next request does.
        let is_patched = matches!(settled, Verdict::Answer(_)) || !can_wait;
        if is_patched && self.failed_within(now, freshness.limit) {
            return Look {
                verdict: Some(settled),
                is_due: true,
            };
        }
        Look {
            verdict: None,
            is_due: true,
        }
    }

    /// What one goes by after having asked, answered or not.
    pub(super) fn settle(&self, now: Timestamp, freshness: &Freshness) -> Verdict<A> {
        match &self.answer {
            Some((answer, at)) => {
                let fresh = if answer.is_yes() {
                    freshness.limit
                } else {
                    freshness.negative
                };
                if age(now, *at) < freshness.stale.max(fresh) {
                    Verdict::Answer(answer.clone())
                } else {
                    Verdict::Unavailable
                }
            }
            None => Verdict::Unavailable,
        }
    }

    fn failed_within(&self, now: Timestamp, time: Duration) -> bool {
        self.failed.is_some_and(|failed| age(now, failed) < time)
    }
}

#[cfg(test)]
mod tests;
