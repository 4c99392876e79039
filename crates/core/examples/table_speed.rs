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
    collections::BTreeSet,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use portico_core::{
    access::Who,
    clock::Timestamp,
    endpoint::Protocol,
    observe::{Observation, ObservedTask},
    port_range::PortRange,
    ports::{Leases, PortBook, Rules, allocate},
    routes::{Policy, RouteTable},
    streams::{Admission, StreamPolicy},
};
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
    streams(9_000, 1_000);
    streams(0, 10_000);
}

/// Endpoints with public ports: everything that a change costs, from the observation to the table.
fn streams(http: u64, tcp: u64) {
    let range = PortRange::new(20_000, 40_000).expect("a range");
    let policy = Arc::new(Policy {
        streams: Some(StreamPolicy {
            host: "tcp.example.com".into(),
            range,
            admission: Admission::Open,
        }),
        ..(*policy(Who::Owner)).clone()
    });
    let rules = Rules {
        range,
        cooling: Duration::from_mins(10),
    };
    let asking = |number: u64, port: u16| -> Arc<ObservedTask> {
        let mut request = request(None, &format!("10.1.{}.{}", number / 250, number % 250), port);
        if number >= http {
            request.protocol = Protocol::Tcp;
        }
        Arc::new(task(number, "alice", vec![request]))
    };
    let wish = |seen: &Observation, leases: &Arc<Leases>| -> PortBook {
        let wishes = RouteTable::wishes(seen, &policy, leases);
        allocate(&wishes, leases, &rules, &BTreeSet::new(), Timestamp::from_secs(0))
    };
    let tasks: Vec<_> = (0..http + tcp).map(|number| asking(number, 80)).collect();
    let seen = Observation::new(tasks.clone());
    let none = Arc::<Leases>::default();
    let give = best(|| wish(&seen, &none));
    let book = Arc::new(wish(&seen, &none));
    let build = best(|| RouteTable::build_with_ports(&seen, &policy, &book, None));
    let table = RouteTable::build_with_ports(&seen, &policy, &book, None);
    let mut tasks = tasks;
    let last = tasks.len() - 1;
    tasks[last] = asking(last as u64, 81);
    let changed = Observation::new(tasks);
    let keep = best(|| wish(&changed, &book.leases));
    let next = Arc::new(wish(&changed, &book.leases));
    let change = best(|| RouteTable::build_with_ports(&changed, &policy, &next, Some(&table)));
    println!(
        "{http:>7} http, {tcp} tcp: ports {give:?}, build {build:?}; one change: ports {keep:?}, table {change:?}"
    );
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
