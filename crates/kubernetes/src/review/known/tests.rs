//! Whom to ask about, how often, and what is known meanwhile.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn accounts(names: &[&str]) -> Accounts {
    names.iter().map(|name| Arc::from(*name)).collect()
}

fn many(range: std::ops::Range<usize>) -> Accounts {
    range.map(|number| Arc::from(format!("account-{number:03}"))).collect()
}

fn told(known: &Known) -> Option<Vec<String>> {
    let told = known.readers().accounts?;
    Some(told.iter().map(ToString::to_string).collect())
}

/// Asks about all that are due until then; whoever is in `readers` may read. Returns who was asked about, one after the other.
fn ask(known: &mut Known, until: Instant, readers: &[&str]) -> Vec<String> {
    let mut asked = Vec::new();
    while let Some((due, account)) = known.next().filter(|(due, _)| *due <= until) {
        known.answered(&account, readers.contains(&&*account), due);
        asked.push(account.to_string());
    }
    asked
}

#[test]
fn an_account_is_asked_about_when_it_appears_and_every_ten_minutes() {
    let start = Instant::now();
    let mut known = Known::new(start);
    assert_eq!(known.next(), None);
    known.see(&accounts(&["a", "b"]), start);
    assert_eq!(told(&known), None, "nobody was asked about");
    // One after the other.
    assert_eq!(ask(&mut known, start, &[]), ["a"]);
    assert_eq!(told(&known), None, "one may be who can");
    assert_eq!(ask(&mut known, start + BETWEEN, &[]), ["b"]);
    assert_eq!(told(&known).unwrap(), [""; 0]);
    assert_eq!(known.readers().asked, 2);

    let later = start + Duration::from_mins(5);
    known.see(&accounts(&["a", "b", "c"]), later);
    assert_eq!(ask(&mut known, later, &["c"]), ["c"]);
    assert_eq!(told(&known).unwrap(), ["c"]);
    assert_eq!(ask(&mut known, start + Duration::from_secs(599), &[]), [""; 0]);
    assert_eq!(ask(&mut known, start + Duration::from_secs(601), &["c"]), ["a", "b"]);
}

#[test]
fn a_reader_is_news_once() {
    let start = Instant::now();
    let mut known = Known::new(start);
    known.see(&accounts(&["a"]), start);
    assert!(!known.answered("a", false, start));
    assert!(known.answered("a", true, start));
    assert!(!known.answered("a", true, start));
    // Whatever is forgotten meanwhile.
    known.refused("a", start);
    assert!(!known.answered("a", true, start));
    assert!(known.answered("a", false, start));
}

#[test]
fn without_the_right_to_ask_nothing_is_known_and_that_is_said_once() {
    let start = Instant::now();
    let mut known = Known::new(start);
    known.see(&accounts(&["a", "b"]), start);
    ask(&mut known, start + BETWEEN, &["a"]);
    assert!(known.refused("a", start));
    assert_eq!((told(&known), known.readers().may_not_ask), (None, true));
    assert!(!known.refused("b", start));
    // Somebody may grant it.
    let (due, _) = known.next().unwrap();
    known.answered("a", false, due);
    assert!(!known.readers().may_not_ask);
    assert!(!known.refused("a", due), "it does not flap");
}

#[test]
fn a_failure_changes_nothing_and_makes_questions_rarer() {
    let start = Instant::now();
    let mut known = Known::new(start);
    known.see(&accounts(&["a", "b"]), start);
    ask(&mut known, start + BETWEEN, &["b"]);
    let mut now = start + EVERY;
    let mut pauses = Vec::new();
    let mut failing = Vec::new();
    for _ in 0..8 {
        let (due, account) = known.next().unwrap();
        pauses.push(due.saturating_duration_since(now).as_secs());
        failing.push(account.to_string());
        now = now.max(due);
        known.failed(&account, now);
    }
    assert_eq!(pauses, [0, 15, 30, 60, 120, 240, 480, 600]);
    assert!(
        failing[..2] == ["a", "b"],
        "no account keeps the others waiting: {failing:?}"
    );
    assert_eq!(told(&known).unwrap(), ["b"]);
    let (due, account) = known.next().unwrap();
    known.answered(&account, true, due);
    known.failed(&account, due);
    assert!(known.next().unwrap().0 <= due + PAUSES[0], "all is well again");
}

#[test]
fn there_is_a_bound_and_those_with_pods_come_first() {
    let start = Instant::now();
    let mut known = Known::new(start);
    known.see(&many(0..MOST + 3), start);
    assert_eq!(known.readers().not_asked, 3);
    assert_eq!(ask(&mut known, start + EVERY - BETWEEN, &[]).len(), MOST);
    // Those without pods make room, the longest gone first; the others stay.
    let later = start + Duration::from_hours(1);
    known.see(&many(0..MOST - 1), later);
    assert_eq!((known.readers().not_asked, known.readers().asked), (0, MOST));
    known.see(&many(100..102), later + BETWEEN);
    let found: Vec<String> = known.accounts.keys().map(ToString::to_string).collect();
    assert_eq!(found.len(), MOST);
    assert!(!found.contains(&format!("account-{:03}", MOST - 1)), "{found:?}");
    assert!(
        found.ends_with(&["account-100".to_owned(), "account-101".to_owned()]),
        "{found:?}"
    );
    // A day after its last pod an account is forgotten.
    known.see(&accounts(&[]), later + KEPT);
    assert_eq!(known.accounts.len(), 2);
    known.see(&accounts(&[]), later + BETWEEN + KEPT);
    assert_eq!(known.next(), None);
    assert_eq!(told(&known), None);
}
