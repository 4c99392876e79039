//! Tasks that make no sense: their owners are told, and nobody else loses anything.

use portico_emulator::NewTask;
use serde_json::{Map, Value, json};

use crate::world::{Plan, World, runtime, until};

fn with_port(port: Value) -> Map<String, Value> {
    let mut runtime = Map::from_iter([
        ("_SERVICE".to_owned(), json!("EXTERNAL")),
        ("_ADDRESS".to_owned(), json!("127.0.0.1")),
    ]);
    runtime.insert("_PORT".to_owned(), port);
    runtime
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absurd_requests_are_refused_to_their_owners_and_cost_nobody_else_anything() {
    let world = World::start().await;
    let good = world.routed("bob", "good").await;
    let port = world.applications[0].address.port();
    let with_address = |address: Value| {
        let mut runtime = with_port(json!(port));
        runtime.insert("_ADDRESS".to_owned(), address);
        runtime
    };
    let fault = "bad_request_of_task";
    let cases = [
        ("port 0", with_port(json!(0)), fault, "0 is not between 1 and 65535"),
        (
            "port 70000",
            with_port(json!(70000)),
            fault,
            "70000 is not between 1 and 65535",
        ),
        ("a negative port", with_port(json!(-1)), fault, "-1 is not between"),
        (
            "a port in text",
            with_port(json!("70000")),
            fault,
            "70000 is not between",
        ),
        (
            "text for a port",
            with_port(json!("<script>")),
            fault,
            "is not a number",
        ),
        (
            "1 MB for a port",
            with_port(json!("9".repeat(1 << 20))),
            fault,
            "the port",
        ),
        ("no port", with_port(Value::Null), fault, "the port"),
        ("a list for a port", with_port(json!([8888])), fault, "a list"),
        ("a map for a port", with_port(json!({"a": {"b": 1}})), fault, "a map"),
        ("a broken number", with_port(json!(88.5)), fault, "88.5"),
        (
            "a name for an address",
            with_address(json!("localhost")),
            fault,
            "is not an IP address",
        ),
        (
            "1 MB for an address",
            with_address(json!("a".repeat(1 << 20))),
            fault,
            "is not an IP address",
        ),
        (
            "a number for an address",
            with_address(json!(7)),
            fault,
            "is not an IP address",
        ),
        ("no address", with_address(Value::Null), "address_refused", "not known"),
        (
            "another's loopback",
            with_address(json!("127.0.0.77")),
            "address_refused",
            "127.0.0.77",
        ),
        (
            "metadata",
            with_address(json!("169.254.169.254")),
            "address_refused",
            "169.254.169.254",
        ),
        (
            "nobody's word",
            with_address(json!("10.9.8.7")),
            "address_refused",
            "10.9.8.7",
        ),
    ];
    let alice = world.by_basic("alice");
    let tasks = cases.map(|(what, runtime, code, said)| (world.asks_with("alice", what, runtime), what, code, said));
    for (task, what, code, said) in tasks {
        world.sees(&task).await;
        let answer = alice.get(&format!("/service/{task}/")).await;
        assert_eq!(
            (answer.status, &*answer.code()),
            (502, code),
            "{what}: {}",
            answer.text()
        );
        assert!(answer.text().contains(said), "{what}: {}", answer.text());
        assert!(answer.body.len() < 4096, "{what}: {} bytes", answer.body.len());
        let page = alice.opens(&format!("/service/{task}/")).await;
        assert_eq!(page.status, 502);
        assert!(!page.text().contains("<script>"), "{what}: names are escaped");
    }
    let no_keys = world.asks_with("alice", "nothing", Map::new());
    let answer = alice.get(&format!("/service/{no_keys}/")).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert_eq!(
        world.by_basic("bob").get(&format!("/service/{good}/")).await.status,
        200
    );
    assert!(world.inside().health.get().failing.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_text_is_a_port() {
    let world = World::start().await;
    let port = world.applications[0].address.port();
    let task = world.asks_with("alice", "text", with_port(json!(port.to_string())));
    world.sees(&task).await;
    assert_eq!(
        world.by_basic("alice").get(&format!("/service/{task}/")).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_all_kinds_get_a_url_each() {
    let names = ["a/b", "x.y", "p__q", "🙂", "..", "<b>\"&", "x.y ", &"n".repeat(200)];
    let world = World::with(Plan::default().applications(names.len())).await;
    let endpoints: Vec<_> = (names.iter().zip(&world.applications))
        .map(|(name, application)| (*name, application.address))
        .collect();
    let task = world.asks_with("alice", "\"><script>alert(1)</script>\u{202e}", runtime(&endpoints));
    let alice = world.by_basic("alice");
    for (name, application) in names.iter().zip(&world.applications) {
        let url = world.published(&task, &format!("endpoint__{name}")).await;
        let path = url.strip_prefix("http://gateway.test").unwrap();
        let slug = path.trim_end_matches('/').split("__").nth(1).unwrap();
        assert!(
            slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
            "{name}: {slug}"
        );
        let answer = alice.get(path).await;
        assert_eq!(answer.text(), format!("{} says hello", application.name), "{name}");
    }
    let mut browser = world.browser();
    browser.log_in("alice").await;
    let list = browser.go("http://console.test/").await;
    assert!(
        list.text().contains("&#60;script&#62;") || list.text().contains("&lt;script&gt;"),
        "{}",
        list.text()
    );
    assert!(!list.text().contains("<script>"), "the task's name is escaped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_names_with_one_slug_are_both_refused_with_the_reason() {
    let world = World::with(Plan::default().applications(2)).await;
    let [one, two] = [0, 1].map(|at| world.applications[at].address);
    let task = world.asks_with("alice", "twins", runtime(&[("My UI", one), ("my-ui-66062e", two)]));
    world.sees(&task).await;
    let answer = world
        .by_basic("alice")
        .get(&format!("/service/{task}__my-ui-66062e/"))
        .await;
    assert_eq!(answer.verdict(), (502, "slug_collision".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_two_owners_claim_is_given_to_neither() {
    let world = World::with(Plan::default().set("PORTICO__ACCESS__DEFAULT", "visible")).await;
    let hers = world.routed("alice", "hers").await;
    let alice = world.by_basic("alice");
    assert_eq!(alice.get(&format!("/service/{hers}/")).await.status, 200);
    let his = world.routed("bob", "his").await;
    let bob = world.by_basic("bob");
    until("both are refused", async || {
        (alice.tries(&format!("/service/{hers}/")).await?.status == 502).then_some(())
    })
    .await;
    for (visitor, task, other) in [(&alice, &hers, &his), (&bob, &his, &hers), (&bob, &hers, &his)] {
        let answer = visitor.get(&format!("/service/{task}/")).await;
        assert_eq!(answer.verdict(), (502, "address_contested".to_owned()));
        assert!(answer.text().contains(other), "{}", answer.text());
    }
    world.emulator.set_status(&his, "stopped");
    until("hers is back", async || {
        (alice.get(&format!("/service/{hers}/")).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_owner_s_claims_the_newest_wins() {
    let world = World::start().await;
    let old = world.routed("alice", "old").await;
    let new = world.asks("alice", "new");
    world.emulator.set(&new, "started", json!("2100-01-01T00:00:00+00:00"));
    world.sees(&new).await;
    let alice = world.by_basic("alice");
    until("the new one leads there", async || {
        (alice.get(&format!("/service/{new}/")).await.status == 200).then_some(())
    })
    .await;
    let answer = alice.get(&format!("/service/{old}/")).await;
    assert_eq!(answer.verdict(), (502, "superseded".to_owned()));
    assert!(answer.text().contains(&new), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_listed_queues_are_served() {
    let world = World::with(Plan::default().applications(2).set("LISTEN_QUEUE_NAME", "'gpu other'")).await;
    let task = |queue: &str, at: usize| {
        world.emulator.create_task(NewTask {
            queue: Some(queue.to_owned()),
            ..NewTask::asking("alice", queue, world.applications[at].address)
        })
    };
    let (served, other) = (task("gpu", 0), task("cpu", 1));
    world.sees(&served).await;
    world.sees(&other).await;
    let alice = world.by_basic("alice");
    until("the queue's task is served", async || {
        (alice.get(&format!("/service/{served}/")).await.status == 200).then_some(())
    })
    .await;
    let answer = alice.get(&format!("/service/{other}/")).await;
    assert_eq!(answer.verdict(), (404, "wrong_queue".to_owned()));
    assert!(answer.text().contains("cpu"), "{}", answer.text());
}
