//! Against a server that says what the test tells it to say, connection by connection.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::VecDeque, sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::{Mutex, mpsc},
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{Settings, connect};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize)]
struct Thing {
    metadata: Metadata,
}

impl Object for Thing {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }
}

/// What the server does with one request.
enum Answer {
    /// Answers it whole.
    Whole(u16, String),
    /// Answers, and ends the connection in the middle.
    Torn(String),
    /// Says nothing at all.
    Stalls,
}

/// What the follower was told, as text.
struct Told(mpsc::Receiver<String>);

impl Told {
    async fn next(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.0.recv()).await.unwrap().unwrap()
    }
}

struct Bench {
    told: Told,
    asked: Arc<Mutex<Vec<String>>>,
    _running: tokio::task::JoinSet<()>,
}

impl Bench {
    /// Follows a server that gives these answers, one for each request, and then stalls.
    async fn new(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (tell, told) = mpsc::channel(100);
        let mut running = tokio::task::JoinSet::new();
        running.spawn(serve(listener, answers.into(), asked.clone()));
        let settings = Settings {
            server,
            ca_file: None,
            token_file: None,
            token: None,
        };
        let kube = connect(&settings).unwrap();
        running.spawn(async move {
            let place = Place {
                path: "/things".to_owned(),
                selector: "labelSelector=X".to_owned(),
            };
            let version = |thing: Thing| Some(thing.metadata.resource_version);
            let on = |step: Step<'_, String>| {
                let text = match step {
                    Step::Complete(known) => format!("{known:?}"),
                    Step::Proof => "proof".to_owned(),
                    Step::Failed(error) => error.reason().to_owned(),
                };
                tell.try_send(text).unwrap();
            };
            follow(&kube, &place, version, on, CancellationToken::new()).await;
        });
        Self {
            told: Told(told),
            asked,
            _running: running,
        }
    }

    async fn asked(&self) -> Vec<String> {
        self.asked.lock().await.clone()
    }

    /// What the server was asked for, once that is so much.
    async fn asked_so_often(&self, count: usize) -> Vec<String> {
        let enough = async {
            loop {
                let asked = self.asked().await;
                if asked.len() >= count {
                    return asked;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.expect("it is asked on")
    }
}

async fn serve(listener: TcpListener, mut answers: VecDeque<Answer>, asked: Arc<Mutex<Vec<String>>>) {
    let mut stalled = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { break };
            head.push(byte);
        }
        let line = String::from_utf8(head)
            .unwrap()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        asked.lock().await.push(line);
        let text = match answers.pop_front() {
            Some(Answer::Whole(code, body)) => format!(
                "HTTP/1.1 {code} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
            Some(Answer::Torn(body)) => {
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len() + 100)
            }
            Some(Answer::Stalls) | None => {
                stalled.push(stream);
                continue;
            }
        };
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    }
}

fn list(version: u32, things: &[(&str, u32)]) -> Answer {
    page(version, things, "")
}

fn page(version: u32, things: &[(&str, u32)], continues: &str) -> Answer {
    let items: Vec<String> = things.iter().map(|(name, version)| thing(name, *version)).collect();
    let items = items.join(",");
    Answer::Whole(
        200,
        format!(r#"{{"metadata":{{"resourceVersion":"{version}","continue":"{continues}"}},"items":[{items}]}}"#),
    )
}

fn thing(name: &str, version: u32) -> String {
    format!(r#"{{"metadata":{{"name":"{name}","resourceVersion":"{version}"}}}}"#)
}

fn event(kind: &str, name: &str, version: u32) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{}}}\n", thing(name, version))
}

#[tokio::test]
async fn a_torn_connection_is_taken_up_where_it_was_torn() {
    let mut bench = Bench::new(vec![
        list(5, &[("a", 3)]),
        Answer::Torn(event("ADDED", "b", 6)),
        Answer::Whole(200, event("DELETED", "a", 7)),
    ])
    .await;
    for expected in [
        r#"{"a": "3"}"#,
        "proof",
        r#"{"a": "3", "b": "6"}"#,
        "unreachable",
        r#"{"b": "6"}"#,
        "proof",
    ] {
        assert_eq!(bench.told.next().await, expected);
    }
    let asked = bench.asked().await;
    assert!(
        asked[0].starts_with("GET /things?labelSelector=X&limit=100 "),
        "{asked:?}"
    );
    assert!(asked[1].contains("resourceVersion=5 "), "{asked:?}");
    assert!(asked[2].contains("resourceVersion=6 "), "{asked:?}");
}

