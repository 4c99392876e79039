//! Measures the route table (the best of 21 runs, because other work on the machine only adds): `cargo run --release -p portico-core --example table_speed`.
#![allow(
    clippy::expect_used,
    clippy::disallowed_macros,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods
)]

#[path = "../tests/it/world.rs"]
#[allow(dead_code, unreachable_pub)]
mod world;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use portico_core::{access::Who, observe::Observation, routes::RouteTable};
use world::{policy, request, task, task_id};

fn main() {
    let policy = policy(Who::Owner);
    for size in [100u64, 10_000, 100_000] {
        let all: Vec<_> = (0..size)
            .map(|number| {
                Arc::new(task(
                    number,
                    "alice",
                    vec![request(
                        None,
                        &format!("10.{}.{}.{}", number / 62_500, number / 250 % 250, number % 250),
                        80,
                    )],
                ))
            })
            .collect();
        let seen = Observation::new(all.clone());
        let build = best(|| RouteTable::build(&seen, &policy, None));
        let table = RouteTable::build(&seen, &policy, None);
        let mut tasks = all;
        tasks[size as usize / 2] = Arc::new(task(size / 2, "alice", vec![request(None, "10.255.9.9", 80)]));
        let changed = Observation::new(tasks);
        let change = best(|| RouteTable::build(&changed, &policy, Some(&table)));
        let paths: Vec<_> = (0..1000)
            .map(|turn| format!("/service/{}/lab/tree", task_id(turn * 7919 % size)))
            .collect();
        let resolve = best(|| {
            for path in &paths {
                black_box(table.resolve(path));
            }
        }) / 1000;
        println!("{size:>7} endpoints: build {build:?}, one change {change:?}, resolve {resolve:?}");
    }
}

fn best<T>(mut work: impl FnMut() -> T) -> Duration {
    let mut times: Vec<_> = (0..21)
        .map(|_| {
            let start = Instant::now();
            let made = black_box(work());
            let took = start.elapsed();
            drop(made);
            took
        })
        .collect();
    times.sort();
    times[0]
}
