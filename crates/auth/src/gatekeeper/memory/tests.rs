#![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::{sync::Arc, time::Duration};

use portico_core::{
    clock::Timestamp,
    principal::{CompanyId, SessionId, UserId},
    secret::Secret,
};

use super::*;
use crate::{digest, session::OpenedBy};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_hours(1);

fn keys() -> Arc<SessionKeys> {
    Arc::new(SessionKeys::generate(NOW))
}

fn session(id: &str) -> Session {
    Session {
        id: SessionId::new(id),
        user: UserId::new("u"),
        company: CompanyId::new("c"),
        name: "Alice".into(),
        is_administrator: true,
        opened_by: OpenedBy::Password,
        issued: NOW,
        idle_end: NOW.plus(HOUR),
        absolute_end: NOW.plus(HOUR * 2),
        token: Secret::new("token"),
    }
}

fn known(sealed: &str) -> Arc<Known> {
    let unsealed = Unsealed {
        session: session(sealed),
        key: "k".into(),
    };
    Arc::new(Known::new(sealed, unsealed, digest::of(&[b"token"])))
}

/// A memory to which these keys are known.
fn memory(keys: &Arc<SessionKeys>) -> Memory {
    let memory = Memory::new();
    memory.begin_anew(keys);
    memory
}

#[test]
fn what_was_kept_is_found_under_its_whole_text_only() {
    let keys = keys();
    let memory = memory(&keys);
    let tail = "t".repeat(TAIL);
    memory.keep(&keys, known(&format!("v1.a.{tail}")));
    assert!(memory.find(&keys, &format!("v1.a.{tail}")).is_some());
    assert!(memory.find(&keys, &format!("v1.b.{tail}")).is_none());
    assert!(memory.find(&keys, &tail).is_none());
    assert!(memory.find(&keys, "").is_none());
}

#[test]
fn nothing_outlives_the_keys_that_opened_it() {
    let (old, new) = (keys(), keys());
    let memory = memory(&old);
    for number in 0..100 {
        memory.keep(&old, known(&format!("v1.a.{number}")));
    }
    assert_eq!(memory.len(), 100);
    assert!(memory.find(&new, "v1.a.0").is_none());
    assert_eq!(memory.len(), 0, "all of it goes, and not only what was asked for");
    memory.keep(&old, known("v1.a.1"));
    assert!(
        memory.find(&new, "v1.a.1").is_none(),
        "one that was slow to open it with the old keys"
    );
}

#[test]
fn the_memory_is_bounded_and_the_least_recently_used_goes() {
    let keys = keys();
    let memory = memory(&keys);
    for number in 0..SETS * WAYS * 2 {
        memory.keep(&keys, known(&format!("v1.a.{number}")));
        assert!(memory.find(&keys, "v1.a.0").is_some(), "it is in use");
    }
    assert!(memory.len() <= SETS * WAYS);
    assert!(memory.len() > SETS * WAYS / 2);
}

#[test]
fn sessions_that_ended_are_forgotten() {
    let keys = keys();
    let memory = memory(&keys);
    let (revoked, ended) = (known("v1.a.revoked"), known("v1.a.ended"));
    for known in [&revoked, &ended, &known("v1.a.other")] {
        memory.keep(&keys, known.clone());
    }
    memory.forget(&ended);
    assert!(memory.find(&keys, "v1.a.ended").is_none());
    memory.forget_ended(NOW, |session| session.id == revoked.session.id);
    assert!(memory.find(&keys, "v1.a.revoked").is_none());
    assert!(memory.find(&keys, "v1.a.other").is_some());
    memory.forget_ended(NOW.plus(HOUR), |_| false);
    assert_eq!(memory.len(), 0);
}

#[test]
fn only_an_answer_of_now_makes_an_administrator() {
    let known = known("v1.a.b");
    let told = |is_administrator| Verified {
        user: UserId::new("u"),
        company: CompanyId::new("c"),
        name: "Alice Liddell".into(),
        is_administrator,
        token: Secret::new("token"),
        expires: None,
    };
    assert!(!known.sealed_user().is_administrator);
    let user = known.told_user(&told(true));
    assert!(user.is_administrator);
    assert_eq!(&*user.name, "Alice Liddell");
    assert!(Arc::ptr_eq(&user, &known.told_user(&told(true))), "it is made once");
    assert!(!known.told_user(&told(false)).is_administrator);
    assert!(!known.sealed_user().is_administrator);
}
