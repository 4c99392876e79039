use super::*;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Says(bool);

impl Answer for Says {
    fn is_yes(&self) -> bool {
        self.0
    }
}

const FRESHNESS: Freshness = Freshness {
    refresh: Duration::from_secs(30),
    limit: Duration::from_mins(1),
    negative: Duration::from_secs(5),
    stale: Duration::from_hours(1),
    retry: Duration::from_secs(5),
};

const NOON: Timestamp = Timestamp::from_secs(43_200);

fn at(seconds: u64) -> Timestamp {
    NOON.plus(Duration::from_secs(seconds))
}

/// `answers`: when, and what (`None`: it failed).
fn held(answers: &[(u64, Option<bool>)]) -> Held<Says> {
    let mut held = Held::default();
    for (seconds, answer) in answers {
        held.record(at(*seconds), answer.map(Says));
    }
    held
}

#[test]
fn what_is_remembered_is_worth_less_as_time_goes_by() {
    let yes = Some(Verdict::Answer(Says(true)));
    let no = Some(Verdict::Answer(Says(false)));
    let away = Some(Verdict::Unavailable);
    let nothing: &[(u64, Option<bool>)] = &[];
    let yes_then_failed = &[(0, Some(true)), (61, None)];
    let strictly = Freshness {
        stale: Duration::ZERO,
        ..FRESHNESS
    };
    for (answers, now, can_wait, verdict, is_due) in [
        (nothing, 0, true, &None, true),
        (nothing, 0, false, &None, true),
        // A yes.
        (&[(0, Some(true))], 29, true, &yes, false),
        (&[(0, Some(true))], 30, true, &yes, true),
        (&[(0, Some(true))], 59, true, &yes, true),
        (&[(0, Some(true))], 60, true, &None, true),
        // It was asked again in vain.
        (&[(0, Some(true)), (31, None)], 33, true, &yes, false),
        (&[(0, Some(true)), (31, None)], 36, true, &yes, true),
        (yes_then_failed, 62, true, &yes, false),
        (yes_then_failed, 66, true, &yes, true),
        (yes_then_failed, 121, true, &None, true),
        (&[(0, Some(true)), (3599, None)], 3599, true, &yes, false),
        (&[(0, Some(true)), (3599, None)], 3600, true, &away, false),
        (&[(0, Some(true)), (3599, None)], 3605, true, &None, true),
        (&[(0, Some(true)), (3599, None)], 3605, false, &away, true),
        // A no.
        (&[(0, Some(false))], 4, true, &no, false),
        (&[(0, Some(false))], 5, true, &None, true),
        (&[(0, Some(false)), (5, None)], 6, true, &no, false),
        // Never answered.
        (&[(0, None)], 4, true, &away, false),
        (&[(0, None)], 5, true, &None, true),
        (&[(0, None)], 5, false, &away, true),
        (&[(0, None)], 60, false, &None, true),
        // An answer makes failures before it forgotten.
        (&[(0, None), (1, Some(true))], 2, true, &yes, false),
    ] {
        let look = held(answers).look(at(now), &FRESHNESS, can_wait);
        let expected = Look {
            verdict: verdict.clone(),
            is_due,
        };
        assert_eq!(look, expected, "{answers:?} after {now} s, can wait: {can_wait}");
    }
    assert_eq!(held(yes_then_failed).look(at(62), &strictly, true).verdict, away);
}

#[test]
fn a_clock_that_went_back_makes_nothing_last_longer() {
    let held = held(&[(3600, Some(true))]);
    assert_eq!(held.look(at(0), &FRESHNESS, true).verdict, None);
    assert_eq!(held.settle(at(0), &FRESHNESS), Verdict::Unavailable);
    assert!(
        held.look(at(3598), &FRESHNESS, true).verdict.is_some(),
        "a small step changes nothing"
    );
}
