//! How often the source asks, and how it copes with many tasks.

use std::{net::SocketAddr, time::Duration};

use portico_clearml::SourceSettings;
use portico_emulator::NewTask;

use crate::{
    bench::{Bench, eventually},
    source::{asking, fast, run},
};

#[tokio::test]
async fn a_quiet_installation_is_woken_by_a_nudge() {
    let bench = Bench::new().await;
    let settings = SourceSettings {
        idle: Duration::from_mins(10),
        ..fast()
    };
    let running = run(&bench, settings, None);
    running.is_up().await;
    let id = asking(bench.emulator());
    assert!(running.task(&id).is_none());
    running.nudge.nudge();
    running.sees("the task", &id, |_| true).await;
}

#[tokio::test]
async fn with_the_usual_settings_there_is_at_most_one_request_a_second() {
    let bench = Bench::new().await;
    asking(bench.emulator());
    let settings = SourceSettings {
        burst: 5,
        ..SourceSettings::default()
    };
    let running = run(&bench, settings, None);
    running.is_up().await;
    let started = std::time::Instant::now();
    bench.emulator().forget_calls();
    let calls = || bench.emulator().calls().values().sum::<u64>();
    eventually("some seconds of asking", || (calls() >= 8).then_some(())).await;
    assert!(
        started.elapsed() >= Duration::from_secs(2),
        "8 requests in {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn ten_thousand_tasks_are_read_in_pages() {
    let bench = Bench::new().await;
    for at in 0..10_000u16 {
        let [high, low] = at.to_be_bytes();
        let address = SocketAddr::from(([10, 1, high, low], 80));
        bench
            .emulator()
            .create_task(NewTask::asking("alice", "one of many", address));
    }
    // Otherwise all of them would have changed just now.
    bench.emulator().advance(3600);
    let started = std::time::Instant::now();
    // The usual distances, but for the second between two questions.
    let settings = SourceSettings {
        busy: Duration::from_millis(10),
        requests_per_second: 100.0,
        ..SourceSettings::default()
    };
    let running = run(&bench, settings, None);
    eventually("all of them", || {
        (running.observation.get().tasks().len() == 10_000).then_some(())
    })
    .await;
    println_duration("10,000 tasks read", started.elapsed());
    let id = asking(bench.emulator());
    let asked = std::time::Instant::now();
    running.sees("one more", &id, |_| true).await;
    println_duration("one more seen", asked.elapsed());
    assert_eq!(bench.emulator().unknown_calls(), []);
}

#[allow(
    clippy::disallowed_macros,
    reason = "a figure for whoever runs the tests with --nocapture"
)]
fn println_duration(what: &str, took: Duration) {
    println!("{what}: {took:?}");
}
