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
    revocations.add_session(opened(0, "a"), NOON);
    revocations.add_user(bob.clone(), NOON.plus(Duration::from_secs(10)));
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
    revocations.add_session(opened(0, "a"), NOON);
    revocations.add_user(UserId::new("bob"), NOON);
    let almost = Duration::from_secs(7 * 24 * 3600 - 1);
    let week = Duration::from_hours(7 * 24);
    assert_eq!(revocations.clone().pruned(NOON.plus(almost)).len(), 2);
    assert!(revocations.pruned(NOON.plus(week)).is_empty());
}

fn arbitrary() -> impl Strategy<Value = Revocations> {
    let entry = (any::<bool>(), 0..4_u64, 0..100_u64);
    prop::collection::vec(entry, 0..8).prop_map(|entries| {
        let mut revocations = Revocations::default();
        for (is_user, name, seconds) in entries {
            let at = NOON.plus(Duration::from_secs(seconds));
            if is_user {
                revocations.add_user(UserId::new(format!("u{name}")), at);
            } else {
                revocations.add_session(opened(name, "s"), at);
            }
        }
        revocations
    })
}

proptest! {
    #[test]
    fn replicas_agree_whatever_the_order(a in arbitrary(), b in arbitrary(), c in arbitrary()) {
        let one = a.clone().merged(&b).merged(&c);
        prop_assert_eq!(&one, &c.clone().merged(&b).merged(&a));
        prop_assert_eq!(&one, &one.clone().merged(&a));
        let stored: Revocations = serde_json::from_slice(&serde_json::to_vec(&one).unwrap()).unwrap();
        prop_assert_eq!(one, stored);
    }
}
