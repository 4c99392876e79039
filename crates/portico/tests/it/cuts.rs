//! What is open ends when its reason does, within the promised time and with its code; a neighbor does not notice.

use std::time::Duration;

use portico_core::principal::UserId;

use crate::world::{Events, Plan, Socket, Visitor, World, until};

/// Promised is "cut within 5 s". What takes longer is told, and fails when no machine can be the reason.
const PROMISE: Duration = Duration::from_secs(30);

/// What a visitor has open at an endpoint.
struct Open {
    socket: Socket,
    events: Events,
}

impl Open {
    async fn at(visitor: &Visitor, task: &str) -> Self {
        let Ok(mut socket) = visitor.connects(&format!("/service/{task}/ws")).await else {
            panic!("no WebSocket");
        };
        socket.says("hello").await;
        let events = visitor.listens(&format!("/service/{task}/events")).await;
        Self { socket, events }
    }

    async fn gets_cut(self, code: u16) {
        self.gets_cut_within(PROMISE, code).await;
    }

    async fn gets_cut_within(mut self, limit: Duration, code: u16) {
        let (closed, ()) = tokio::join!(self.socket.closes_within(limit), self.events.end_within(limit));
        assert_eq!(closed, Some(code));
    }

    async fn goes_on(&mut self) {
        self.socket.says("still here").await;
        for _ in 0..3 {
            assert!(self.events.next().await.is_some());
        }
    }
}

/// Alice's and bob's tasks, each with its own application.
async fn two_tasks(plan: Plan) -> (World, String, String) {
    let world = World::with(plan.applications(2)).await;
    let hers = world.asks_for("alice", "hers", world.applications[0].address);
    let his = world.asks_for("bob", "his", world.applications[1].address);
    world.sees(&hers).await;
    world.sees(&his).await;
    (world, hers, his)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_task_s_exchanges_end_and_its_neighbor_s_go_on() {
    let (world, hers, his) = two_tasks(Plan::default()).await;
    let alice = world.by_session("alice").await;
    let open = Open::at(&alice, &hers).await;
    let mut neighbor = Open::at(&world.by_basic("bob"), &his).await;
    world.emulator.set_status(&hers, "stopped");
    open.gets_cut(4404).await;
    neighbor.goes_on().await;
    let answer = alice.get(&format!("/service/{hers}/")).await;
    assert_eq!(answer.verdict(), (410, "ended".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_task_s_exchanges_end() {
    let (world, hers, his) = two_tasks(Plan::default()).await;
    let open = Open::at(&world.by_basic("alice"), &hers).await;
    let mut neighbor = Open::at(&world.by_basic("bob"), &his).await;
    world.emulator.delete_task(&hers);
    // Nothing tells of a deletion: it shows when the task is asked for by its id, and is believed when it shows again.
    open.gets_cut_within(Duration::from_mins(1), 4404).await;
    neighbor.goes_on().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_out_is_cut_and_the_other_browser_is_not() {
    let (world, hers, _) = two_tasks(Plan::default()).await;
    let mut browser = world.browser();
    browser.log_in("alice").await;
    let open = Open::at(&browser.visitor(), &hers).await;
    let other = world.by_session("alice").await;
    let mut neighbor = Open::at(&other, &hers).await;
    let session = browser.visitor();
    let page = browser.press("http://console.test/logout", "").await;
    assert!(page.url.ends_with("/_gateway/logged-out"), "{page:?}");
    open.gets_cut(4401).await;
    neighbor.goes_on().await;
    let answer = session.get(&format!("/service/{hers}/")).await;
    assert_eq!(
        answer.verdict(),
        (401, "log_in_required".to_owned()),
        "the cookie is worth nothing now"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_user_s_sessions_are_cut() {
    let (world, hers, his) = two_tasks(Plan::default()).await;
    let alice = world.by_session("alice").await;
    let open = Open::at(&alice, &hers).await;
    let mut neighbor = Open::at(&world.by_session("bob").await, &his).await;
    let id = UserId::new(world.emulator.actor("alice").unwrap().id.as_str());
    world.inside().log_in.log_out_user(&id, "revoked_by_operator").await;
    open.gets_cut(4401).await;
    neighbor.goes_on().await;
    assert_eq!(alice.get(&format!("/service/{hers}/")).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_user_gets_cut_within_a_minute_although_tokens_live_on() {
    let (world, hers, his) = two_tasks(Plan::default().set("PORTICO__ACCESS__DEFAULT", "visible")).await;
    let open = Open::at(&world.by_session("bob").await, &hers).await;
    let by_key = Open::at(&world.by_basic("bob"), &his).await;
    let mut neighbor = Open::at(&world.by_session("alice").await, &his).await;
    world.emulator.delete_user("bob");
    world.pass(Duration::from_secs(61));
    open.gets_cut(4401).await;
    by_key.gets_cut(4401).await;
    neighbor.goes_on().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tightened_rule_cuts_those_whom_it_no_longer_lets_in() {
    let world = World::with(Plan::default().set("PORTICO__ACCESS__DEFAULT", "visible")).await;
    let port = world.applications[0].address.port();
    let task = world.asks_by_property("alice", &format!("http:{port}")).await;
    let bob = world.by_session("bob").await;
    until("bob gets in", async || {
        (bob.get(&format!("/service/{task}/")).await.status == 200).then_some(())
    })
    .await;
    let open = Open::at(&bob, &task).await;
    let mut owner = Open::at(&world.by_basic("alice"), &task).await;
    world.sets_property(&task, &format!("http:{port},access=owner"));
    open.gets_cut(4403).await;
    owner.goes_on().await;
    let answer = bob.get(&format!("/service/{task}/")).await;
    assert_eq!(answer.verdict(), (403, "not_allowed".to_owned()));
    assert!(answer.text().contains("from: task"), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_moves_ends_what_was_open_at_its_old_address() {
    let world = World::with(Plan::default().applications(2)).await;
    let task = world.routed("alice", "moves").await;
    let alice = world.by_basic("alice");
    let open = Open::at(&alice, &task).await;
    let moved = crate::world::runtime(&[("", world.applications[1].address)]);
    world.emulator.set_runtime(&task, moved);
    open.gets_cut(4404).await;
    let answer = alice.get(&format!("/service/{task}/")).await;
    assert_eq!(answer.text(), "application 1 says hello");
}
