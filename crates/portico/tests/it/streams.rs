//! TCP endpoints: from a task's wish to its public port and back, over restarts and outages, and against tasks that lie.

use std::{net::Ipv4Addr, time::Duration};

use portico::control::Request;
use serde_json::{Map, Value, json};

use crate::{
    explaining::{asked, explained},
    world::{Plan, STREAMS, Wire, World, tcp_runtime, until, who_answers, within},
};

/// Promised is "cut within 5 s". What takes longer is told, and fails when no machine can be the reason.
const PROMISE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_the_address_can_connect_at_once() {
    let world = World::with(Plan::default().streams(4, 4)).await;
    for line in &world.lines {
        let task = world.asks_tcp("alice", &line.name, line.address);
        let port = world.public_port(&task).await;
        assert_eq!(
            who_answers(port).await.as_ref(),
            Some(&line.name),
            "published before it was open"
        );
        let runtime = world.emulator.runtime(&task);
        assert_eq!(runtime["external_address"], STREAMS);
        assert_eq!(
            runtime["upstream_task_port"].to_string().trim_matches('"'),
            line.address.port().to_string()
        );
    }
    // Both directions, and status knows of it.
    let port = world.public_port_now(&world.asks_tcp("bob", "full", world.closed[0]));
    assert_eq!(port, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_is_the_same_after_a_restart_and_while_clearml_is_away() {
    let mut world = World::with(Plan::default().streams(6, 2).remembers()).await;
    let hers = world.asks_tcp("alice", "hers", world.lines[0].address);
    let port = world.public_port(&hers).await;
    let mut wire = Wire::to(port).await.unwrap();
    assert_eq!(wire.hears().await.as_deref(), Some("line 0"));
    wire.says("before").await;

    world.stop_gateway().await.unwrap().unwrap();
    wire.ends_within(PROMISE).await;
    // It asked before her task is seen again, and its id may come first.
    let his = world.asks_tcp("bob", "his", world.lines[1].address);
    world.open().await;
    let other = world.public_port(&his).await;
    assert_ne!(other, port);
    until("her port is open", async || {
        who_answers(port).await.filter(|who| who == "line 0")
    })
    .await;
    assert_eq!(world.public_port_now(&hers), Some(port));

    world.clearml_goes().await;
    world.restart_gateway().await;
    for (port, line) in [(port, "line 0"), (other, "line 1")] {
        until("the port is open without ClearML", async || {
            who_answers(port).await.filter(|who| who == line)
        })
        .await;
    }
    world.clearml_returns().await;
    until("ClearML is read again", async || {
        world.inside().health.get().failing.is_none().then_some(())
    })
    .await;
    assert_eq!(who_answers(port).await.as_deref(), Some("line 0"));
    assert_eq!(
        (world.public_port_now(&hers), world.public_port_now(&his)),
        (Some(port), Some(other))
    );
}

/// What a task says that wants another one's public port.
fn claims(port: u16, own: u16, own_address: Option<&str>) -> Map<String, Value> {
    Map::from_iter([
        ("_SERVICE".to_owned(), json!("EXTERNAL_TCP")),
        ("external_address".to_owned(), json!(own_address.unwrap_or(STREAMS))),
        ("external_tcp_port".to_owned(), json!(port.to_string())),
        ("upstream_task_port".to_owned(), json!(own.to_string())),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_takes_over_another_task_s_port_before_and_after_a_restart() {
    let mut world = World::with(Plan::default().streams(8, 2).remembers()).await;
    let hers = world.asks_tcp("alice", "hers", world.lines[0].address);
    let port = world.public_port(&hers).await;
    let own = world.lines[1].address.port();
    let thief = world.asks_with("bob", "thief", claims(port, own, None));
    world.sees(&thief).await;
    let mut copy = world.emulator.runtime(&hers);
    copy.insert("name".to_owned(), json!("a clone"));
    let clone = world.asks_with("bob", "a clone", copy);
    world.sees(&clone).await;
    for is_restarted in [false, true] {
        if is_restarted {
            world.restart_gateway().await;
        }
        until("her port leads to her task", async || {
            who_answers(port).await.filter(|who| who == "line 0")
        })
        .await;
        world.polls(3).await;
        assert_eq!(who_answers(port).await.as_deref(), Some("line 0"));
        assert_eq!(world.public_port_now(&hers), Some(port));
        let table = world.inside().table.get();
        let holders: Vec<_> = table
            .endpoints()
            .filter(|endpoint| endpoint.port == Some(port))
            .collect();
        assert_eq!(holders.len(), 1);
        assert_eq!(holders[0].key.task.to_string(), hers);
    }
    // What the thief has to offer is reached at a port of its own, if at all.
    let table = world.inside().table.get();
    for task in [&thief, &clone] {
        let id = portico_core::endpoint::TaskId::parse(task).unwrap();
        for route in &table.task(id).unwrap().routes {
            assert!(route.outcome.as_ref().is_err() || route.outcome.as_ref().unwrap().port != Some(port));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ended_task_s_port_is_closed_and_cools_down() {
    let world = World::with(Plan::default().streams(1, 2)).await;
    let hers = world.asks_tcp("alice", "hers", world.lines[0].address);
    let port = world.public_port(&hers).await;
    let mut wire = Wire::to(port).await.unwrap();
    assert_eq!(wire.hears().await.as_deref(), Some("line 0"));
    world.emulator.set_status(&hers, "stopped");
    wire.ends_within(PROMISE).await;
    until("the port is closed", async || {
        Wire::to(port).await.is_err().then_some(())
    })
    .await;
    let (code, text) = explained(&world, &format!("{STREAMS}:{port}"), None).await;
    // Once its address is withdrawn, it asks for nothing any more.
    assert!(["ended", "not_found"].contains(&&*code), "{text}");
    assert!(
        text.contains("is kept for it until") && text.contains(&hers) && text.contains(&port.to_string()),
        "{text}"
    );

    // All ports are taken: nobody is displaced, and everybody is told.
    let his = world.asks_tcp("bob", "his", world.lines[1].address);
    world.is_refused(&his, "no_port_free").await;
    let (code, text) = explained(&world, &his, None).await;
    assert_eq!(code, "no_port_free", "{text}");
    let metrics = world.metrics().await;
    for line in [
        "portico_stream_ports{state=\"cooling\"} 1.0",
        "portico_stream_ports{state=\"free\"} 0.0",
        "portico_refused_routes{code=\"no_port_free\"} 1.0",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line} is not in\n{metrics}");
    }
    world.pass(Duration::from_mins(5));
    assert_eq!(world.public_port(&his).await, port);
    assert_eq!(who_answers(port).await.as_deref(), Some("line 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixed_port_is_given_or_refused_with_the_reason() {
    let plan = Plan::default().streams(4, 3);
    let range = plan.ports.unwrap();
    let world = World::with(plan).await;
    let wants = |line: usize, port: u16| {
        let mut runtime = tcp_runtime(world.lines[line].address);
        runtime.insert("_ROUTER_ENDPOINT_MODE".to_owned(), json!("port"));
        runtime.insert("_ROUTER_ENDPOINT_MODE_PARAM".to_owned(), json!(port.to_string()));
        world.asks_with("alice", "fixed", runtime)
    };
    let first = wants(0, range.end());
    assert_eq!(world.public_port(&first).await, range.end());
    let second = wants(1, range.end());
    world.is_refused(&second, "port_taken").await;
    let (code, text) = explained(&world, &second, None).await;
    assert!(code == "port_taken" && text.contains(&first), "{text}");
    let third = wants(2, 5432);
    world.is_refused(&third, "port_outside_range").await;
    let (code, text) = explained(&world, &third, None).await;
    assert!(
        code == "port_outside_range" && text.contains(&range.to_string()),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_another_program_has_is_passed_over() {
    let plan = Plan::default().streams(2, 1);
    let range = plan.ports.unwrap();
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, range.start())).unwrap();
    let world = World::with(plan).await;
    let hers = world.asks_tcp("alice", "hers", world.lines[0].address);
    assert_eq!(world.public_port(&hers).await, range.end());
    assert_eq!(who_answers(range.end()).await.as_deref(), Some("line 0"));
    drop(taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_tightened_closes_unless_people_are_told_apart() {
    let world = World::with(Plan::default().streams(2, 1).set("PORTICO__ACCESS__DEFAULT", "visible")).await;
    let port = world.lines[0].address.port();
    let hers = world.asks_by_property("alice", &format!("tcp:{port}")).await;
    let public = world.public_port(&hers).await;
    let mut wire = Wire::to(public).await.unwrap();
    assert_eq!(wire.hears().await.as_deref(), Some("line 0"));
    world.sets_property(&hers, &format!("tcp:{port},access=owner"));
    wire.ends_within(PROMISE).await;
    world.is_refused(&hers, "needs_sign_in").await;
    until("the port is closed", async || {
        Wire::to(public).await.is_err().then_some(())
    })
    .await;
    world.sets_property(&hers, &format!("tcp:{port}"));
    until("the port is open again", async || who_answers(public).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_range_tcp_endpoints_are_refused() {
    let world = World::with(Plan {
        lines: 1,
        ..Plan::default()
    })
    .await;
    let hers = world.asks_tcp("alice", "hers", world.lines[0].address);
    world.is_refused(&hers, "streams_off").await;
    let (code, text) = explained(&world, &hers, None).await;
    assert_eq!(code, "streams_off", "{text}");
    assert_eq!(
        world.emulator.runtime(&hers)["external_address"],
        "127.0.0.1",
        "it is left alone"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_and_explain_show_the_port_and_what_goes_through_it() {
    let world = World::with(Plan::default().streams(3, 1)).await;
    let hers = world.asks_tcp("alice", "hers", world.lines[0].address);
    let port = world.public_port(&hers).await;
    let mut wire = Wire::to(port).await.unwrap();
    assert_eq!(wire.hears().await.as_deref(), Some("line 0"));
    wire.says("hello").await;
    let stream = within(PROMISE, "the status knows the connection", async || {
        let reply = asked(&world, Request::Status).await;
        assert!(
            reply.text.contains(&format!("{STREAMS}:{port} leads to")),
            "{}",
            reply.text
        );
        let stream = reply.report["streams"]["endpoints"][0].clone();
        (stream["connections"] == 1 && stream["sent"].as_u64()? >= 13).then_some(stream)
    })
    .await;
    assert_eq!(stream["task"], hers);
    assert_eq!(stream["address"], format!("{STREAMS}:{port}"));
    assert_eq!(stream["is_open"], true);
    for about in [
        hers.clone(),
        format!("{STREAMS}:{port}"),
        format!("tcp://{STREAMS}:{port}"),
    ] {
        let (code, text) = explained(&world, &about, None).await;
        assert_eq!(code, "", "{text}");
        assert!(
            text.contains("1 of 1 connections open") && text.contains(&hers),
            "{text}"
        );
    }
    let (code, text) = explained(&world, &format!("/service/{hers}/"), None).await;
    assert_eq!(code, "stream_only", "{text}");
    let events = std::fs::read_to_string(world.audit_file()).unwrap_or_default();
    let opened = until("the stream is in the audit", async || {
        let events = std::fs::read_to_string(world.audit_file()).ok()?;
        let opened = events.lines().find(|line| line.contains("\"stream_opened\""))?;
        serde_json::from_str::<Value>(opened).ok()
    })
    .await;
    assert_eq!(
        (&opened["task"], &opened["address"]),
        (&json!(hers), &json!("127.0.0.1")),
        "{events}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_session_keeps_secret_is_shown_nowhere() {
    let mut world = World::with(Plan::default().streams(2, 1).remembers()).await;
    let mut runtime = tcp_runtime(world.lines[0].address);
    for key in ["_ssh_password", "_user_key", "_user_secret", "_jupyter_token"] {
        runtime.insert(key.to_owned(), json!("hunter2-secret"));
    }
    let hers = world.asks_with("alice", "hers", runtime);
    let port = world.public_port(&hers).await;
    assert_eq!(who_answers(port).await.as_deref(), Some("line 0"));
    let mut shown = vec![
        ("status", asked(&world, Request::Status).await.text),
        ("status", asked(&world, Request::Status).await.report.to_string()),
        ("explain", explained(&world, &hers, None).await.1),
        ("metrics", world.metrics().await),
        ("observation", format!("{:?}", world.inside().observation.get())),
        ("table", format!("{:?}", world.inside().table.get())),
    ];
    world.stop_gateway().await.unwrap().unwrap();
    for file in std::fs::read_dir(world.audit_file().parent().unwrap()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        shown.push((
            "file",
            format!("{} {}", path.display(), String::from_utf8_lossy(&bytes)),
        ));
    }
    assert!(shown.len() > 7, "there are files to look into");
    for (where_, text) in shown {
        assert!(!text.contains("hunter2"), "{where_}: {text}");
    }
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_address_of_somebody_who_is_logged_in_gets_in() {
    let plan = Plan::default()
        .streams(2, 1)
        .set("PORTICO__STREAMS__ADMISSION", "signed-in")
        .set("PORTICO__ACCESS__DEFAULT", "owner");
    let world = World::with(plan).await;
    let hers = world.asks_tcp("alice", "hers", world.lines[0].address);
    let port = world.public_port(&hers).await;
    assert_eq!(who_answers(port).await, None, "nobody is logged in here");
    let bob = world.by_session("bob").await;
    bob.get(&format!("/service/{hers}/")).await;
    assert_eq!(who_answers(port).await, None, "it is not for him");
    let alice = world.by_session("alice").await;
    alice.get("/").await;
    let mut wire = within(PROMISE, "she gets in", async || {
        let mut wire = Wire::to(port).await.ok()?;
        (wire.hears().await? == "line 0").then_some(wire)
    })
    .await;
    wire.says("hello").await;
    let heard = match Wire::from(Ipv4Addr::new(127, 0, 0, 77), port).await {
        Ok(mut stranger) => stranger.hears().await,
        // Cut so soon that connecting tells.
        Err(_) => None,
    };
    assert_eq!(heard, None, "nobody is logged in there");
    let id = world.emulator.actor("alice").unwrap().id.clone();
    asked(&world, Request::RevokeUser { user: id }).await;
    wire.ends_within(PROMISE).await;
    assert_eq!(who_answers(port).await, None);
}
