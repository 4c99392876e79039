//! From "the task asks" to "the URL stands in the task", and back.

use std::time::Duration;

use portico_emulator::{FeatureSet, NewTask};
use serde_json::json;

use crate::world::{GATEWAY, Plan, World, runtime, until, within};

/// Promised are 5 s. What takes longer is told, and fails when no machine can be the reason.
const PROMISE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_asks_gets_its_url_and_keeps_it_without_further_writes() {
    let world = World::start().await;
    world.published(&world.resident, "endpoint").await;
    let task = world.asks("alice", "a notebook");
    let endpoint = within(PROMISE, "the URL is published", async || {
        world.emulator.runtime(&task).get("endpoint").cloned()
    })
    .await;
    assert_eq!(endpoint, json!(format!("{GATEWAY}/service/{task}/")));
    let browser = world.published(&task, "browser_endpoint").await;
    assert!(
        browser.starts_with(&format!("{GATEWAY}/_gateway/open?router=front-door&task={task}")),
        "{browser}"
    );

    world.polls(2).await;
    let writes = world.writes();
    assert!(writes > 0);
    world.polls(4).await;
    assert_eq!(world.writes(), writes, "nothing is written again");
    assert_eq!(world.emulator.unknown_calls(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_endpoints_of_a_task_are_published_in_one_edit_and_the_named_ones_by_their_slugs() {
    let world = World::with(Plan::default().applications(2)).await;
    let [one, two] = [0, 1].map(|at| world.applications[at].address);
    world.published(&world.resident, "endpoint").await;
    let before = world.writes();
    let task = world.asks_with("alice", "two", runtime(&[("My UI", one), ("api", two)]));
    let ui = world.published(&task, "endpoint__My UI").await;
    let api = world.published(&task, "endpoint__api").await;
    assert_eq!(ui, format!("{GATEWAY}/service/{task}__my-ui-66062e/"));
    assert_eq!(api, format!("{GATEWAY}/service/{task}__api/"));
    world.polls(3).await;
    assert_eq!(world.writes() - before, 1, "{:?}", world.emulator.calls());
    let kept = world.emulator.runtime(&task);
    assert_eq!(
        kept["_PORT__My UI"],
        json!(one.port()),
        "what the SDK wrote is still there"
    );

    let alice = world.by_basic("alice");
    for (path, name) in [("__my-ui-66062e/", "application 0"), ("__api/", "application 1")] {
        let answer = alice.get(&format!("/service/{task}{path}")).await;
        assert_eq!(answer.text(), format!("{name} says hello"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_urls_of_a_task_that_ends_are_withdrawn() {
    let world = World::start().await;
    let task = world.asks("alice", "a notebook");
    world.published(&task, "endpoint").await;
    world.emulator.set_status(&task, "completed");
    until("the URL is withdrawn", async || {
        let runtime = world.emulator.runtime(&task);
        ["endpoint", "browser_endpoint"]
            .iter()
            .all(|key| runtime.get(*key).is_none_or(serde_json::Value::is_null))
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_an_open_source_server_the_url_is_a_user_property_and_a_clone_loses_its_originals() {
    let world = World::with(Plan::basic()).await;
    assert_eq!(world.emulator.feature_set(), FeatureSet::Basic);
    let task = world.asks("alice", "original");
    let property = |task: &str| {
        let task = world.emulator.task(task).unwrap();
        let value = &task["hyperparams"]["properties"]["gateway_url"]["value"];
        value.as_str().map(str::to_owned)
    };
    let url = until("the property is set", async || property(&task)).await;
    assert_eq!(url, format!("{GATEWAY}/service/{task}/"));

    let clone = world.emulator.create_task(NewTask {
        user: "alice".to_owned(),
        name: "clone".to_owned(),
        runtime: runtime(&[("", world.closed[0])]),
        system_tags: vec!["external_service".to_owned()],
        properties: [("gateway_url".to_owned(), url.clone())].into(),
        ..NewTask::default()
    });
    until("the clone's property is its own", async || {
        (property(&clone)? == format!("{GATEWAY}/service/{clone}/")).then_some(())
    })
    .await;

    let draft = world.emulator.create_task(NewTask {
        user: "alice".to_owned(),
        name: "draft".to_owned(),
        status: "created".to_owned(),
        runtime: runtime(&[("", world.closed[1])]),
        system_tags: vec!["external_service".to_owned()],
        properties: [("gateway_url".to_owned(), url)].into(),
        ..NewTask::default()
    });
    until("the draft's property is removed", async || {
        property(&draft).is_none().then_some(())
    })
    .await;
    assert!(property(&task).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_somebody_overwrites_three_times_is_left_to_them() {
    let world = World::start().await;
    let task = world.asks("alice", "a notebook");
    let ours = world.published(&task, "endpoint").await;
    for round in 0..3 {
        let mut runtime = world.emulator.runtime(&task);
        runtime.insert("endpoint".to_owned(), json!(format!("http://another.test/{round}")));
        world.emulator.set_runtime(&task, runtime);
        if round < 2 {
            until("it is ours again", async || {
                (world.emulator.runtime(&task)["endpoint"] == json!(ours)).then_some(())
            })
            .await;
        }
    }
    let contested = until("it is contested", async || {
        world.inside().published.get().contested.first().cloned()
    })
    .await;
    assert_eq!(contested.task.to_string(), task);
    assert_eq!(contested.key, "endpoint");
    world.polls(2).await;
    assert_eq!(
        world.emulator.runtime(&task)["endpoint"],
        json!("http://another.test/2")
    );
    let answer = world.by_basic("alice").get(&format!("/service/{task}/")).await;
    assert_eq!(answer.status, 200, "the route itself is as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_on_trial_routes_and_writes_nothing() {
    let world = World::with(Plan::default().set("PORTICO__PUBLISH", "never")).await;
    let task = world.routed("alice", "a notebook").await;
    assert_eq!(
        world.by_basic("alice").get(&format!("/service/{task}/")).await.status,
        200
    );
    world.polls(3).await;
    assert_eq!(world.writes(), 0);
}
