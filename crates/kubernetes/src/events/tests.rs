//! Against a server that refuses some events.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::IpAddr;

use portico_core::{
    clock::{ManualClock, Timestamp},
    endpoint::TaskId,
    live::{Publish, live},
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::mpsc,
    task::JoinSet,
};

use super::*;
use crate::{Settings, connect};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn pod(number: u8, name: &str) -> Arc<Pod> {
    Arc::new(Pod {
        task: TaskId::parse(&format!("{number:02x}").repeat(16)).unwrap(),
        rank: 0,
        queue_label: None,
        addresses: vec![IpAddr::from([10, 0, 0, number])],
        has_host_network: true,
        requests: Vec::new(),
        gateway: None,
        uid: format!("uid-{number}").into(),
        name: name.into(),
    })
}

/// Answers each event with what `code` says for its pod, and tells the pod's name.
async fn serve(listener: TcpListener, code: fn(&str) -> u16, asked: mpsc::Sender<String>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        while stream.read_line(&mut line).await.unwrap() > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let event: Value = serde_json::from_slice(&body).unwrap();
        let pod = event["involvedObject"]["name"].as_str().unwrap();
        let code = code(pod);
        let text = format!("HTTP/1.1 {code} X\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}");
        stream.write_all(text.as_bytes()).await.unwrap();
        asked.send(pod.to_owned()).await.unwrap();
    }
}

/// A gateway that tells of pods.
struct Gateway {
    pods: Publish<Pods>,
    /// The pods for which the server is asked for an event, one after the other.
    asked: mpsc::Receiver<String>,
    _running: JoinSet<()>,
}

impl Gateway {
    async fn asks(&mut self, pod: &str) {
        let asked = tokio::time::timeout(PATIENCE, self.asked.recv()).await.unwrap();
        assert_eq!(asked.as_deref(), Some(pod));
    }
}

async fn telling(pods: Vec<Arc<Pod>>, code: fn(&str) -> u16) -> Gateway {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings {
        server: format!("http://{}", listener.local_addr().unwrap()),
        ca_file: None,
        token_file: None,
        token: None,
    };
    let kube = connect(&settings).unwrap();
    let (ask, asked) = mpsc::channel(10);
    let (publish, seen) = live(Pods::new(pods, Vec::new()));
    let mut running = JoinSet::new();
    running.spawn(serve(listener, code, ask));
    running.spawn(async move {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(100)));
        let (gateway, namespace, rules) = ("gate".to_owned(), "ns".to_owned(), PodRules::default());
        announce(kube, namespace, gateway, rules, clock, seen, CancellationToken::new()).await;
    });
    Gateway {
        pods: publish,
        asked,
        _running: running,
    }
}

#[tokio::test]
async fn an_event_that_is_refused_keeps_no_other_pod_untold() {
    let pods = vec![pod(1, "absurd"), pod(2, "other")];
    let mut gateway = telling(pods, |pod| if pod == "absurd" { 422 } else { 201 }).await;
    gateway.asks("absurd").await;
    gateway.asks("other").await;
}

#[tokio::test]
async fn who_may_write_no_events_asks_once() {
    let mut gateway = telling(vec![pod(1, "one"), pod(2, "other")], |_| 403).await;
    gateway.asks("one").await;
    let second = tokio::time::timeout(Duration::from_millis(300), gateway.asked.recv()).await;
    assert!(second.is_err(), "{second:?}");
}

#[tokio::test]
async fn pods_that_change_often_are_looked_at_seldom() {
    let begun = Instant::now();
    let mut gateway = telling(vec![pod(1, "one")], |_| 201).await;
    gateway.asks("one").await;
    let both = vec![pod(1, "one"), pod(2, "other")];
    gateway.pods.publish(Pods::new(both, Vec::new()));
    gateway.asks("other").await;
    assert!(begun.elapsed() >= LOOK, "{:?}", begun.elapsed());
}

#[test]
fn the_longest_name_of_a_pod_makes_a_name_that_kubernetes_takes() {
    // At the place of the cut stand a hyphen and a point.
    let long = format!("{}-.{}", "a".repeat(234), "b".repeat(17));
    assert_eq!(long.len(), LONGEST);
    let named = name("gate", &pod(1, &long), &PodFault::HostNetwork);
    let (front, short) = named.rsplit_once('.').unwrap();
    assert_eq!((front, short.len()), (&*"a".repeat(234), 16));
    let whole = name("gate", &pod(1, &"c".repeat(LONGEST)), &PodFault::HostNetwork);
    assert_eq!(whole.len(), LONGEST);
    assert!(name("gate", &pod(1, "short"), &PodFault::HostNetwork).starts_with("short."));
}
