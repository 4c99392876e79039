//! Tasks about which no answer can be read: the others are seen, and they are when they change.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use portico_clearml::Saved;
use portico_core::{
    clock::Clock as _,
    observe::{ObservedTask, Request, TaskStatus},
};
use portico_emulator::{Emulator, FeatureSet, NewTask};
use serde_json::{Map, Value, json};

use crate::{
    bench::{Bench, eventually},
    publisher::{ROUTER, gateway, published, quick, settled},
    source::{Running, asking, fast, register_worker, run},
};

/// What the server answers as `NaN`.
fn not_a_number() -> Map<String, Value> {
    json!({"_PORT": 80, "_ADDRESS": "10.1.2.9", "x": "~"})
        .as_object()
        .unwrap()
        .clone()
}

/// More than a task's share of a short answer: it is seen only in the company of tasks that leave it room.
fn very_long() -> Map<String, Value> {
    json!({"_PORT": 80, "_ADDRESS": "10.1.2.9", "x": "x".repeat(100_000)})
        .as_object()
        .unwrap()
        .clone()
}

fn readable() -> Map<String, Value> {
    json!({"_PORT": 81, "_ADDRESS": "10.1.2.9"})
        .as_object()
        .unwrap()
        .clone()
}

fn broken(emulator: &Emulator, runtime: Map<String, Value>) -> String {
    let id = asking(emulator);
    emulator.set_runtime(&id, runtime);
    id
}

async fn short_answers() -> Bench {
    Bench::with(FeatureSet::Advanced, |settings| settings.answer_limit = 256 << 10).await
}

/// Everything else is seen while the source runs, the health is good, and the broken tasks are seen once they are mended.
async fn hides_no_other(bench: &Bench, running: &Running, broken: &[String]) {
    let new = asking(bench.emulator());
    running.sees("a new task", &new, |_| true).await;
    bench.emulator().set_status(&new, "stopped");
    running
        .sees("its end", &new, |task| task.status == TaskStatus::Stopped)
        .await;
    assert!(running.health.get().failing.is_none(), "{:?}", running.health.get());
    for id in broken {
        bench.emulator().set_runtime(id, readable());
    }
    for id in broken {
        let is_broken = |request: &Request| request.ask.as_ref().is_ok_and(|ask| ask.port == 80);
        let is_mended = |task: &ObservedTask| !task.requests.iter().any(is_broken);
        running.sees("the mended task", id, is_mended).await;
    }
    let last = asking(bench.emulator());
    running.sees("another new task", &last, |_| true).await;
}

/// The first observation holds all others, and later ones do.
async fn starts_beside(bench: &Bench, ids: &[String]) {
    let good: Vec<String> = (0..20).map(|_| asking(bench.emulator())).collect();
    let running = run(bench, fast(), None);
    running.is_up().await;
    assert!(good.iter().all(|id| running.task(id).is_some()));
    hides_no_other(bench, &running, ids).await;
}

#[tokio::test]
async fn a_number_that_json_does_not_know_hides_no_other_task() {
    let (bench, _stub) = Bench::that_answers_nan().await;
    let good = asking(bench.emulator());
    let running = run(&bench, fast(), None);
    running.sees("the good one", &good, |_| true).await;
    let id = broken(bench.emulator(), not_a_number());
    hides_no_other(&bench, &running, &[id]).await;
    assert!(running.task(&good).is_some());
}

#[tokio::test]
async fn a_source_starts_beside_a_number_that_json_does_not_know() {
    let (bench, _stub) = Bench::that_answers_nan().await;
    let ids: Vec<String> = (0..3).map(|_| broken(bench.emulator(), not_a_number())).collect();
    starts_beside(&bench, &ids).await;
}

#[tokio::test]
async fn runtimes_that_fill_an_answer_hide_no_other_task() {
    let bench = short_answers().await;
    let good = asking(bench.emulator());
    let running = run(&bench, fast(), None);
    running.sees("the good one", &good, |_| true).await;
    let ids: Vec<String> = (0..5).map(|_| broken(bench.emulator(), very_long())).collect();
    let is_narrow = || (bench.calls("tasks.get_all_ex") > 100).then_some(());
    eventually("some questions", is_narrow).await;
    hides_no_other(&bench, &running, &ids).await;
}

#[tokio::test]
async fn a_source_starts_beside_runtimes_that_fill_an_answer() {
    let bench = short_answers().await;
    let ids: Vec<String> = (0..5).map(|_| broken(bench.emulator(), very_long())).collect();
    starts_beside(&bench, &ids).await;
}

#[tokio::test]
async fn a_task_that_asks_by_property_hides_no_other_either() {
    let (bench, _stub) = Bench::that_answers_nan().await;
    let by_property = |runtime| NewTask {
        properties: [("portico".to_owned(), "http:7860".to_owned())].into(),
        runtime,
        ..NewTask::default()
    };
    let id = bench.emulator().create_task(by_property(not_a_number()));
    let good = bench.emulator().create_task(by_property(Map::new()));
    let running = run(&bench, fast(), None);
    running.sees("the good one", &good, |_| true).await;
    hides_no_other(&bench, &running, &[id]).await;
}

