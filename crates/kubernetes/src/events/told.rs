//! Which events are written, and when to look after them again.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

/// Kubernetes forgets events after an hour, unless it is set up otherwise.
const KEPT: Duration = Duration::from_mins(50);
/// After an event that stood there already, nobody knows since when, or that was refused.
const SOON: Duration = Duration::from_mins(5);

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Written,
    /// By an earlier run, or Kubernetes has not forgotten it yet.
    StandsThere,
    Refused,
}

/// By name: when an event is to be written again.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<String, Instant>);

impl Told {
    /// Forgets all but these.
    pub(super) fn retain<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        let names: HashSet<&str> = names.collect();
        self.0.retain(|name, _| names.contains(name.as_str()));
    }

    /// True if the event is to be written now.
    pub(super) fn is_due(&self, name: &str, now: Instant) -> bool {
        self.0.get(name).is_none_or(|due| *due <= now)
    }

    pub(super) fn note(&mut self, name: &str, outcome: Outcome, now: Instant) {
        let pause = match outcome {
            Outcome::Written => KEPT,
            Outcome::StandsThere | Outcome::Refused => SOON,
        };
        self.0.insert(name.to_owned(), now + pause);
    }

    /// When the next event is to be written, if nothing else happens.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_again_before_nobody_knows_of_it_any_more() {
        let (mut told, start) = (Told::default(), Instant::now());
        let after = |minutes: u64| start + Duration::from_mins(minutes);
        assert!(told.is_due("a", start));
        told.note("a", Outcome::Written, start);
        assert!(!told.is_due("a", after(49)));
        assert_eq!(told.next(), Some(after(50)));
        assert!(told.is_due("a", after(50)));
        // It is there still; it will be missed for 5 minutes at most.
        told.note("a", Outcome::StandsThere, after(50));
        assert!(!told.is_due("a", after(54)));
        assert!(told.is_due("a", after(55)));
    }

    #[test]
    fn what_is_over_is_told_anew_when_it_comes_back() {
        let (mut told, start) = (Told::default(), Instant::now());
        told.note("a", Outcome::Written, start);
        told.note("b", Outcome::Refused, start);
        told.retain(["a"].into_iter());
        assert!(told.is_due("b", start) && !told.is_due("a", start));
        told.retain([].into_iter());
        assert_eq!(told.next(), None);
    }
}
