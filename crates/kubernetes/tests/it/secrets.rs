//! Documents in Secrets.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::Method;
use portico_core::state::{StateStore, StoreError};
use portico_kubernetes::{SecretNames, SecretStore};
use serde_json::{Value, json};

use crate::world::World;

/// What the chart's Role grants for Secrets: three verbs, by name.
fn rights(names: &[String]) -> Value {
    json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": names, "verbs": ["get", "update", "watch"]}])
}

async fn make(world: &World, name: &str) {
    let secret = json!({"metadata": {"name": name, "labels": {"chart": "portico"}}, "type": "Opaque"});
    world.ask(Method::POST, &world.core("secrets"), &secret).await;
}

/// The suite asks for a new store eight times, without waiting.
const STORES: u64 = 10;

#[tokio::test]
async fn keeps_the_contract_with_the_least_rights() {
    let world = World::new().await;
    let names: Vec<String> = (0..STORES).map(|at| format!("portico-state-{at}")).collect();
    for name in &names {
        make(&world, name).await;
    }
    let kube = world.account(rights(&names)).await;
    let next = AtomicU64::new(0);
    portico_store::contract::check(|| {
        let at = next.fetch_add(1, Ordering::Relaxed);
        assert!(at < STORES, "the suite wants more stores than there are");
        let names = SecretNames {
            own: vec![],
            others: format!("portico-state-{at}"),
        };
        let store = || Arc::new(SecretStore::new(kube.clone(), &world.namespace, names.clone()));
        (store(), store())
    })
    .await;
}

#[tokio::test]
async fn a_document_with_a_secret_of_its_own_lies_there() {
    let world = World::new().await;
    for name in ["keys", "others"] {
        make(&world, name).await;
    }
    let names = SecretNames {
        own: vec![("session-keys".to_owned(), "keys".to_owned())],
        others: "others".to_owned(),
    };
    let store = SecretStore::new(world.kube.clone(), &world.namespace, names);
    store.put_if_version("session-keys", None, b"k".to_vec()).await.unwrap();
    store.put_if_version("revocations", None, b"r".to_vec()).await.unwrap();
    for (secret, document) in [("keys", "session-keys"), ("others", "revocations")] {
        let found = world
            .ask(Method::GET, &world.core(&format!("secrets/{secret}")), &Value::Null)
            .await;
        let data: Vec<&String> = found["data"].as_object().unwrap().keys().collect();
        assert_eq!(data, [document]);
        assert_eq!(
            found["metadata"]["labels"]["chart"], "portico",
            "what the chart wrote stays"
        );
    }
}

#[tokio::test]
async fn a_missing_secret_is_named_with_what_creates_it() {
    let world = World::new().await;
    let names = SecretNames {
        own: vec![],
        others: "portico-state".to_owned(),
    };
    let store = SecretStore::new(world.kube.clone(), &world.namespace, names);
    let Err(StoreError::Failed(told)) = store.get("x").await else {
        panic!("there is no such Secret");
    };
    assert!(told.contains("portico-state is missing"), "{told}");
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_neither_missing_nor_replaced() {
    let world = World::new().await;
    let secret =
        json!({"metadata": {"name": "portico-state"}, "stringData": {"x": "1 zstd\nwhat a newer version wrote"}});
    world.ask(Method::POST, &world.core("secrets"), &secret).await;
    let names = SecretNames {
        own: vec![],
        others: "portico-state".to_owned(),
    };
    let store = SecretStore::new(world.kube.clone(), &world.namespace, names);
    let before = world
        .ask(Method::GET, &world.core("secrets/portico-state"), &Value::Null)
        .await;
    for answer in [
        store.get("x").await.map(drop),
        store.put_if_version("x", None, b"new".to_vec()).await.map(drop),
    ] {
        let Err(StoreError::Failed(told)) = answer else {
            panic!("{answer:?}");
        };
        assert!(told.starts_with("the entry x of the Secret portico-state"), "{told}");
    }
    let after = world
        .ask(Method::GET, &world.core("secrets/portico-state"), &Value::Null)
        .await;
    assert_eq!(before["data"], after["data"]);
}

#[tokio::test]
async fn too_much_for_a_secret_is_an_error_and_changes_nothing() {
    let world = World::new().await;
    make(&world, "portico-state").await;
    let names = SecretNames {
        own: vec![],
        others: "portico-state".to_owned(),
    };
    let store = SecretStore::new(world.kube.clone(), &world.namespace, names);
    let version = store.put_if_version("x", None, b"small".to_vec()).await.unwrap();
    let answer = store.put_if_version("x", Some(version), unpackable(1_100_000)).await;
    assert!(matches!(answer, Err(StoreError::Failed(_))), "{answer:?}");
    assert_eq!(store.get("x").await.unwrap().unwrap().body, b"small");
    // What can be packed finds room.
    let long = b"much the same ".repeat(100_000);
    store.put_if_version("x", Some(version), long.clone()).await.unwrap();
    assert_eq!(store.get("x").await.unwrap().unwrap().body, long);
}

/// Bytes that cannot be packed.
fn unpackable(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(byte).take(length).collect()
}
