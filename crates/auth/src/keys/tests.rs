#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use super::*;
use crate::seal;

const NOON: Timestamp = Timestamp::from_secs(43_200);

fn days(days: u64) -> Timestamp {
    NOON.plus(Duration::from_hours(24 * days))
}

#[test]
fn keys_survive_being_stored() {
    let keys = SessionKeys::generate(NOON).rotated(days(1));
    let restored = SessionKeys::from_document(&keys.to_document()).unwrap();
    assert!(keys.ids().eq(restored.ids()));
    let sealed = seal::seal(&keys, days(2), "test", b"hello".to_vec()).unwrap();
    let opened = seal::open(&restored, "test", sealed.reveal()).unwrap();
    assert_eq!(opened.plain, b"hello");
}

#[test]
fn a_damaged_document_is_an_error_that_does_not_quote_it() {
    let good = String::from_utf8(SessionKeys::generate(NOON).to_document()).unwrap();
    for bad in [
        "",
        "null",
        "{\"schema\":1,\"keys\":[]}",
        "{\"schema\":1,\"keys\":\"hunter2\"}",
        &good.replace("\"schema\":1", "\"schema\":2"),
        &good.replace("\"secret\":\"", "\"secret\":\"AAAA"),
        &good.replace("\"id\":\"", "\"id\":\"a.b"),
    ] {
        let error = SessionKeys::from_document(bad.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
    let debug = format!("{:?}", SessionKeys::generate(NOON));
    assert!(debug.len() < 60, "{debug}");
}

#[test]
fn a_new_key_seals_only_when_every_replica_may_know_it() {
    let old = SessionKeys::generate(NOON);
    let id = |keys: &SessionKeys, now| keys.sealing(now).unwrap().id.clone();
    assert_eq!(id(&old, NOON), old.keys[0].id, "the first key seals at once");
    let new = old.rotated(days(1));
    assert_eq!(id(&new, days(1).plus(Duration::from_secs(29))), old.keys[0].id);
    assert_eq!(id(&new, days(1).plus(Duration::from_secs(30))), new.keys[0].id);
}

#[test]
fn a_key_opens_until_every_session_that_it_sealed_is_over() {
    let first = SessionKeys::generate(NOON);
    let id = first.keys[0].id.clone();
    let second = first.rotated(days(100));
    let soon = second.rotated(days(107));
    assert!(soon.by_id(&id).is_some(), "it sealed until seven days ago");
    let late = second.rotated(days(108));
    assert!(late.by_id(&id).is_none());
    assert_eq!(late.ids().count(), 2);
}

#[test]
fn what_was_sealed_for_one_purpose_opens_for_no_other() {
    let keys = SessionKeys::generate(NOON);
    let sealed = seal::seal(&keys, NOON, "session a", b"x".to_vec()).unwrap();
    assert!(seal::open(&keys, "session a", sealed.reveal()).is_some());
    assert!(seal::open(&keys, "session b", sealed.reveal()).is_none());
    let renamed = sealed.reveal().replacen(&keys.keys[0].id, "00000000", 1);
    assert!(seal::open(&keys, "session a", &renamed).is_none());
    let again = seal::seal(&keys, NOON, "session a", b"x".to_vec()).unwrap();
    assert_ne!(sealed, again, "nonces are fresh");
}
