use std::time::Duration;

use super::*;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Says(bool);

impl Answer for Says {
    fn is_yes(&self) -> bool {
        self.0
    }
}

fn cache(entries: usize) -> Cache<u32, Says> {
    let freshness = Freshness {
        refresh: Duration::from_secs(30),
        limit: Duration::from_mins(1),
        negative: Duration::from_secs(5),
        stale: Duration::from_hours(1),
        retry: Duration::from_secs(5),
    };
    Cache::new(entries, freshness)
}

const NOON: Timestamp = Timestamp::from_secs(43_200);

#[test]
fn the_first_asks_and_the_others_wait_until_the_flight_is_over() {
    let cache = cache(64);
    let mut flight = None;
    assert!(matches!(
        cache.approach(&1, NOON, true, &mut flight),
        Approach::Ask { meanwhile: None, .. }
    ));
    let flight = flight.unwrap();
    let mut none = None;
    assert!(matches!(cache.approach(&1, NOON, true, &mut none), Approach::Wait(_)));
    assert!(none.is_none());
    cache.record(&1, NOON, Some(Says(true)));
    drop(flight);
    assert!(matches!(
        cache.approach(&1, NOON, true, &mut none),
        Approach::Known(Verdict::Answer(Says(true)))
    ));
}

#[test]
fn a_flight_that_was_given_up_is_started_anew() {
    let cache = cache(64);
    let mut flight = None;
    let _ = cache.approach(&1, NOON, true, &mut flight);
    drop(flight);
    let mut next = None;
    assert!(matches!(
        cache.approach(&1, NOON, true, &mut next),
        Approach::Ask { .. }
    ));
    assert!(next.is_some());
}

#[test]
fn room_is_made_at_the_cost_of_those_who_are_let_in_by_nobody() {
    let cache = cache(SHARDS * 50);
    for key in 0..40 {
        cache.record(&key, NOON, Some(Says(true)));
    }
    for key in 1000..9000 {
        cache.record(&key, NOON, Some(Says(false)));
    }
    assert!(cache.len() <= SHARDS * 50, "{}", cache.len());
    for key in 0..40 {
        assert_eq!(cache.settle(&key, NOON), Verdict::Answer(Says(true)), "{key}");
    }
}
