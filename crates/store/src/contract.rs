//! What every state store promises, as one suite: run it for each store.

use std::{sync::Arc, time::Duration};

use portico_core::state::{StateStore, StoreError};

/// How long a change may take to be seen through another handle.
const PATIENCE: Duration = Duration::from_secs(5);

/// Two handles to one and the same store, which may belong to different processes.
pub type Handles = (Arc<dyn StateStore>, Arc<dyn StateStore>);

/// Checks all promises. `make` gives two handles to a new, empty store each time.
///
/// # Panics
/// If the store breaks a promise; the message says which.
pub async fn check(make: impl Fn() -> Handles) {
    what_was_put_is_found(make()).await;
    only_the_expected_version_is_replaced(make()).await;
    keys_do_not_touch_each_other(make()).await;
    bodies_are_bytes(make()).await;
    one_of_two_writers_wins(make()).await;
    a_change_made_elsewhere_is_seen(make()).await;
    a_change_made_before_is_seen_at_once(make()).await;
    other_keys_do_not_end_the_wait(make()).await;
}

async fn what_was_put_is_found((one, other): Handles) {
    assert_eq!(one.get("a").await.expect("get"), None, "a new store is empty");
    let version = one.put_if_version("a", None, b"1".to_vec()).await.expect("put");
    for store in [&one, &other] {
        let found = store.get("a").await.expect("get").expect("the document");
        assert_eq!(
            (found.version, found.body),
            (version, b"1".to_vec()),
            "what was put is found, through each handle"
        );
    }
}

async fn only_the_expected_version_is_replaced((store, _): Handles) {
    let is_conflict = |answer| matches!(answer, Err(StoreError::Conflict));
    assert!(
        is_conflict(store.put_if_version("a", Some(1), b"x".to_vec()).await),
        "a missing document has no version"
    );
    let first = store.put_if_version("a", None, b"1".to_vec()).await.expect("put");
    assert!(
        is_conflict(store.put_if_version("a", None, b"x".to_vec()).await),
        "an existing document is not new"
    );
    let second = store
        .put_if_version("a", Some(first), b"2".to_vec())
        .await
        .expect("put");
    assert!(second > first, "versions grow");
    assert!(
        is_conflict(store.put_if_version("a", Some(first), b"x".to_vec()).await),
        "an old version is not replaced"
    );
    let found = store.get("a").await.expect("get").expect("the document");
    assert_eq!(found.body, b"2", "a conflict changes nothing");
}

async fn keys_do_not_touch_each_other((store, _): Handles) {
    for key in ["a", "A", "a/b", "a%", "a_", "ä", ""] {
        store
            .put_if_version(key, None, key.as_bytes().to_vec())
            .await
            .expect("put");
    }
    for key in ["a", "A", "a/b", "a%", "a_", "ä", ""] {
        let found = store.get(key).await.expect("get").expect("the document");
        assert_eq!(found.body, key.as_bytes(), "each key has its own document");
    }
}

async fn bodies_are_bytes((store, other): Handles) {
    let large: Vec<u8> = (0..1_000_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    for (key, body) in [("empty", vec![]), ("zero", vec![0, 255, 0]), ("large", large)] {
        store.put_if_version(key, None, body.clone()).await.expect("put");
        let found = other.get(key).await.expect("get").expect("the document");
        assert!(found.body == body, "{key}: the bytes are as they were put");
    }
}

async fn one_of_two_writers_wins((one, other): Handles) {
    let mut version = one.put_if_version("a", None, b"0".to_vec()).await.expect("put");
    for _ in 0..20 {
        let (first, second) = tokio::join!(
            one.put_if_version("a", Some(version), b"one".to_vec()),
            other.put_if_version("a", Some(version), b"other".to_vec()),
        );
        version = match (first, second) {
            (Ok(version), Err(StoreError::Conflict)) | (Err(StoreError::Conflict), Ok(version)) => version,
            both => panic!("exactly one of two writers must win: {both:?}"),
        };
    }
}

async fn a_change_made_elsewhere_is_seen((one, other): Handles) {
    let (seen, written) = tokio::join!(
        tokio::time::timeout(PATIENCE, one.changed("a", None)),
        other.put_if_version("a", None, b"1".to_vec()),
    );
    let seen = seen.expect("a new document is seen").expect("changed");
    assert_eq!(seen.version, written.expect("put"));
    let (again, written) = tokio::join!(
        tokio::time::timeout(PATIENCE, one.changed("a", Some(seen.version))),
        other.put_if_version("a", Some(seen.version), b"2".to_vec()),
    );
    let again = again.expect("a change is seen").expect("changed");
    assert_eq!((again.version, again.body), (written.expect("put"), b"2".to_vec()));
}

async fn a_change_made_before_is_seen_at_once((store, _): Handles) {
    let first = store.put_if_version("a", None, b"1".to_vec()).await.expect("put");
    let second = store
        .put_if_version("a", Some(first), b"2".to_vec())
        .await
        .expect("put");
    for seen in [None, Some(first)] {
        let change = tokio::time::timeout(PATIENCE, store.changed("a", seen)).await;
        assert_eq!(change.expect("no wait").expect("changed").version, second);
    }
}

async fn other_keys_do_not_end_the_wait((one, other): Handles) {
    let version = one.put_if_version("a", None, b"1".to_vec()).await.expect("put");
    let mut wait = one.changed("a", Some(version));
    let early = tokio::select! {
        biased;
        _ = &mut wait => true,
        () = async {
            other.put_if_version("b", None, b"1".to_vec()).await.expect("put");
            tokio::task::yield_now().await;
        } => false,
    };
    assert!(!early, "a change of another key is none of this one");
    let (seen, written) = tokio::join!(
        tokio::time::timeout(PATIENCE, wait),
        other.put_if_version("a", Some(version), b"2".to_vec()),
    );
    assert_eq!(
        seen.expect("the change is seen").expect("changed").version,
        written.expect("put")
    );
}
