//! The publisher: what it writes into tasks, what it leaves alone, and when it gives in.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use portico_clearml::{Publisher, PublisherSettings, PublisherStatus};
use portico_core::{
    access::Who,
    access_policy::AccessPolicy,
    dial::DialRules,
    live::{Live, Publish, live},
    routes::{Policy, RouteTable},
    site::{Origin, Site},
};
use portico_emulator::{Faults, FeatureSet, NewTask};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{Bench, eventually, settings, task_id},
    source::{Running, fast, run},
    stub::no,
};

pub(crate) const ROUTER: &str = "https://gateway.example.com";

/// A source, a table that follows it, and a publisher.
pub(crate) struct Gateway {
    pub(crate) source: Running,
    table: Live<RouteTable>,
    pub(crate) status: Live<PublisherStatus>,
    _stops: tokio_util::sync::DropGuard,
    _tasks: JoinSet<()>,
}

pub(crate) fn quick() -> PublisherSettings {
    PublisherSettings {
        tick: Duration::from_millis(10),
        first_write: Duration::ZERO,
        withdrawal: Duration::ZERO,
        writes_per_second: 1000.0,
        ..PublisherSettings::default()
    }
}

pub(crate) fn gateway(bench: &Bench, is_publishing: bool, settings: PublisherSettings) -> Gateway {
    let source = run(bench, fast(), None);
    let policy = Arc::new(Policy {
        queues: Vec::new(),
        dial: DialRules {
            networks: vec!["0.0.0.0/0".parse().unwrap()],
            ..DialRules::default()
        },
        access: AccessPolicy::only(Who::Owner),
        streams: None,
    });
    let (publish_table, table) = live(RouteTable::empty(policy.clone()));
    let (publish_status, status) = live(PublisherStatus::default());
    let site = Site {
        name: "main".into(),
        router: Origin::parse(ROUTER).unwrap(),
        console: None,
        extra_hosts: Vec::new(),
    };
    let publisher = Publisher::with(bench.clearml.clone(), Arc::new(site), is_publishing, settings);
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(follow(source.observation.clone(), policy, publish_table));
    tasks.spawn(publisher.run(
        table.clone(),
        source.observation.clone(),
        publish_status,
        source.nudge.clone(),
        shutdown.clone(),
    ));
    Gateway {
        source,
        table,
        status,
        _stops: shutdown.drop_guard(),
        _tasks: tasks,
    }
}

pub(crate) async fn follow(
    mut observation: Live<portico_core::observe::Observation>,
    policy: Arc<Policy>,
    table: Publish<RouteTable>,
) {
    while let Some(observed) = observation.changed().await {
        table.publish(RouteTable::build(&observed, &policy, Some(&table.get())));
    }
}

fn asking(runtime: &Value) -> NewTask {
    NewTask {
        runtime: runtime.as_object().unwrap().clone(),
        system_tags: vec!["external_service".into()],
        ..NewTask::default()
    }
}

fn unnamed() -> NewTask {
    NewTask::asking("alice", "a notebook", SocketAddr::from(([10, 1, 2, 3], 7860)))
}

pub(crate) fn text(map: &Map<String, Value>, key: &str) -> Option<String> {
    Some(map.get(key)?.as_str().unwrap().to_owned())
}

fn property(bench: &Bench, id: &str, name: &str) -> Option<String> {
    let task = bench.emulator().task(id)?;
    Some(
        task["hyperparams"]["properties"].get(name)?["value"]
            .as_str()?
            .to_owned(),
    )
}

pub(crate) async fn published(bench: &Bench, id: &str, key: &str, value: &str) {
    eventually(&format!("{key} = {value}"), || {
        // A write that was overwritten before it was seen is done again after a while.
        bench.clock.advance(Duration::from_millis(30));
        (text(&bench.emulator().runtime(id), key).as_deref() == Some(value)).then_some(())
    })
    .await;
}

/// Everything was written and seen.
pub(crate) async fn settled(gateway: &Gateway) {
    eventually("nothing pending", || {
        let status = gateway.status.get();
        (status.pending == 0 && status.writes > 0).then_some(())
    })
    .await;
}

pub(crate) fn url(id: &str) -> String {
    format!("{ROUTER}/service/{id}/")
}

