//! `portico explain` and `status`, asked through the control socket as the commands ask it. What the answers look like in full is
//! shown beside the code that writes them.

use std::time::Duration;

use portico::control::{Reply, Request, ask};
use portico_core::secret::Secret;
use portico_emulator::NewTask;
use serde_json::json;

use crate::world::{Plan, World, runtime, until};

pub(crate) async fn asked(world: &World, request: Request) -> Reply {
    let socket = world.socket();
    let answer = tokio::task::spawn_blocking(move || ask(&socket, &request))
        .await
        .unwrap();
    answer.unwrap()
}

/// Code (empty: the way is open) and text.
pub(crate) async fn explained(world: &World, about: &str, user: Option<&str>) -> (String, String) {
    told(world, about, user, None).await
}

async fn told(world: &World, about: &str, user: Option<&str>, cookies: Option<&str>) -> (String, String) {
    let request = Request::Explain {
        asked: about.to_owned(),
        user: user.map(|user| world.emulator.actor(user).unwrap().id.clone()),
        cookies: cookies.map(Secret::new),
    };
    let reply = asked(world, request).await;
    let code = reply.report["endpoints"][0]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert_eq!(reply.is_good, code.is_empty(), "{}", reply.text);
    (code, reply.text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_obstacle_is_named_by_the_running_gateway() {
    let plan = Plan::default()
        .applications(4)
        .set("LISTEN_QUEUE_NAME", "gpu")
        .set("PORTICO__ACCESS__DEFAULT", "visible")
        .set("PORTICO__ACCESS__PROJECTS", "{closed: owner}");
    let world = World::with(plan).await;
    let task = |queue: &str, user: &str, address: &str| {
        world.emulator.create_task(NewTask {
            queue: Some(queue.to_owned()),
            ..NewTask::asking(user, "a task", address.parse().unwrap())
        })
    };
    let [open, contested, private, ended] = [0, 1, 2, 3].map(|at| world.applications[at].address.to_string());
    let open = task("gpu", "alice", &open);
    let claims = [task("gpu", "alice", &contested), task("gpu", "bob", &contested)];
    let private = task("gpu", "alice", &private);
    world.emulator.set(&private, "project", json!("closed"));
    let ended = task("gpu", "alice", &ended);
    let queue = task("cpu", "alice", "127.0.0.9:2000");
    let foreign = task("gpu", "alice", "10.1.2.3:80");
    let loopback = task("gpu", "alice", "127.0.0.1:1");
    let closed = task("gpu", "alice", &world.closed[0].to_string());
    let twins = task("gpu", "alice", "127.0.0.9:2001");
    let twin_names = runtime(&[("My UI", world.closed[1]), ("my-ui-66062e", world.closed[2])]);
    world.emulator.set_runtime(&twins, twin_names);
    let last = task("gpu", "alice", "127.0.0.9:2002");
    world.sees(&last).await;
    world.emulator.set_status(&ended, "stopped");
    until("the end is seen", async || {
        (explained(&world, &ended, None).await.0 == "ended").then_some(())
    })
    .await;

    let missing = "0123456789abcdef0123456789abcdef";
    let url = |task: &str| format!("http://gateway.test/service/{task}/");
    let cases = [
        (url(&open), Some("alice"), "", "Alice Archer"),
        (open.clone(), None, "", "leads to"),
        (url(missing), Some("alice"), "not_found", missing),
        (queue, Some("alice"), "wrong_queue", "cpu"),
        (
            foreign,
            Some("alice"),
            "address_refused",
            "discovery.networks: [\"10.1.2.3/32\"]",
        ),
        (loopback, Some("alice"), "address_refused", "Use 0.0.0.0"),
        (closed, Some("alice"), "not_listening", "0.0.0.0"),
        (open.clone(), Some("carol"), "not_found", "company"),
        (private, Some("bob"), "not_allowed", "owner"),
        (ended, Some("alice"), "ended", "stopped"),
        (twins, Some("alice"), "slug_collision", "Rename"),
        (claims[0].clone(), Some("alice"), "address_contested", &claims[1]),
        (
            format!("http://other.test/service/{open}/"),
            Some("alice"),
            "unknown_host",
            "http://gateway.test/service/",
        ),
    ];
    for (about, user, code, said) in cases {
        let (told, text) = explained(&world, &about, user).await;
        assert_eq!(told, code, "{about} for {user:?}: {text}");
        assert!(text.contains(said), "{about} for {user:?} without {said:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_session_is_told_from_one_that_is_good() {
    let world = World::start().await;
    let task = world.routed("alice", "hers").await;
    let alice = world.by_session("alice").await;
    let cookie = &alice.headers.iter().find(|(name, _)| name == "cookie").unwrap().1;
    assert_eq!(told(&world, &task, None, Some(cookie)).await.0, "");
    world.pass(Duration::from_hours(8 * 24));
    let (code, text) = told(&world, &task, None, Some(cookie)).await;
    assert_eq!(code, "log_in_required", "{text}");
    assert!(
        text.contains("expired") || text.contains("over") || text.contains("ended"),
        "{text}"
    );
    assert!(!text.contains(cookie.as_str()), "the cookie itself is not shown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_and_explain_tell_of_a_server_that_is_away() {
    let mut world = World::start().await;
    let task = world.routed("alice", "hers").await;
    let status = asked(&world, Request::Status).await;
    assert!(status.is_good, "{}", status.text);
    world.clearml_goes().await;
    until("the status is bad", async || {
        (!asked(&world, Request::Status).await.is_good).then_some(())
    })
    .await;
    let (_, text) = explained(&world, &task, Some("alice")).await;
    assert!(text.contains("ClearML"), "{text}");
    let (code, text) = explained(&world, &task, Some("bob")).await;
    assert_eq!(code, "clearml_away", "{text}");
    let missing = "0123456789abcdef0123456789abcdef";
    let (code, text) = explained(&world, missing, Some("alice")).await;
    assert!(["not_found", "clearml_away"].contains(&&*code), "{code}: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_s_revocation_ends_a_user_s_sessions() {
    let world = World::start().await;
    let task = world.routed("alice", "hers").await;
    let alice = world.by_session("alice").await;
    let path = format!("/service/{task}/");
    assert_eq!(alice.get(&path).await.status, 200);
    let user = world.emulator.actor("alice").unwrap().id.clone();
    let reply = asked(&world, Request::RevokeUser { user }).await;
    assert!(reply.is_good, "{}", reply.text);
    until("she is out", async || {
        (alice.get(&path).await.status == 401).then_some(())
    })
    .await;
    let again = world.by_session("alice").await;
    assert_eq!(again.get(&path).await.status, 200, "and may log in again");
    let audit = std::fs::read_to_string(world.audit_file()).unwrap_or_default();
    for secret in ["alice-pw", "-secret-of-the-emulator", "eyJ"] {
        assert!(!audit.contains(secret), "no secrets in the audit log");
    }
    until("the revocation is on record", async || {
        let audit = std::fs::read_to_string(world.audit_file()).ok()?;
        (audit.contains("session_revoked") && audit.contains("log_in")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_own_key_is_said_to_the_operator() {
    let plan = Plan::default().set("CLEARML_API_SECRET_KEY", "not-the-secret");
    let mut world = World::without_gateway(plan).await;
    world.start_gateway().await.unwrap();
    let missing = "0123456789abcdef0123456789abcdef";
    let text = until("explain says so", async || {
        let (code, text) = explained(&world, missing, None).await;
        (code == "own_key_rejected").then_some(text)
    })
    .await;
    assert!(text.contains("CLEARML_API_ACCESS_KEY"), "{text}");
    let status = asked(&world, Request::Status).await;
    assert!(!status.is_good);
    assert!(status.text.contains("key"), "{}", status.text);
    assert!(!status.text.contains("not-the-secret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_readiness_and_metrics_tell_of_a_gateway_that_is_well() {
    let world = World::start().await;
    let task = world.routed("alice", "hers").await;
    assert_eq!(
        world.by_basic("alice").get(&format!("/service/{task}/")).await.status,
        200
    );
    assert_eq!(
        world.by_basic("carol").get(&format!("/service/{task}/")).await.status,
        404
    );
    let operator = world.operator();
    assert_eq!(operator.get("/healthz").await.status, 200);
    assert_eq!(operator.get("/readyz").await.status, 200);
    let metrics = operator.get("/metrics").await.text();
    for line in [
        "portico_ready 1",
        "portico_own_key_accepted 1",
        "portico_routes 2",
        "portico_refusals_total{code=\"not_found\"} 1",
        "portico_source_failing_seconds 0",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    for name in [&*task, "alice", "hers", "a11ce"] {
        assert!(!metrics.contains(name), "{name} is in no label");
    }
    let health = asked(&world, Request::Health).await;
    assert!(health.is_good, "{}", health.text);
}
