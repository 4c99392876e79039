//! The source while the server is away, lies or refuses: what it believes and what it keeps.

use std::time::Duration;

use portico_clearml::{Saved, SourceSettings};
use portico_core::{
    clock::Clock as _,
    observe::{Observation, TaskStatus},
};
use portico_emulator::Faults;
use serde_json::json;

use crate::{
    bench::{Bench, eventually, key_of},
    source::{asking, fast, run},
    stub::no,
};

#[tokio::test]
async fn a_failing_server_leaves_the_last_observation_and_says_since_when() {
    let bench = Bench::new().await;
    let id = asking(bench.emulator());
    let running = run(&bench, fast(), None);
    running.sees("the task", &id, |_| true).await;
    for (faults, reason) in [
        (
            Faults {
                unreachable: true,
                ..Faults::default()
            },
            "unreachable",
        ),
        (
            Faults {
                status: Some(500),
                ..Faults::default()
            },
            "refused",
        ),
        (
            Faults {
                html: true,
                ..Faults::default()
            },
            "bad_answer",
        ),
        (
            Faults {
                wrong_company: true,
                ..Faults::default()
            },
            "untrusted",
        ),
    ] {
        let started = bench.clock.now();
        bench.faults(faults);
        let failing = eventually(reason, || {
            let failing = running.health.get().failing.clone()?;
            (failing.reason == reason).then_some(failing)
        })
        .await;
        assert!(failing.since >= started);
        assert!(
            running
                .task(&id)
                .is_some_and(|task| task.status == TaskStatus::InProgress),
            "{reason}"
        );
        bench.faults(Faults::default());
        eventually("recovery by itself", || {
            running.health.get().failing.is_none().then_some(())
        })
        .await;
        bench.clock.advance(Duration::from_mins(1));
    }
    assert!(running.task(&id).is_some());
}