#[tokio::test]
async fn an_unnamed_endpoint_is_published_key_by_key() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(unnamed());
    let gateway = gateway(&bench, true, quick());
    published(&bench, &id, "endpoint", &url(&id)).await;
    published(
        &bench,
        &id,
        "browser_endpoint",
        &format!("{ROUTER}/_gateway/open?router=main&task={id}"),
    )
    .await;
    settled(&gateway).await;
    assert_eq!(bench.calls("tasks.edit_runtime"), 1);
    assert_eq!(bench.calls("tasks.edit"), 0);
    assert_eq!(
        property(&bench, &id, "gateway_url"),
        None,
        "an enterprise server shows the address itself"
    );
    assert_eq!(
        text(&bench.emulator().runtime(&id), "_SERVICE").as_deref(),
        Some("EXTERNAL")
    );
}

#[tokio::test]
async fn named_endpoints_are_published_in_one_edit_that_keeps_every_other_key() {
    let bench = Bench::new().await;
    let before = json!({
        "_PORT": 80, "_ADDRESS": "10.1.2.3", "_PORT__My UI": "7860", "_ADDRESS__My UI": "10.1.2.3", "_PORT__api": 8000,
        "_ADDRESS__api": "10.1.2.3", "_jupyter_token": "hunter2\n", "progress": "7", "big": 12_345_678_901_234_567_890_u64,
        "float": 1.0, "nested": {"a": [1, null, {"b": "é"}]}, "a.b__c": true,
    });
    let id = bench.emulator().create_task(asking(&before));
    let gateway = gateway(&bench, true, quick());
    let slug = portico_core::endpoint::Slug::of("My UI");
    published(
        &bench,
        &id,
        "endpoint__My UI",
        &format!("{ROUTER}/service/{id}__{slug}/"),
    )
    .await;
    published(&bench, &id, "endpoint__api", &format!("{ROUTER}/service/{id}__api/")).await;
    published(&bench, &id, "endpoint", &url(&id)).await;
    settled(&gateway).await;
    assert_eq!(bench.calls("tasks.edit"), 1);
    assert_eq!(bench.calls("tasks.edit_runtime"), 0);
    let mut after = bench.emulator().runtime(&id);
    after.retain(|key, _| !key.starts_with("endpoint") && !key.starts_with("browser_endpoint"));
    assert_eq!(Value::Object(after), before);
}

#[tokio::test]
async fn nothing_is_written_as_a_heartbeat() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(unnamed());
    let gateway = gateway(&bench, true, quick());
    published(&bench, &id, "endpoint", &url(&id)).await;
    settled(&gateway).await;
    let (writes, reads) = (gateway.status.get().writes, bench.calls("tasks.get_all_ex"));
    eventually("many more looks", || {
        (bench.calls("tasks.get_all_ex") > reads + 30).then_some(())
    })
    .await;
    assert_eq!(gateway.status.get().writes, writes);
    assert_eq!(bench.calls("tasks.edit_runtime"), 1);
}

#[tokio::test]
async fn on_an_open_source_server_people_find_the_address_among_the_properties() {
    let bench = Bench::with(FeatureSet::Basic, |_| ()).await;
    let id = bench.emulator().create_task(asking(&json!({
        "_PORT": 80, "_ADDRESS": "10.1.2.3", "_PORT__api": 81, "_ADDRESS__api": "10.1.2.3",
    })));
    let gateway = gateway(&bench, true, quick());
    published(&bench, &id, "endpoint", &url(&id)).await;
    settled(&gateway).await;
    assert_eq!(property(&bench, &id, "gateway_url").as_deref(), Some(&*url(&id)));
    assert_eq!(
        property(&bench, &id, "gateway_url__api"),
        Some(format!("{ROUTER}/service/{id}__api/"))
    );
    bench.emulator().set_status(&id, "completed");
    eventually("withdrawal", || {
        property(&bench, &id, "gateway_url").is_none().then_some(())
    })
    .await;
    eventually("withdrawal", || {
        property(&bench, &id, "gateway_url__api").is_none().then_some(())
    })
    .await;
    assert_eq!(bench.emulator().unknown_calls(), []);
}

