//! The source: what it sees, what it believes, and how often it asks.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use portico_clearml::{Saved, Source, SourceSettings};
use portico_core::{
    endpoint::{Protocol, TaskId},
    live::{Live, Nudge, live},
    observe::{Observation, ObservedTask, RequestFault, SourceHealth, TaskStatus},
};
use portico_emulator::{Emulator, NewTask};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, eventually, task_id};

/// A running source, fast enough for tests.
pub(crate) struct Running {
    pub(crate) observation: Live<Observation>,
    pub(crate) health: Live<SourceHealth>,
    pub(crate) nudge: Nudge,
    _stops: tokio_util::sync::DropGuard,
    tasks: JoinSet<()>,
}

pub(crate) fn fast() -> SourceSettings {
    SourceSettings {
        busy: Duration::from_millis(10),
        idle: Duration::from_millis(30),
        full: Duration::from_millis(200),
        workers: Duration::from_millis(100),
        requests_per_second: 100.0,
        burst: 1000,
        ..SourceSettings::default()
    }
}

pub(crate) fn run(bench: &Bench, settings: SourceSettings, initial: Option<Saved>) -> Running {
    run_with(bench, settings, initial, Live::fixed(BTreeSet::new()))
}

/// With the tasks for which pods ask.
fn run_with(
    bench: &Bench,
    settings: SourceSettings,
    initial: Option<Saved>,
    annotated: Live<BTreeSet<TaskId>>,
) -> Running {
    let source = Source::new(bench.clearml.clone(), settings, initial).with_annotated(annotated);
    let (publish, observation) = live(Observation::default());
    let (publish_health, health) = live(SourceHealth::default());
    let (nudge, shutdown) = (Nudge::default(), CancellationToken::new());
    let mut tasks = JoinSet::new();
    tasks.spawn(source.run(publish, publish_health, nudge.clone(), shutdown.clone()));
    Running {
        observation,
        health,
        nudge,
        _stops: shutdown.drop_guard(),
        tasks,
    }
}

impl Running {
    pub(crate) fn task(&self, id: &str) -> Option<Arc<ObservedTask>> {
        self.observation.get().task(task_id(id)).cloned()
    }

    pub(crate) async fn sees(&self, what: &str, id: &str, is_so: impl Fn(&ObservedTask) -> bool) -> Arc<ObservedTask> {
        eventually(what, || self.task(id).filter(|task| is_so(task))).await
    }

    /// Asks no more; what was observed stays.
    pub(crate) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    pub(crate) async fn is_up(&self) {
        eventually("a complete observation", || self.health.get().observed).await;
    }

    pub(crate) async fn sees_no_more(&self, what: &str, id: &str) {
        eventually(what, || self.task(id).is_none().then_some(())).await;
    }
}

fn address() -> SocketAddr {
    "10.1.2.3:7860".parse().unwrap()
}

pub(crate) fn asking(emulator: &Emulator) -> String {
    emulator.create_task(NewTask::asking("alice", "a notebook", address()))
}

#[tokio::test]
async fn a_task_that_asks_is_seen_with_everything_that_decisions_need() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(NewTask {
        queue: Some("gpu".into()),
        ..NewTask::asking("alice", "a notebook", address())
    });
    let running = run(&bench, fast(), None);
    let task = running.sees("the task", &id, |_| true).await;
    let alice = bench.emulator().actor("alice").unwrap();
    assert_eq!(&*task.name, "a notebook");
    assert_eq!(task.owner.as_str(), alice.id);
    assert_eq!(task.company.as_str(), alice.company);
    assert_eq!(task.queue.as_deref(), Some("gpu"));
    assert_eq!(task.status, TaskStatus::InProgress);
    assert!(task.started.is_some());
    assert_eq!(task.requests.len(), 1);
    let ask = task.requests[0].ask.as_ref().unwrap();
    assert_eq!((ask.claimed, ask.port), (Some(address().ip()), 7860));
    assert_eq!(task.requests[0].protocol, Protocol::Http);
}

