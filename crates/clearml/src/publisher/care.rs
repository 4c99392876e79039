//! What is remembered of one task while its addresses are looked after: when it was written, and who writes against us.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use portico_core::{clock::Timestamp, observe::ObservedTask};

use super::{
    PublisherSettings,
    wanted::{Difference, Place},
};

/// One task under care.
#[derive(Debug, Default)]
pub(super) struct Care {
    /// Since when something differs.
    differs_since: Option<Timestamp>,
    /// When it was written last, and what was observed then.
    written: Option<(Timestamp, Arc<ObservedTask>)>,
    /// Failures in a row, and not before when it is tried again.
    pub(super) failures: u32,
    pub(super) not_before: Option<Timestamp>,
    places: BTreeMap<Place, History>,
    /// Since when the task does what it did at the last look.
    status_since: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct History {
    state: State,
    /// When our value was replaced by another one.
    overwritten: VecDeque<Timestamp>,
    /// When our value vanished.
    vanished: VecDeque<Timestamp>,
    is_contested: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// We have not written it, or noticed that it is not ours any more.
    #[default]
    Open,
    /// We wrote it and have not seen it since.
    Written,
    /// We saw it standing there.
    Standing,
}

/// What is to be done for a task.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// All is well.
    Rest,
    /// Something differs; it is not yet time to write.
    Wait,
    /// Write these.
    Write(Vec<Difference>),
    /// What was written does not show in the observation: look whether it stands.
    Look(Vec<Difference>),
}

impl Care {
    /// Judges what was observed.
    pub(super) fn judge(
        &mut self,
        task: &Arc<ObservedTask>,
        places: Vec<Difference>,
        now: Timestamp,
        settings: &PublisherSettings,
    ) -> Turn {
        // Our write shows when something else is observed.
        let is_answered = self
            .written
            .as_ref()
            .is_none_or(|(_, before)| !Arc::ptr_eq(before, task));
        if is_answered {
            self.written = None;
        }
        // A task that starts anew writes its own address over ours: that is no contest.
        if self.status_since.replace(task.status_since) != Some(task.status_since) {
            self.places.retain(|place, _| !place.is_shared());
        }
        self.places
            .retain(|place, _| places.iter().any(|difference| difference.place == *place));
        let mut differences = Vec::new();
        for difference in places {
            let history = self.places.entry(difference.place.clone()).or_default();
            // Until our write shows, what was observed is older than it.
            if is_answered {
                history.see(&difference, now, settings);
            }
            if !difference.is_settled() && !history.is_contested {
                differences.push(difference);
            }
        }
        if differences.is_empty() {
            self.differs_since = None;
            return Turn::Rest;
        }
        let since = *self.differs_since.get_or_insert(now);
        let delay = differences
            .iter()
            .map(|difference| settings.delay(task, difference))
            .min()
            .unwrap_or_default();
        let is_early = now.since(since) < delay || self.not_before.is_some_and(|at| now < at);
        match self.written {
            Some((at, _)) if now.since(at) >= settings.recheck => return Turn::Look(differences),
            Some(_) => return Turn::Wait,
            None if is_early => return Turn::Wait,
            None => {}
        }
        Turn::Write(differences)
    }

    /// What stands in the task now, read apart from the observation: either our write, or what somebody wrote over it.
    pub(super) fn note_looked(
        &mut self,
        task: &Arc<ObservedTask>,
        seen: &[Difference],
        now: Timestamp,
        settings: &PublisherSettings,
    ) {
        let is_standing = seen.iter().all(Difference::is_settled);
        for difference in seen {
            self.places
                .entry(difference.place.clone())
                .or_default()
                .see(difference, now, settings);
        }
        self.written = is_standing.then(|| (now, task.clone()));
    }

    /// These were written.
    pub(super) fn note_written(&mut self, task: &Arc<ObservedTask>, written: &[Difference], now: Timestamp) {
        (self.failures, self.not_before) = (0, None);
        self.written = Some((now, task.clone()));
        for difference in written {
            self.places.entry(difference.place.clone()).or_default().state = State::Written;
        }
    }

    /// The places at which somebody writes against us.
    pub(super) fn contested(&self) -> impl Iterator<Item = &Place> {
        self.places
            .iter()
            .filter(|(_, history)| history.is_contested)
            .map(|(place, _)| place)
    }

    /// True if a place is left alone until what happened there is long enough ago.
    pub(super) fn is_exhausted(&self, settings: &PublisherSettings) -> bool {
        let mut histories = self.places.values();
        histories.any(|history| history.is_contested && history.is_exhausted(settings))
    }
}

