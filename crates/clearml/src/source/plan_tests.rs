//! Simulated hours: how often the server is asked what.

use super::*;

/// An hour in a steady situation: when which question was asked.
fn an_hour(situation: Situation, nudge_every: Option<Duration>) -> Vec<(Duration, Question)> {
    an_hour_with(SourceSettings::default(), situation, nudge_every)
}

fn an_hour_with(
    settings: SourceSettings,
    situation: Situation,
    nudge_every: Option<Duration>,
) -> Vec<(Duration, Question)> {
    let start = Instant::now();
    let mut plan = Plan::new(settings, start);
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
    has_unlisted: false,
    wants_whole: false,
    is_dividing: false,
    wants_again: false,
    is_suspecting: false,
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
fn tasks_that_no_list_shows_are_looked_at_every_few_seconds_and_the_changes_wait_little() {
    for settings in [SourceSettings::default(), SourceSettings::for_streams()] {
        for (has_by_property, reads_properties) in [(false, true), (true, true), (false, false)] {
            let situation = Situation {
                has_unlisted: true,
                has_by_property,
                reads_properties,
                ..BUSY
            };
            let asked = an_hour_with(settings.clone(), situation, None);
            let unlisted = longest_gap(&asked, &[Question::Unlisted]);
            assert!(unlisted <= Duration::from_secs(10), "{unlisted:?} in {situation:?}");
            let changes = longest_gap(&asked, &[Question::Changes, Question::Running]);
            assert!(changes <= Duration::from_secs(5), "{changes:?} in {situation:?}");
        }
    }
}

#[test]
fn tasks_that_cannot_be_read_take_every_other_question_at_most() {
    let situation = Situation {
        wants_whole: true,
        is_dividing: true,
        wants_again: true,
        ..BUSY
    };
    let asked = an_hour(situation, None);
    let count = |question| asked.iter().filter(|(_, asked)| *asked == question).count();
    assert!(count(Question::Whole) > 1000);
    assert!(count(Question::Whole) <= asked.len() / 2 + 1);
    assert!(
        (100..=450).contains(&count(Question::Again)),
        "{}",
        count(Question::Again)
    );
    assert!(longest_gap(&asked, &[Question::Changes, Question::Running]) <= Duration::from_secs(8));
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
fn where_streams_are_offered_a_tagged_task_is_noticed_within_a_second_for_two_requests_a_second() {
    let by_property = Situation {
        has_by_property: true,
        ..BUSY
    };
    let large = Situation {
        is_reading: true,
        ..by_property
    };
    for (situation, others) in [(BUSY, 2100), (by_property, 2100), (large, 3100)] {
        let asked = an_hour_with(SourceSettings::for_streams(), situation, None);
        assert!(asked.len() <= 7200 + 60, "{}", asked.len());
        let tagged = longest_gap(&asked, &[Question::Changes, Question::Running]);
        // The workers are asked for in between, one question at most.
        assert!(tagged <= Duration::from_millis(1100), "{tagged:?} in {situation:?}");
        let properties = longest_gap(&asked, &[Question::ByProperty]);
        assert!(
            properties <= Duration::from_millis(others),
            "{properties:?} in {situation:?}"
        );
    }
}

#[test]
fn in_a_busy_hour_a_tagged_task_is_noticed_within_two_seconds_and_any_within_four() {
    let asked = an_hour(BUSY, None);
    for (questions, limit) in [
        (&[Question::Changes, Question::Running][..], 2100),
        (&[Question::ByProperty], 4100),
    ] {
        let gap = longest_gap(&asked, questions);
        assert!(gap <= Duration::from_millis(limit), "{questions:?}: {gap:?}");
    }
    assert!(longest_gap(&asked, &[Question::Known]) <= Duration::from_secs(15));
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
            longest_gap(&asked, &[question]) <= Duration::from_mins(2),
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