#[tokio::test]
async fn a_task_that_asks_later_is_seen_soon() {
    let bench = Bench::new().await;
    let running = run(&bench, fast(), None);
    running.is_up().await;
    let id = bench.emulator().create_task(NewTask::default());
    let runtime = json!({"_SERVICE": "EXTERNAL", "_ADDRESS": "10.1.2.3", "_PORT": 80});
    bench.emulator().set_runtime(&id, runtime.as_object().unwrap().clone());
    bench
        .emulator()
        .set_system_tags(&id, &["development", "external_service"]);
    running.sees("the task", &id, |_| true).await;
}

#[tokio::test]
async fn a_worker_s_address_vouches_for_its_tasks() {
    let bench = Bench::new().await;
    let id = asking(bench.emulator());
    bench.emulator().set(&id, "last_worker", json!("node1:gpu0"));
    let running = run(&bench, fast(), None);
    let task = running.sees("the task", &id, |_| true).await;
    assert_eq!(task.addresses, Vec::<std::net::IpAddr>::new());
    register_worker(&bench, "node1:gpu0").await;
    let task = running.sees("the worker", &id, |task| !task.addresses.is_empty()).await;
    assert_eq!(task.addresses, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
}

/// The agent's call, by the agent's own way: HTTP with a key.
pub(crate) async fn register_worker(bench: &Bench, worker: &str) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let body = json!({"worker": worker, "timeout": 600}).to_string();
    let token = bench.emulator().token("alice").unwrap();
    let request = format!(
        "POST /workers.register HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(bench.server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_stopped_task_stays_as_ended_for_a_day() {
    let bench = Bench::new().await;
    let id = asking(bench.emulator());
    let running = run(&bench, fast(), None);
    running.sees("the task", &id, |_| true).await;
    bench.emulator().set_status(&id, "stopped");
    running
        .sees("the end", &id, |task| task.status == TaskStatus::Stopped)
        .await;
    bench.clock.advance(Duration::from_hours(23));
    let restarted = run(&bench, fast(), None);
    restarted.is_up().await;
    assert!(running.task(&id).is_some(), "an ended task is remembered for a day");
    bench.clock.advance(Duration::from_hours(2));
    running.sees_no_more("forgetting it after a day", &id).await;
}

#[tokio::test]
async fn a_task_that_loses_its_tag_leaves() {
    let bench = Bench::new().await;
    let id = asking(bench.emulator());
    let running = run(&bench, fast(), None);
    running.sees("the task", &id, |_| true).await;
    bench.emulator().set_system_tags(&id, &["development"]);
    running.sees_no_more("leaving without the tag", &id).await;
}

#[tokio::test]
async fn a_deleted_task_leaves() {
    let bench = Bench::new().await;
    let (id, other) = (asking(bench.emulator()), asking(bench.emulator()));
    let running = run(&bench, fast(), None);
    running.sees("the task", &id, |_| true).await;
    bench.emulator().delete_task(&id);
    running.sees_no_more("the deleted task", &id).await;
    assert!(running.task(&other).is_some());
    bench.emulator().delete_task(&other);
    running.sees_no_more("the last task", &other).await;
}

#[tokio::test]
async fn a_stopped_task_that_runs_again_is_seen_with_its_new_address() {
    let bench = Bench::new().await;
    let id = asking(bench.emulator());
    let running = run(&bench, fast(), None);
    running.sees("the task", &id, |_| true).await;
    bench.emulator().set_status(&id, "stopped");
    running
        .sees("the end", &id, |task| task.status == TaskStatus::Stopped)
        .await;
    bench.emulator().set_status(&id, "in_progress");
    let runtime = json!({"_ADDRESS": "10.1.2.4", "_PORT": 81});
    bench.emulator().set_runtime(&id, runtime.as_object().unwrap().clone());
    running
        .sees("the new address", &id, |task| {
            task.status == TaskStatus::InProgress && task.requests[0].ask.as_ref().is_ok_and(|ask| ask.port == 81)
        })
        .await;
}

#[tokio::test]
async fn a_task_that_asks_by_property_is_seen_and_leaves() {
    let bench = Bench::new().await;
    let properties = [(
        "portico".to_owned(),
        "ui=http:7860,access=owner; bad=http:zero".to_owned(),
    )]
    .into();
    let id = bench.emulator().create_task(NewTask {
        properties,
        ..NewTask::default()
    });
    let running = run(&bench, fast(), None);
    let task = running.sees("the task", &id, |_| true).await;
    assert_eq!(task.requests[0].ask, Err(RequestFault::PortNotANumber("zero".into())));
    assert_eq!(task.requests[1].name.as_deref(), Some("ui"));
    bench.emulator().set_status(&id, "completed");
    running
        .sees("the end", &id, |task| task.status == TaskStatus::Completed)
        .await;
}

#[tokio::test]
async fn a_property_that_is_changed_or_removed_is_seen() {
    let bench = Bench::new().await;
    let properties = [("portico".to_owned(), "http:7860".to_owned())].into();
    let id = bench.emulator().create_task(NewTask {
        properties,
        ..NewTask::default()
    });
    let running = run(&bench, fast(), None);
    running.sees("the task", &id, |_| true).await;
    bench
        .emulator()
        .set(&id, "hyperparams.properties.portico.value", json!("http:7861"));
    running
        .sees("the other port", &id, |task| {
            task.requests[0].ask.as_ref().is_ok_and(|ask| ask.port == 7861)
        })
        .await;
    bench.emulator().set(&id, "hyperparams.properties", json!({}));
    running.sees_no_more("leaving without the property", &id).await;
}

#[tokio::test]
async fn a_task_for_which_only_its_pod_asks_is_seen_until_nothing_of_it_is_published() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(NewTask::default());
    let (publish, annotated) = live(BTreeSet::new());
    let running = run_with(&bench, fast(), None, annotated);
    running.is_up().await;
    assert_eq!(running.task(&id), None, "nobody asks");

    publish.publish(BTreeSet::from([task_id(&id)]));
    let task = running.sees("the task of the pod", &id, |_| true).await;
    assert_eq!((task.status, task.requests.len()), (TaskStatus::InProgress, 0));

    // What is written into it is seen, although no list of the server's shows the task.
    let url = json!("https://gateway.example.com/service/x/");
    bench.emulator().set(&id, "runtime.endpoint", url);
    running
        .sees("its address", &id, |task| !task.published.is_empty())
        .await;
    publish.publish(BTreeSet::new());
    let before = bench.calls("tasks.get_all_ex");
    eventually("several questions", || {
        (bench.calls("tasks.get_all_ex") > before + 10).then_some(())
    })
    .await;
    assert!(running.task(&id).is_some(), "its address is to be taken back first");
    bench.emulator().set(&id, "runtime", json!({}));
    running.sees_no_more("leaving without an address", &id).await;
}