#[tokio::test]
async fn a_version_that_is_too_old_leads_to_a_new_list_without_a_gap() {
    let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}"#;
    let mut bench = Bench::new(vec![
        list(5, &[("a", 3)]),
        Answer::Whole(200, format!("{gone}\n")),
        list(9, &[("b", 8)]),
        Answer::Whole(410, r#"{"kind":"Status","code":410}"#.to_owned()),
        list(12, &[("b", 8), ("c", 11)]),
    ])
    .await;
    for expected in [
        r#"{"a": "3"}"#,
        "proof",
        r#"{"b": "8"}"#,
        "proof",
        r#"{"b": "8", "c": "11"}"#,
    ] {
        assert_eq!(bench.told.next().await, expected);
    }
}

#[tokio::test]
async fn half_a_list_is_no_list() {
    let mut bench = Bench::new(vec![
        page(5, &[("a", 3)], "more"),
        Answer::Whole(500, "{}".to_owned()),
        page(6, &[("a", 3)], "more"),
        page(6, &[("b", 4)], ""),
    ])
    .await;
    assert_eq!(bench.told.next().await, "refused");
    assert_eq!(bench.told.next().await, r#"{"a": "3", "b": "4"}"#);
    assert!(bench.asked().await[1].contains("&continue=more "));
}

#[tokio::test]
async fn what_cannot_be_read_is_asked_for_again_as_a_whole() {
    let mut bench = Bench::new(vec![
        list(5, &[("a", 3)]),
        Answer::Whole(
            200,
            "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":\"hush\"}}\n".to_owned(),
        ),
        list(6, &[("a", 6)]),
    ])
    .await;
    for expected in [r#"{"a": "3"}"#, "proof", "bad_answer", r#"{"a": "6"}"#] {
        assert_eq!(bench.told.next().await, expected);
    }
}

#[tokio::test]
async fn a_bookmark_proves_the_list_and_moves_the_place_to_go_on() {
    let mut bench = Bench::new(vec![
        list(5, &[("a", 3)]),
        Answer::Whole(200, event("BOOKMARK", "", 50)),
    ])
    .await;
    for expected in [r#"{"a": "3"}"#, "proof", "proof", "proof"] {
        assert_eq!(bench.told.next().await, expected);
    }
    assert!(bench.asked_so_often(3).await[2].contains("resourceVersion=50 "));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_found_dead() {
    let mut bench = Bench::new(vec![
        list(5, &[("a", 3)]),
        Answer::Stalls,
        Answer::Whole(200, event("ADDED", "b", 6)),
    ])
    .await;
    for expected in [r#"{"a": "3"}"#, "proof", "timeout", r#"{"a": "3", "b": "6"}"#] {
        assert_eq!(bench.told.next().await, expected);
    }
}

#[tokio::test]
async fn a_server_that_always_says_too_old_is_left_in_peace() {
    let gone = || Answer::Whole(410, r#"{"kind":"Status","code":410}"#.to_owned());
    let answers = (0..20).flat_map(|_| [list(5, &[("a", 3)]), gone()]).collect();
    let bench = Bench::new(answers).await;
    let begun = tokio::time::Instant::now();
    bench.asked_so_often(10).await;
    // Three pauses at least: 0.25, 0.5 and 1 s.
    assert!(begun.elapsed() >= Duration::from_millis(1700), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn watches_that_end_at_once_are_begun_once_a_second() {
    let answers = std::iter::once(list(5, &[("a", 3)]));
    let answers = answers.chain((0..20).map(|_| Answer::Whole(200, String::new())));
    let bench = Bench::new(answers.collect()).await;
    let begun = tokio::time::Instant::now();
    bench.asked_so_often(4).await;
    assert!(begun.elapsed() >= Duration::from_millis(1900), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_list_without_an_end_is_given_up() {
    let mut bench = Bench::new((0..1200).map(|_| page(5, &[("a", 3)], "more")).collect()).await;
    assert_eq!(bench.told.next().await, "bad_answer");
    assert_eq!(bench.asked().await.len(), PAGES);
}