#[tokio::test]
async fn a_known_task_that_cannot_be_read_any_more_stays_until_it_ends() {
    let (bench, _stub) = Bench::that_answers_nan().await;
    let id = asking(bench.emulator());
    let running = run(&bench, fast(), None);
    let before = running.sees("the task", &id, |_| true).await;
    bench.emulator().set_runtime(&id, not_a_number());
    let new = asking(bench.emulator());
    running.sees("a new task", &new, |_| true).await;
    assert!(Arc::ptr_eq(&before, &running.task(&id).unwrap()));
    bench.emulator().set_status(&id, "stopped");
    let ended = running
        .sees("the end", &id, |task| task.status == TaskStatus::Stopped)
        .await;
    assert_eq!(ended.requests, before.requests);
}

#[tokio::test]
async fn a_restored_task_that_cannot_be_read_keeps_no_source_from_starting() {
    let (bench, _stub) = Bench::that_answers_nan().await;
    let (id, other) = (asking(bench.emulator()), asking(bench.emulator()));
    let first = run(&bench, fast(), None);
    first.sees("the task", &id, |_| true).await;
    first.sees("the other", &other, |_| true).await;
    let saved = Saved {
        at: bench.clock.now(),
        observation: (*first.observation.get()).clone(),
    };
    drop(first);
    bench.emulator().set_runtime(&id, not_a_number());
    bench.emulator().set_status(&other, "stopped");
    let running = run(&bench, fast(), Some(saved));
    running
        .sees("what became of the other", &other, |task| {
            task.status == TaskStatus::Stopped
        })
        .await;
    assert!(running.task(&id).is_some());
    assert!(running.health.get().failing.is_none());
}

#[tokio::test]
async fn workers_about_whom_no_answer_can_be_read_keep_no_source_from_starting() {
    let (bench, _stub) = Bench::behind(|call| {
        (call == "workers.get_all")
            .then(|| "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nNaN".to_owned())
    })
    .await;
    let id = asking(bench.emulator());
    bench.emulator().set(&id, "last_worker", json!("node1:gpu0"));
    let running = run(&bench, fast(), None);
    running.sees("the task", &id, |_| true).await;
    let failing = eventually("the failure", || running.health.get().failing.clone()).await;
    assert_eq!(failing.reason, "bad_answer");
}

#[tokio::test]
async fn a_worker_about_which_no_answer_can_be_read_takes_nobody_elses_address_away() {
    let (bench, _stub) = Bench::that_answers_nan().await;
    let id = asking(bench.emulator());
    bench.emulator().set(&id, "last_worker", json!("node1:gpu0"));
    register_worker(&bench, "node1:gpu0").await;
    let running = run(&bench, fast(), None);
    let has_address = |task: &ObservedTask| !task.addresses.is_empty();
    running.sees("the worker", &id, has_address).await;
    register_worker(&bench, "~").await;
    eventually("the failure", || running.health.get().failing.clone()).await;
    // A worker that is told of no longer keeps its address for ten minutes.
    bench.clock.advance(Duration::from_mins(11));
    let asked = bench.calls("workers.get_all");
    eventually("two more answers", || {
        (bench.calls("workers.get_all") > asked + 2).then_some(())
    })
    .await;
    assert!(running.task(&id).is_some_and(|task| has_address(&task)));
}

#[tokio::test]
async fn the_good_ones_among_many_broken_tasks_are_all_seen() {
    let (bench, _stub) = Bench::that_answers_nan().await;
    let mut good = Vec::new();
    for at in 0..120 {
        if at % 3 == 0 {
            broken(bench.emulator(), not_a_number());
        } else {
            good.push(asking(bench.emulator()));
        }
    }
    let running = run(&bench, fast(), None);
    eventually("all others", || {
        good.iter().all(|id| running.task(id).is_some()).then_some(())
    })
    .await;
    assert!(running.health.get().failing.is_none());
}

#[tokio::test]
async fn a_task_that_cannot_be_read_keeps_no_address_of_another_from_being_written() {
    let (bench, _stub) = Bench::that_answers_nan().await;
    let gateway = gateway(&bench, true, quick());
    let named = |at| json!({"_PORT__ui": 80, "_ADDRESS__ui": format!("10.1.2.{at}")});
    let ids: Vec<String> = (0..10)
        .map(|at| {
            bench.emulator().create_task(NewTask {
                runtime: named(at).as_object().unwrap().clone(),
                system_tags: vec!["external_service".into()],
                ..NewTask::default()
            })
        })
        .collect();
    for id in &ids {
        let url = format!("{ROUTER}/service/{id}__ui/");
        published(&bench, id, "endpoint__ui", &url).await;
    }
    settled(&gateway).await;
    // Their addresses are to be taken back, for which the server must tell what stands there.
    for id in &ids {
        bench.emulator().set(id, "runtime.x", json!("~"));
        bench.emulator().set_status(id, "stopped");
    }
    eventually("each one's failure", || {
        (gateway.status.get().failures >= 10).then_some(())
    })
    .await;
    let begun = Instant::now();
    let other = asking(bench.emulator());
    eventually("another one's address", || {
        bench.emulator().runtime(&other).contains_key("endpoint").then_some(())
    })
    .await;
    // After so many failures of the server everything would be put off by at least 5 s.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}