#[tokio::test]
async fn a_pod_s_task_that_is_not_enqueued_yet_is_seen_when_it_runs_and_when_it_ends() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(NewTask {
        status: "queued".to_owned(),
        ..NewTask::default()
    });
    let annotated = Live::fixed(BTreeSet::from([task_id(&id)]));
    let running = run_with(&bench, fast(), None, annotated);
    let is = |status: TaskStatus| move |task: &ObservedTask| task.status == status;
    running.sees("the task in its queue", &id, is(TaskStatus::Queued)).await;
    bench.emulator().set_status(&id, "in_progress");
    running.sees("its start", &id, is(TaskStatus::InProgress)).await;
    bench.emulator().set_status(&id, "completed");
    running.sees("its end", &id, is(TaskStatus::Completed)).await;
}

#[tokio::test]
async fn an_ended_task_that_asked_by_property_is_seen_without_its_address() {
    let bench = Bench::new().await;
    let properties = [("portico".to_owned(), "http:7860".to_owned())].into();
    let id = bench.emulator().create_task(NewTask {
        properties,
        ..NewTask::default()
    });
    let running = run(&bench, fast(), None);
    running.sees("the task", &id, |_| true).await;
    let url = json!("https://gateway.example.com/service/x/");
    bench.emulator().set(&id, "runtime.endpoint", url);
    running
        .sees("its address", &id, |task| !task.published.is_empty())
        .await;
    bench.emulator().set_status(&id, "completed");
    running
        .sees("the end", &id, |task| task.status == TaskStatus::Completed)
        .await;
    bench.emulator().set(&id, "runtime", json!({}));
    running
        .sees("the end without an address", &id, |task| task.published.is_empty())
        .await;
}