#[tokio::test]
async fn a_clone_loses_the_address_of_the_task_that_it_was_made_from() {
    let bench = Bench::with(FeatureSet::Basic, |_| ()).await;
    let original = bench.emulator().create_task(unnamed());
    let gateway = gateway(&bench, true, quick());
    published(&bench, &original, "endpoint", &url(&original)).await;
    let properties = [
        ("gateway_url".to_owned(), url(&original)),
        ("mine".to_owned(), "kept".to_owned()),
    ];
    let clone = |status: &str| NewTask {
        status: status.into(),
        system_tags: vec!["external_service".into()],
        properties: properties.clone().into(),
        ..NewTask::default()
    };
    for status in ["created", "in_progress"] {
        let id = bench.emulator().create_task(clone(status));
        eventually("removal", || {
            property(&bench, &id, "gateway_url").is_none().then_some(())
        })
        .await;
        assert_eq!(property(&bench, &id, "mine").as_deref(), Some("kept"));
    }
    assert_eq!(
        property(&bench, &original, "gateway_url").as_deref(),
        Some(&*url(&original))
    );
    drop(gateway);
}

#[tokio::test]
async fn an_ended_task_loses_our_addresses_and_keeps_others() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(asking(&json!({
        "_PORT": 80, "_ADDRESS": "10.1.2.3", "_PORT__api": 81, "_ADDRESS__api": "10.1.2.3",
        "endpoint__other": "https://other.example.com/service/x/", "secret": "kept",
    })));
    let gateway = gateway(&bench, true, quick());
    published(&bench, &id, "endpoint__api", &format!("{ROUTER}/service/{id}__api/")).await;
    settled(&gateway).await;
    bench.emulator().set_status(&id, "stopped");
    eventually("withdrawal", || {
        let runtime = bench.emulator().runtime(&id);
        let ours = runtime
            .values()
            .any(|value| value.as_str().is_some_and(|value| value.starts_with(ROUTER)));
        (!ours).then_some(())
    })
    .await;
    let runtime = bench.emulator().runtime(&id);
    assert_eq!(
        text(&runtime, "endpoint__other").as_deref(),
        Some("https://other.example.com/service/x/")
    );
    assert_eq!(text(&runtime, "secret").as_deref(), Some("kept"));
    assert_eq!(runtime["_PORT"], json!(80));
}

#[tokio::test]
async fn a_task_that_asks_no_more_loses_our_address() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(asking(&json!({
        "_PORT": 80, "_ADDRESS": "10.1.2.3", "_PORT__api": 81, "_ADDRESS__api": "10.1.2.3",
    })));
    let gateway = gateway(&bench, true, quick());
    published(&bench, &id, "endpoint__api", &format!("{ROUTER}/service/{id}__api/")).await;
    let mut runtime = bench.emulator().runtime(&id);
    runtime.remove("_PORT__api");
    bench.emulator().set_runtime(&id, runtime);
    eventually("withdrawal", || {
        (!bench.emulator().runtime(&id).contains_key("endpoint__api")).then_some(())
    })
    .await;
    assert_eq!(text(&bench.emulator().runtime(&id), "endpoint"), Some(url(&id)));
    drop(gateway);
}

/// What the SDK does: it reads the whole runtime, changes it in memory, and writes it back whole.
fn sdk_writes_back(bench: &Bench, id: &str, stale: &Map<String, Value>, progress: u32) {
    let mut runtime = stale.clone();
    runtime.insert("progress".into(), json!(progress.to_string()));
    bench.emulator().set_runtime(id, runtime);
}

#[tokio::test]
async fn what_the_sdk_erased_by_its_own_write_is_published_again() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(unnamed());
    let stale = bench.emulator().runtime(&id);
    let gateway = gateway(&bench, true, quick());
    for progress in 1..=4 {
        published(&bench, &id, "endpoint", &url(&id)).await;
        settled(&gateway).await;
        sdk_writes_back(&bench, &id, &stale, progress);
    }
    published(&bench, &id, "endpoint", &url(&id)).await;
    assert_eq!(text(&bench.emulator().runtime(&id), "progress").as_deref(), Some("4"));
    assert_eq!(gateway.status.get().contested, [], "an erased key is no contest");
}

