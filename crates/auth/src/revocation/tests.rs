#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use proptest::prelude::*;

use super::*;

const NOON: Timestamp = Timestamp::from_secs(43_200);

fn opened(seconds: u64, name: &str) -> SessionId {
    SessionId::new(format!(
        "{:x}-{name}",
        NOON.plus(Duration::from_secs(seconds)).as_millis()
    ))
}

#[test]
fn a_session_is_revoked_by_itself_or_with_its_user() {
    let (alice, bob) = (UserId::new("alice"), UserId::new("bob"));
    let mut revocations = Revocations::default();
    revocations.add_session(opened(0, "a"), &alice, NOON);
    revocations.add_user(&bob, NOON.plus(Duration::from_secs(10)));
    assert!(revocations.is_revoked(&opened(0, "a"), &alice));
    assert!(!revocations.is_revoked(&opened(0, "b"), &alice));
    assert!(revocations.is_revoked(&opened(9, "b"), &bob));
    assert!(revocations.is_revoked(&opened(10, "b"), &bob));
    assert!(!revocations.is_revoked(&opened(11, "b"), &bob));
    assert!(revocations.is_revoked(&SessionId::new("of no time"), &bob));
}

#[test]
fn revocations_are_forgotten_when_no_session_can_live_any_more() {
    let mut revocations = Revocations::default();
    revocations.add_session(opened(0, "a"), &UserId::new("alice"), NOON);
    revocations.add_user(&UserId::new("bob"), NOON);
    let almost = Duration::from_secs(7 * 24 * 3600 - 1);
    let week = Duration::from_hours(7 * 24);
    assert_eq!(revocations.clone().pruned(NOON.plus(almost)).len(), 2);
    assert!(revocations.pruned(NOON.plus(week)).is_empty());
}

#[test]
fn who_logs_in_and_out_all_day_fills_no_store_and_gets_no_session_back() {
    const MANY: u64 = 100_000;
    let (alice, bob) = (UserId::new("alice"), UserId::new("bob"));
    let mut revocations = Revocations::default();
    revocations.add_session(opened(7, "bobs"), &bob, NOON);
    // In an order of its own: replicas learn of sessions late.
    for number in (0..MANY).map(|number| number * 7919 % MANY) {
        revocations.add_session(opened(number, "alices"), &alice, NOON);
        assert!(revocations.len() <= 203, "{}", revocations.len());
    }
    let document = serde_json::to_vec(&revocations).unwrap();
    assert!(document.len() < 32 << 10, "{}", document.len());
    let stored: Revocations = serde_json::from_slice(&document).unwrap();
    for number in 0..MANY {
        assert!(stored.is_revoked(&opened(number, "alices"), &alice), "{number}");
    }
    assert!(!stored.is_revoked(&opened(MANY, "alices"), &alice), "opened later");
    assert!(!stored.is_revoked(&opened(MANY - 1, "open"), &alice), "not closed");
    assert!(!stored.is_revoked(&opened(8, "bobs"), &bob), "another user's");
    assert!(stored.is_revoked(&opened(7, "bobs"), &bob));
}

#[test]
fn two_hundred_sessions_are_known_one_by_one() {
    let alice = UserId::new("alice");
    let mut revocations = Revocations::default();
    for number in 1..=200 {
        revocations.add_session(opened(number, "closed"), &alice, NOON);
    }
    assert!(!revocations.is_revoked(&opened(0, "open"), &alice));
    revocations.add_session(opened(201, "closed"), &alice, NOON);
    assert!(
        revocations.is_revoked(&opened(0, "open"), &alice),
        "the oldest takes it along"
    );
    assert!(!revocations.is_revoked(&opened(2, "open"), &alice));
}

#[test]
fn what_an_earlier_version_wrote_is_read_and_what_it_reads_is_there() {
    let (alice, session) = (UserId::new("alice"), opened(0, "a"));
    let document = format!(r#"{{"sessions":{{"{session}":43200000}},"users":{{"bob":43200000}}}}"#);
    let before: Revocations = serde_json::from_slice(document.as_bytes()).unwrap();
    assert!(before.is_revoked(&session, &alice));
    assert!(before.is_revoked(&opened(0, "b"), &UserId::new("bob")));
    let mut after = before;
    after.add_session(opened(1, "b"), &alice, NOON);
    let written = serde_json::to_value(&after).unwrap();
    // The earlier version knows sessions and users only.
    for session in [&session, &opened(1, "b")] {
        assert!(written["sessions"].get(session.as_str()).is_some(), "{written}");
    }
}

fn arbitrary() -> impl Strategy<Value = Revocations> {
    let entry = (any::<bool>(), 0..4_u64, 0..100_u64);
    prop::collection::vec(entry, 0..8).prop_map(|entries| {
        let mut revocations = Revocations::default();
        for (is_user, name, seconds) in entries {
            let at = NOON.plus(Duration::from_secs(seconds));
            if is_user {
                revocations.add_user(&UserId::new(format!("u{name}")), at);
            } else {
                revocations.add_session(opened(name, "s"), &UserId::new(format!("u{}", name % 2)), at);
            }
        }
        revocations
    })
}

/// So many sessions of one user, some opened at once, that most sets of them are folded, or are when they come together.
fn busy() -> impl Strategy<Value = Revocations> {
    let sessions = prop::collection::vec((0..300_u64, 0..4_u8), 0..300);
    (sessions, prop::option::of(0..300_u64)).prop_map(|(sessions, until)| {
        let user = UserId::new("u");
        let mut revocations = Revocations::default();
        for (seconds, name) in sessions {
            revocations.add_session(opened(seconds, &name.to_string()), &user, NOON);
        }
        if let Some(until) = until {
            revocations.add_user(&user, NOON.plus(Duration::from_secs(until)));
        }
        revocations
    })
}

proptest! {
    #[test]
    fn replicas_agree_on_what_is_folded(a in busy(), b in busy(), c in busy()) {
        let one = a.clone().merged(&b).merged(&c);
        prop_assert_eq!(&one, &c.clone().merged(&b).merged(&a));
        prop_assert_eq!(&one, &a.merged(&b.merged(&c)));
        prop_assert_eq!(&one, &one.clone().merged(&c));
        prop_assert!(one.len() <= 201);
    }

    #[test]
    fn replicas_agree_whatever_the_order(a in arbitrary(), b in arbitrary(), c in arbitrary()) {
        let one = a.clone().merged(&b).merged(&c);
        prop_assert_eq!(&one, &c.clone().merged(&b).merged(&a));
        prop_assert_eq!(&one, &one.clone().merged(&a));
        let stored: Revocations = serde_json::from_slice(&serde_json::to_vec(&one).unwrap()).unwrap();
        prop_assert_eq!(one, stored);
    }
}