#[tokio::test]
async fn the_agent_s_own_queue_is_replaced_by_the_one_that_the_task_came_from() {
    let bench = Bench::new().await;
    let task = |queue: &str| NewTask {
        queue: Some(queue.into()),
        properties: [("k8s-queue".to_owned(), "gpu".to_owned())].into(),
        ..NewTask::asking("alice", "a notebook", address())
    };
    let moved = bench.emulator().create_task(task("k8s_scheduler"));
    let claims = bench.emulator().create_task(task("cpu"));
    let running = run(&bench, fast(), None);
    assert_eq!(
        running.sees("the task", &moved, |_| true).await.queue.as_deref(),
        Some("gpu")
    );
    let claims = running.sees("the other", &claims, |_| true).await;
    assert_eq!(
        claims.queue.as_deref(),
        Some("cpu"),
        "a property alone moves no task to another queue"
    );
}

#[tokio::test]
async fn a_clone_with_the_tag_and_without_keys_is_not_seen() {
    let bench = Bench::new().await;
    let tagged = NewTask {
        system_tags: vec!["external_service".into()],
        ..NewTask::default()
    };
    let id = bench.emulator().create_task(tagged);
    let other = asking(bench.emulator());
    let running = run(&bench, fast(), None);
    running.sees("the other", &other, |_| true).await;
    assert!(running.task(&id).is_none());
}

#[tokio::test]
async fn tasks_of_another_company_are_not_seen() {
    let bench = Bench::new().await;
    let id = bench
        .emulator()
        .create_task(NewTask::asking("carol", "hers", address()));
    let other = asking(bench.emulator());
    let running = run(&bench, fast(), None);
    running.sees("the other", &other, |_| true).await;
    assert!(running.task(&id).is_none());
}

#[tokio::test]
async fn an_unchanged_task_stays_the_same_value() {
    let bench = Bench::new().await;
    let id = asking(bench.emulator());
    let running = run(&bench, fast(), None);
    let before = running.sees("the task", &id, |_| true).await;
    let other = asking(bench.emulator());
    running.sees("the other", &other, |_| true).await;
    assert!(Arc::ptr_eq(&before, &running.task(&id).unwrap()));
}

#[tokio::test]
async fn one_absurd_task_does_not_hide_the_others() {
    let bench = Bench::new().await;
    let good = asking(bench.emulator());
    let absurd: Vec<Value> = vec![
        json!({}),
        json!({"_PORT": "1".repeat(1 << 20)}),
        json!({"_PORT": {"a": [1, {"b": null}]}, "_ADDRESS": ["x"]}),
        json!({"_PORT": 70000, "_ADDRESS": "10.0.0.1"}),
        json!({"_PORT__": 80, "_PORT__\u{1f642}/..": 81, "_PORT__a.b__c": "82"}),
    ];
    for runtime in absurd {
        let id = asking(bench.emulator());
        bench.emulator().set_runtime(&id, runtime.as_object().unwrap().clone());
    }
    let running = run(&bench, fast(), None);
    running.sees("the good one", &good, |_| true).await;
    let observation = running.observation.get();
    assert_eq!(observation.tasks().len(), 5, "the task without keys asks for nothing");
    assert!(running.health.get().failing.is_none());
}
