//! Once a second: what has been silent for too long is closed. One timer for a thread in place of several for each request.

use std::{
    rc::Rc,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::DataThread;
use crate::{
    connection::{Order, Phase},
    exchanges::CutReason,
    record::Kind,
    settings::Timeouts,
    stream,
};

const LONGEST: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(10);
/// After so many sweeps lanes of endpoints that are gone are looked for.
const ROUND: u32 = 64;

/// Sweeps for ever.
pub(super) async fn run(thread: &DataThread) {
    let timeouts = &thread.shared.settings.timeouts;
    let every = interval(timeouts);
    let mut timer = tokio::time::interval(every);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round = 0;
    loop {
        timer.tick().await;
        connections(thread, every, timeouts);
        exchanges(thread, timeouts);
        lanes(thread, timeouts, round % ROUND == 0);
        stream::sweep();
        round = round.wrapping_add(1);
    }
}

/// Fine enough for the shortest of the times.
fn interval(timeouts: &Timeouts) -> Duration {
    let shortest = [
        timeouts.request_headers,
        timeouts.keep_alive,
        timeouts.response_headers,
        timeouts.upstream_idle,
    ]
    .into_iter()
    .min()
    .unwrap_or(LONGEST);
    (shortest / 4).clamp(SHORTEST, LONGEST)
}

fn connections(thread: &DataThread, every: Duration, timeouts: &Timeouts) {
    for link in thread.links.borrow().values() {
        let (phase, sweeps) = link.sweep();
        let limit = match phase {
            Phase::Idle => timeouts.keep_alive,
            Phase::Reading => timeouts.request_headers,
            Phase::Serving => continue,
        };
        // The first sweep may have come right after the phase began.
        if every * (sweeps - 1) >= limit {
            link.order(Order::Close);
        }
    }
}

fn exchanges(thread: &DataThread, timeouts: &Timeouts) {
    let now = Instant::now();
    for exchange in thread.shared.exchanges.of_thread(thread.number) {
        let is_waiting = exchange.is_waiting.load(Ordering::Relaxed);
        if is_waiting && now.duration_since(exchange.began) > timeouts.response_headers {
            exchange.cut(CutReason::TimedOut);
        }
        if exchange.kind() == Kind::Tcp {
            stream::notice(thread, &exchange);
        }
    }
}

fn lanes(thread: &DataThread, timeouts: &Timeouts, is_full: bool) {
    let mut lanes = thread.lanes.borrow_mut();
    let mut idle = 0;
    for lane in lanes.values() {
        lane.prune(timeouts.upstream_idle);
        idle += lane.idle();
    }
    thread.counts().idle_upstream.store(idle, Ordering::Relaxed);
    if is_full {
        lanes.retain(|_, lane| lane.idle() > 0 || Rc::strong_count(lane) > 1);
    }
}