impl History {
    fn see(&mut self, difference: &Difference, now: Timestamp, settings: &PublisherSettings) {
        for events in [&mut self.overwritten, &mut self.vanished] {
            while events.front().is_some_and(|first| now.since(*first) > settings.window) {
                events.pop_front();
            }
        }
        if difference.is_settled() {
            (self.state, self.is_contested) = (State::Standing, false);
            return;
        }
        // Whoever wrote against us took its value back. That is no peace if it happens again and again.
        if difference.found.is_none() && !self.is_exhausted(settings) {
            self.is_contested = false;
        }
        // Ours stood there, or was written and never seen: somebody wrote over it.
        if self.state == State::Open || difference.is_withdrawal {
            return;
        }
        self.state = State::Open;
        let (events, limit) = match difference.found {
            Some(_) if !difference.may_be_news => (&mut self.overwritten, settings.overwritten_limit),
            // The SDK writes the whole runtime back as it read it a moment ago: that is no contest, if it ends.
            _ => (&mut self.vanished, settings.vanished_limit),
        };
        events.push_back(now);
        self.is_contested |= events.len() >= limit;
    }

    /// True if so much happened within the window that a place where nothing stands is no invitation.
    fn is_exhausted(&self, settings: &PublisherSettings) -> bool {
        self.overwritten.len() + self.vanished.len() >= settings.vanished_limit
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portico_core::{
        observe::TaskStatus,
        principal::{CompanyId, UserId},
    };

    use super::*;

    const OURS: &str = "https://gateway.example.com/service/x/";
    const NOON: Timestamp = Timestamp::from_secs(1_000_000);

    /// A task under care, and a clock.
    struct Patient(Care, PublisherSettings, Timestamp);

    impl Patient {
        fn new() -> Self {
            let settings = PublisherSettings {
                first_write: Duration::ZERO,
                ..PublisherSettings::default()
            };
            Self(Care::default(), settings, NOON)
        }

        /// Observes anew what stands there, a second later; writes what is to be written. True if that was something.
        fn writes_over(&mut self, found: Option<&str>) -> bool {
            let Self(care, settings, now) = self;
            *now = now.plus(Duration::from_secs(1));
            let place = Difference {
                place: Place::Runtime("endpoint".into()),
                found: found.map(Arc::from),
                wanted: Some(OURS.into()),
                is_withdrawal: false,
                may_be_news: false,
            };
            let task = observed();
            match care.judge(&task, vec![place], *now, settings) {
                Turn::Write(differences) => {
                    care.note_written(&task, &differences, *now);
                    true
                }
                Turn::Rest => false,
                other => panic!("{other:?}"),
            }
        }

        fn is_contested(&self) -> bool {
            self.0.contested().next().is_some()
        }
    }

    fn observed() -> Arc<ObservedTask> {
        Arc::new(ObservedTask {
            id: portico_core::endpoint::TaskId::parse("801f81e9e52641fda8dfd6c749a72ccd").expect("an id"),
            name: "a task".into(),
            owner: UserId::new("alice"),
            company: CompanyId::new("company"),
            project: None,
            queue: None,
            status: TaskStatus::InProgress,
            status_since: NOON,
            started: None,
            addresses: Vec::new(),
            requests: Vec::new(),
            published: Vec::new(),
            standing: portico_core::observe::Standing::default(),
        })
    }

    #[test]
    fn a_value_that_vanishes_ten_times_is_not_written_until_the_window_has_passed() {
        let mut patient = Patient::new();
        assert!(patient.writes_over(None));
        for _ in 1..10 {
            assert!(!patient.writes_over(Some(OURS)));
            assert!(patient.writes_over(None));
        }
        assert!(!patient.writes_over(Some(OURS)));
        for _ in 0..100 {
            assert!(!patient.writes_over(None));
            assert!(patient.is_contested() && patient.0.is_exhausted(&patient.1));
        }
        patient.2 = patient.2.plus(Duration::from_mins(5));
        assert!(patient.writes_over(None));
        assert!(!patient.is_contested() && !patient.0.is_exhausted(&patient.1));
    }

    #[test]
    fn a_contest_by_overwriting_ends_when_the_others_value_is_taken_away() {
        let mut patient = Patient::new();
        assert!(patient.writes_over(None));
        for _ in 1..3 {
            assert!(patient.writes_over(Some("theirs")));
        }
        assert!(!patient.writes_over(Some("theirs")));
        assert!(patient.is_contested());
        assert!(patient.writes_over(None));
        assert!(!patient.is_contested());
    }

    #[test]
    fn whoever_overwrites_and_takes_away_in_turn_is_not_followed_for_ever() {
        let mut patient = Patient::new();
        let mut writes = 0;
        for _ in 0..100 {
            writes += usize::from(patient.writes_over(None));
            writes += usize::from(patient.writes_over(Some("theirs")));
        }
        assert!(writes <= 15, "{writes} writes");
        assert!(patient.is_contested());
    }
}