#[tokio::test]
async fn an_empty_answer_is_not_believed_before_two_further_ones_agree() {
    let bench = Bench::new().await;
    let ids: Vec<String> = (0..3).map(|_| asking(bench.emulator())).collect();
    let running = run(
        &bench,
        SourceSettings {
            busy: Duration::from_millis(300),
            ..fast()
        },
        None,
    );
    running.sees("the tasks", &ids[2], |_| true).await;
    bench.faults(Faults {
        empty: true,
        ..Faults::default()
    });
    let failing = eventually("doubt", || running.health.get().failing.clone()).await;
    assert_eq!(failing.reason, "untrusted");
    assert_eq!(running.observation.get().tasks().len(), 3, "one answer is not enough");
    bench.faults(Faults::default());
    eventually("the doubt's end", || {
        running.health.get().failing.is_none().then_some(())
    })
    .await;
    assert_eq!(running.observation.get().tasks().len(), 3);
    for id in &ids {
        bench.emulator().delete_task(id);
    }
    eventually("belief", || running.observation.get().tasks().is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_server_that_refuses_questions_besides_still_shows_its_tasks() {
    let (bench, _stub) = Bench::behind(|call| (call == "workers.get_all").then(|| no(403, 20))).await;
    let id = asking(bench.emulator());
    bench.emulator().set(&id, "last_worker", json!("node1:gpu0"));
    let running = run(&bench, fast(), None);
    running.sees("the task", &id, |_| true).await;
    let failing = eventually("the refusal", || running.health.get().failing.clone()).await;
    assert_eq!(failing.reason, "refused");
    assert!(failing.detail.contains("workers.get_all"), "{}", failing.detail);
}

#[tokio::test]
async fn a_rejected_key_is_told_as_such() {
    let bench = Bench::new().await;
    let good = key_of(bench.emulator(), "bob");
    bench.keys.publish(portico_clearml::KeyPair {
        key: good.key.clone(),
        ..portico_clearml::KeyPair::default()
    });
    let running = run(&bench, fast(), None);
    let failing = eventually("the failure", || running.health.get().failing.clone()).await;
    assert_eq!(failing.reason, "own_key_rejected");
    bench.keys.publish(good);
    running.is_up().await;
}

#[tokio::test]
async fn a_source_that_starts_while_the_server_is_away_uses_what_was_saved() {
    let bench = Bench::new().await;
    let (id, gone) = (asking(bench.emulator()), asking(bench.emulator()));
    let first = run(&bench, fast(), None);
    first.sees("the task", &id, |_| true).await;
    first.sees("the other", &gone, |_| true).await;
    let document = Saved::document(&first.observation.get(), bench.clock.now());
    drop(first);
    bench.faults(Faults {
        unreachable: true,
        ..Faults::default()
    });
    bench.emulator().delete_task(&gone);
    let saved = Saved::read(&document, bench.clock.now()).unwrap();
    // The next full read must not wait for its hour.
    let settings = SourceSettings {
        full: Duration::from_hours(1),
        ..fast()
    };
    let running = run(&bench, settings, Some(saved));
    eventually("failure", || running.health.get().failing.clone()).await;
    assert_eq!(running.observation.get().tasks().len(), 2);
    let new = asking(bench.emulator());
    bench.faults(Faults::default());
    running.sees("a new task", &new, |_| true).await;
    running.sees_no_more("what was deleted meanwhile", &gone).await;
    assert!(running.task(&id).is_some());
}

#[tokio::test]
async fn what_was_saved_for_another_company_is_not_kept() {
    let bench = Bench::new().await;
    let id = asking(bench.emulator());
    let first = run(&bench, fast(), None);
    first.sees("the task", &id, |_| true).await;
    let saved = Saved {
        at: bench.clock.now(),
        observation: (*first.observation.get()).clone(),
    };
    drop(first);
    bench.keys.publish(key_of(bench.emulator(), "carol"));
    let running = run(&bench, fast(), Some(saved));
    running.sees_no_more("the stranger's task", &id).await;
}

#[tokio::test]
async fn no_task_takes_much_of_the_document() {
    let bench = Bench::new().await;
    let empty = Saved::document(&Observation::default(), bench.clock.now()).len();
    for (letter, is_kept) in [("n", true), ("\u{1f642}", false)] {
        let id = saying_the_most(&bench, letter);
        let running = run(&bench, fast(), None);
        let task = running.sees("the task", &id, |_| true).await;
        assert_eq!((task.requests.len(), task.published.len()), (33, 65));
        let alone = Observation::new(vec![task.clone()]);
        let document = Saved::document(&alone, bench.clock.now());
        assert!(document.len() - empty < 64 << 10, "{} bytes", document.len());
        let saved = Saved::read(&document, bench.clock.now()).unwrap();
        let saved = saved.observation.task(task.id).cloned();
        assert_eq!(saved.is_some(), is_kept);
        if let Some(saved) = saved {
            assert_eq!(saved.requests, task.requests);
            assert_eq!(saved.published, [], "no part of it is kept");
        }
        bench.emulator().delete_task(&id);
    }
}

/// A running task with as many endpoints and values as are read, and each as long.
fn saying_the_most(bench: &Bench, letter: &str) -> String {
    let mut runtime = json!({});
    let mut properties = std::collections::BTreeMap::new();
    for at in 0..100 {
        // The longest name has 256 characters.
        let name = if letter == "n" {
            format!("{at:03}")
        } else {
            format!("{at:03}{}", letter.repeat(253))
        };
        let value = format!("{at:03}{}", "v".repeat(3000));
        for base in ["_PORT", "_ADDRESS"] {
            runtime[format!("{base}__{name}")] = json!(value);
        }
        for base in [
            "endpoint",
            "browser_endpoint",
            "external_address",
            "external_tcp_port",
            "upstream_task_port",
        ] {
            runtime[format!("{base}__{name}")] = json!(value);
        }
        properties.insert(format!("gateway_url__{name}"), value);
    }
    bench.emulator().create_task(portico_emulator::NewTask {
        runtime: runtime.as_object().unwrap().clone(),
        system_tags: vec!["external_service".into()],
        properties,
        ..portico_emulator::NewTask::default()
    })
}

#[test]
fn a_damaged_or_old_document_is_not_used() {
    let now = portico_core::clock::Timestamp::from_secs(2_000_000_000);
    let document = Saved::document(&Observation::default(), now);
    assert!(Saved::read(&document, now).is_some());
    assert!(Saved::read(&document, now.plus(Duration::from_hours(25))).is_none());
    assert!(Saved::read(b"{}", now).is_none());
    assert!(Saved::read(&document[1..], now).is_none());
    let other = String::from_utf8(document)
        .unwrap()
        .replace("\"version\":1", "\"version\":2");
    assert!(Saved::read(other.as_bytes(), now).is_none());
}