#[tokio::test]
async fn a_key_that_somebody_overwrites_three_times_is_left_alone() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(unnamed());
    let calm = bench
        .emulator()
        .create_task(asking(&json!({"_PORT": 81, "_ADDRESS": "10.1.2.3"})));
    let gateway = gateway(&bench, true, quick());
    let theirs = "https://other.example.com/service/x/";
    for _ in 0..3 {
        published(&bench, &id, "endpoint", &url(&id)).await;
        bench.emulator().set(&id, "runtime.endpoint", json!(theirs));
    }
    let contested = eventually("contest", || {
        bench.clock.advance(Duration::from_millis(100));
        gateway.status.get().contested.first().cloned()
    })
    .await;
    assert_eq!((contested.task, contested.key.as_str()), (task_id(&id), "endpoint"));
    let reads = bench.calls("tasks.get_all_ex");
    eventually("many more looks", || {
        (bench.calls("tasks.get_all_ex") > reads + 30).then_some(())
    })
    .await;
    assert_eq!(
        text(&bench.emulator().runtime(&id), "endpoint").as_deref(),
        Some(theirs)
    );
    assert_eq!(text(&bench.emulator().runtime(&calm), "endpoint"), Some(url(&calm)));
    assert_eq!(gateway.status.get().pending, 0);
    // The other one gave in.
    let mut runtime = bench.emulator().runtime(&id);
    runtime.remove("endpoint");
    bench.emulator().set_runtime(&id, runtime);
    published(&bench, &id, "endpoint", &url(&id)).await;
    eventually("peace", || gateway.status.get().contested.is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_gateway_that_is_not_to_publish_writes_nothing() {
    let bench = Bench::with(FeatureSet::Basic, |_| ()).await;
    let id = bench.emulator().create_task(unnamed());
    let before = bench.emulator().task(&id);
    let gateway = gateway(&bench, false, quick());
    eventually("a route", || (gateway.table.get().len() == 1).then_some(())).await;
    let reads = bench.calls("tasks.get_all_ex");
    eventually("many more looks", || {
        (bench.calls("tasks.get_all_ex") > reads + 20).then_some(())
    })
    .await;
    assert_eq!(bench.emulator().task(&id), before);
}

#[tokio::test]
async fn a_server_without_the_key_by_key_call_is_written_whole() {
    let (bench, _stub) = Bench::behind(|call| (call == "tasks.edit_runtime").then(|| no(404, 0))).await;
    let id = bench.emulator().create_task(unnamed());
    let gateway = gateway(&bench, true, quick());
    published(&bench, &id, "endpoint", &url(&id)).await;
    settled(&gateway).await;
    assert_eq!(bench.calls("tasks.edit"), 1);
}

#[tokio::test]
async fn a_write_that_fails_is_told_and_done_later() {
    let bench = Bench::new().await;
    let failing = vec!["tasks.edit_runtime".into(), "tasks.edit".into()];
    bench.faults(Faults {
        endpoints: failing,
        unreachable: true,
        ..Faults::default()
    });
    let id = bench.emulator().create_task(unnamed());
    let gateway = gateway(&bench, true, quick());
    let error = eventually("failure", || gateway.status.get().last_error.clone()).await;
    assert_eq!((error.task, error.reason), (task_id(&id), "unreachable"));
    assert!(gateway.status.get().pending > 0 && gateway.status.get().failures > 0);
    assert!(!bench.emulator().runtime(&id).contains_key("endpoint"));
    bench.faults(Faults::default());
    // The pauses between the tries are those of the clock that the test holds.
    eventually("publication", || {
        bench.clock.advance(Duration::from_millis(100));
        bench.emulator().runtime(&id).contains_key("endpoint").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_runtime_that_lacks_what_the_task_asked_is_not_written_back() {
    let bench = Bench::new().await;
    let id = bench
        .emulator()
        .create_task(asking(&json!({"_PORT__api": 81, "_ADDRESS__api": "10.1.2.3"})));
    // The first write waits for the clock.
    let settings = PublisherSettings {
        first_write: Duration::from_secs(1),
        ..quick()
    };
    let mut gateway = gateway(&bench, true, settings);
    eventually("a wish to write", || (gateway.status.get().pending == 1).then_some(())).await;
    gateway.source.stop().await;
    bench.emulator().set_runtime(&id, Map::new());
    let reads = bench.calls("tasks.get_all_ex");
    // Between two looks it could have written.
    eventually("a second look before the write", || {
        bench.clock.advance(Duration::from_secs(2));
        (bench.calls("tasks.get_all_ex") > reads + 1).then_some(())
    })
    .await;
    assert_eq!(bench.calls("tasks.edit"), 0);
    assert_eq!(bench.emulator().runtime(&id), Map::new());
}

#[tokio::test]
async fn an_address_is_published_within_seconds_with_the_usual_settings() {
    let bench = Bench::new().await;
    let source = run(&bench, portico_clearml::SourceSettings::default(), None);
    eventually("a complete observation", || source.health.get().observed).await;
    drop(source);
    let clock: Arc<dyn portico_core::clock::Clock> = Arc::new(RealTime(bench.clock.clone(), std::time::Instant::now()));
    let keys = Live::fixed(crate::bench::key_of(bench.emulator(), "bob"));
    let clearml = portico_clearml::Clearml::new(settings(&bench.server.url(), keys), clock).unwrap();
    let bench = Bench { clearml, ..bench };
    let gateway = gateway(&bench, true, PublisherSettings::default());
    eventually("a complete observation", || gateway.source.health.get().observed).await;
    let runtime = json!({"_PORT__api": 81, "_ADDRESS__api": "10.1.2.3"});
    let id = bench.emulator().create_task(asking(&runtime));
    published(&bench, &id, "endpoint__api", &format!("{ROUTER}/service/{id}__api/")).await;
}

/// A clock that goes.
struct RealTime(portico_core::clock::ManualClock, std::time::Instant);

impl portico_core::clock::Clock for RealTime {
    fn now(&self) -> portico_core::clock::Timestamp {
        self.0.now().plus(self.1.elapsed())
    }
}

#[tokio::test]
async fn tasks_that_always_differ_keep_none_from_its_turn() {
    const NOISY: u8 = 60;
    let bench = Bench::new().await;
    let mut ids: Vec<String> = (0..=NOISY)
        .map(|at| {
            let address = SocketAddr::from(([10, 1, 2, at], 7860));
            let task = NewTask::asking("alice", "a notebook", address);
            bench.emulator().create_task(task)
        })
        .collect();
    ids.sort();
    let quiet = ids.pop().unwrap();
    let settings = PublisherSettings {
        vanished_limit: usize::MAX,
        writes_per_second: 20.0,
        burst: 1,
        ..quick()
    };
    let gateway = gateway(&bench, true, settings);
    // Each noisy task erases its address as soon as it is seen there.
    eventually("a turn for each, and a second one for many", || {
        for id in &ids {
            let is_seen =
                |task: &portico_core::observe::ObservedTask| task.published.iter().any(|p| p.endpoint.is_some());
            if gateway.source.task(id).is_some_and(|task| is_seen(&task)) {
                let mut runtime = bench.emulator().runtime(id);
                runtime.remove("endpoint");
                bench.emulator().set_runtime(id, runtime);
            }
        }
        // A task has two addresses, each a call of its own.
        (bench.calls("tasks.edit_runtime") >= 3 * (u64::from(NOISY) + 1)).then_some(())
    })
    .await;
    assert_eq!(text(&bench.emulator().runtime(&quiet), "endpoint"), Some(url(&quiet)));
}

#[tokio::test]
async fn a_key_that_vanishes_too_often_is_written_again_when_the_window_has_passed() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(unnamed());
    let stale = bench.emulator().runtime(&id);
    let settings = PublisherSettings {
        vanished_limit: 3,
        recheck: Duration::from_millis(50),
        ..quick()
    };
    let gateway = gateway(&bench, true, settings);
    for progress in 1..=3 {
        published(&bench, &id, "endpoint", &url(&id)).await;
        settled(&gateway).await;
        sdk_writes_back(&bench, &id, &stale, progress);
    }
    eventually("contest", || (!gateway.status.get().contested.is_empty()).then_some(())).await;
    let contested = gateway.status.get().contested.clone();
    // While another task is served, this one is left alone.
    let elsewhere = SocketAddr::from(([10, 1, 2, 4], 7860));
    let other = NewTask::asking("alice", "another notebook", elsewhere);
    let other = bench.emulator().create_task(other);
    published(&bench, &other, "endpoint", &url(&other)).await;
    settled(&gateway).await;
    assert_eq!(gateway.status.get().contested, contested);
    assert!(!bench.emulator().runtime(&id).contains_key("endpoint"));
    // Nothing else is observed meanwhile.
    bench.clock.advance(Duration::from_mins(6));
    published(&bench, &id, "endpoint", &url(&id)).await;
}
