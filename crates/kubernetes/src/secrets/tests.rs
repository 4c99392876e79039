//! Against a server whose Secret holds what this version cannot read.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::mpsc,
    task::JoinSet,
};

use super::*;
use crate::{Settings, connect};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Secret with these entries.
fn secret(entries: &[(&str, &str)]) -> Value {
    let entry = |(key, text): &(&str, &str)| ((*key).to_owned(), STANDARD.encode(text).into());
    json!({"metadata": {"name": "portico-state"}, "data": entries.iter().map(entry).collect::<serde_json::Map<_, _>>()})
}

/// Answers what is read with `secret` and a watch with the news that it is `later` now. Tells the methods.
async fn serve(listener: TcpListener, secret: Value, later: Value, asked: mpsc::Sender<String>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let (mut head, mut line) = (String::new(), String::new());
        while stream.read_line(&mut line).await.unwrap() > 2 {
            head.push_str(&line);
            line.clear();
        }
        let body = if head.contains("watch=1") {
            format!("{}\n", json!({"type": "MODIFIED", "object": later}))
        } else {
            secret.to_string()
        };
        let length = body.len();
        let text = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).await.unwrap();
        asked.try_send(head.split(' ').next().unwrap().to_owned()).unwrap();
    }
}

struct Bench {
    store: SecretStore,
    asked: mpsc::Receiver<String>,
    _running: JoinSet<()>,
}

async fn bench(secret: Value, later: Value) -> Bench {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings {
        server: format!("http://{}", listener.local_addr().unwrap()),
        ca_file: None,
        token_file: None,
        token: None,
    };
    let names = SecretNames {
        own: vec![],
        others: "portico-state".to_owned(),
    };
    let (ask, asked) = mpsc::channel(100);
    let mut running = JoinSet::new();
    running.spawn(serve(listener, secret, later, ask));
    Bench {
        store: SecretStore::new(connect(&settings).unwrap(), "apps", names),
        asked,
        _running: running,
    }
}

fn told<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Failed(told)) => told,
        other => panic!("it cannot be read: {other:?}"),
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_named_and_not_replaced() {
    let secret = secret(&[("keys", "1 zstd\n{}"), ("others", "4\n{}")]);
    let mut bench = bench(secret.clone(), secret).await;
    let store = &bench.store;
    let answers = [
        told(store.get("keys").await),
        told(store.put_if_version("keys", None, b"k".to_vec()).await),
        told(store.put_if_version("keys", Some(1), b"k".to_vec()).await),
        told(
            tokio::time::timeout(PATIENCE, store.changed("keys", None))
                .await
                .unwrap(),
        ),
    ];
    for told in answers {
        assert_eq!(
            told,
            "the entry keys of the Secret portico-state in the namespace apps cannot be read: its first line is no version that this \
             portico knows; run the version of portico that wrote it, restore it from a backup, or remove the entry, with which all \
             that it says is lost"
        );
    }
    while let Ok(method) = bench.asked.try_recv() {
        assert_eq!(method, "GET");
    }
    // It is in nobody's way.
    assert_eq!(bench.store.get("others").await.unwrap().unwrap().version, 4);
    assert_eq!(bench.store.get("missing").await.unwrap(), None);
    let version = bench.store.put_if_version("others", Some(4), b"o".to_vec()).await;
    assert_eq!(version.unwrap(), 5);
}

#[tokio::test]
async fn an_entry_that_becomes_unreadable_ends_the_wait_for_a_change() {
    let bench = bench(secret(&[("keys", "1\n{}")]), secret(&[("keys", "{}")])).await;
    let wait = tokio::time::timeout(PATIENCE, bench.store.changed("keys", Some(1)));
    let told = told(wait.await.unwrap());
    assert!(told.starts_with("the entry keys of the Secret portico-state"), "{told}");
}

#[tokio::test]
async fn what_could_not_be_read_again_is_not_written() {
    let mut bench = bench(secret(&[]), secret(&[])).await;
    let told = told(bench.store.put_if_version("x", None, vec![0; layout::MOST + 1]).await);
    assert!(told.ends_with("cannot hold so much: x is longer than 64 MiB"), "{told}");
    while let Ok(method) = bench.asked.try_recv() {
        assert_eq!(method, "GET");
    }
}
