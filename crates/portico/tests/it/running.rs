//! Start, change under load, large bodies, and the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, Full};

use crate::world::{Plan, World, connect, until, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_gateway_finishes_what_it_has_and_takes_nothing_new() {
    let mut world = World::with(Plan::default().set("PORTICO__SHUTDOWN__STREAM_GRACE", "2s")).await;
    let task = world.routed("alice", "hers").await;
    let alice = world.by_basic("alice");
    let path = format!("/service/{task}/");
    let Ok(mut socket) = alice.connects(&format!("{path}ws")).await else {
        panic!()
    };
    socket.says("hello").await;
    let (visitor, held) = (alice.clone(), format!("{path}held"));
    let before = world.applications[0].requests();
    let in_flight = tokio::spawn(async move { visitor.get(&held).await });
    until("the request is in flight", async || {
        (world.applications[0].requests() > before).then_some(())
    })
    .await;

    let stopping = world.stop_gateway();
    until("new requests are refused", async || {
        match alice.ask(http::Method::GET, &path, "").await {
            Err(_) => Some(()),
            Ok(answer) => (answer.code() == "shutting_down").then_some(()),
        }
    })
    .await;
    assert!(!in_flight.is_finished());
    world.applications[0].release(1);
    assert_eq!(in_flight.await.unwrap().text(), "released");
    assert_eq!(socket.closes_within(Duration::from_secs(40)).await, Some(1001));
    stopping.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for variable in [
        "PORTICO__HTTP__LISTEN",
        "PORTICO__CONSOLE__LISTEN",
        "PORTICO__OPERATIONS__LISTEN",
    ] {
        let mut world = World::without_gateway(Plan::default().set(variable, &address)).await;
        let error = format!("{:#}", world.start_gateway().await.unwrap_err());
        assert!(error.contains(&address), "{variable}: {error}");
        assert!(error.contains("in use"), "{variable}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_routes_come_and_go() {
    let world = World::start().await;
    let task = world.routed("alice", "steady").await;
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    let path = format!("/service/{task}/");
    let alice = world.by_basic("alice");
    let mut socket = alice.connects(&format!("{path}ws")).await.ok().unwrap();
    let hammers: Vec<_> = (0..2)
        .map(|_| {
            let (stop, done, alice, path) = (stop.clone(), done.clone(), alice.clone(), path.clone());
            tokio::spawn(async move {
                let mut connection = connect(alice.place.http()).await.unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let mut request = http::Request::get(&path).header("host", "gateway.test");
                    for (name, value) in &alice.headers {
                        request = request.header(name, value);
                    }
                    let request = request.body(Full::default().boxed_unsync()).unwrap();
                    connection.ready().await.unwrap();
                    let response = connection.send_request(request).await.unwrap();
                    assert_eq!(response.status(), 200);
                    let body = response.into_body().collect().await.unwrap().to_bytes();
                    assert_eq!(&body[..], b"application 0 says hello");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    // Three hundred routes come, and go again.
    let address = |at: u16| std::net::SocketAddr::from(([127, 0, 0, 9], 1000 + at));
    let mut others = Vec::new();
    for at in 0..300 {
        let other = world.asks_for("bob", "another", address(at));
        if at % 50 == 0 {
            socket.says("during").await;
            world.sees(&other).await;
        }
        others.push(other);
    }
    let last = portico_core::endpoint::TaskId::parse(others.last().unwrap()).unwrap();
    within(Duration::from_secs(30), "all routes are there", async || {
        world.inside().table.get().task(last).map(drop)
    })
    .await;
    for (at, other) in others.iter().enumerate() {
        world.emulator.set_status(other, "stopped");
        if at % 50 == 0 {
            world.is_refused(other, "ended").await;
        }
    }
    let count = done.load(Ordering::Relaxed);
    until("requests go on", async || {
        (done.load(Ordering::Relaxed) > count + 50).then_some(())
    })
    .await;
    socket.says("after").await;
    stop.store(true, Ordering::Relaxed);
    for hammer in hammers {
        hammer.await.unwrap();
    }
}

/// Bytes of this process's memory that are resident.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

const LARGE: usize = 256 << 20;
/// Other tests run in this process at the same time; a gateway that collects the body needs all of it.
const BOUND: usize = 96 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_pass_in_both_directions_without_being_collected() {
    let world = World::start().await;
    let task = world.routed("alice", "hers").await;
    let alice = world.by_basic("alice");
    let before = resident();

    let (status, mut download) = alice.streams(&format!("/service/{task}/bytes/{LARGE}")).await;
    assert_eq!(status, 200);
    let mut count = 0;
    while let Some(piece) = download.next().await {
        count += piece.len();
        if count % (16 << 20) < piece.len() {
            let grown = resident().saturating_sub(before);
            assert!(grown < BOUND, "{grown} bytes after {count}");
        }
    }
    assert_eq!(count, LARGE);

    let piece = Bytes::from(vec![b'y'; 64 << 10]);
    let pieces = stream::unfold(0, move |sent| {
        let piece = piece.clone();
        async move { (sent < LARGE).then(|| (piece.clone(), sent + piece.len())) }
    });
    let answer = alice.uploads(&format!("/service/{task}/count"), pieces).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], LARGE.to_string().as_bytes());
    let grown = resident().saturating_sub(before);
    assert!(grown < BOUND, "{grown} bytes");
}
