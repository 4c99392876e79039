//! Days later: what has expired leads to the log-in, never to a dead end.

use std::time::Duration;

use crate::world::{Plan, World, until};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_day_31_an_expired_clearml_cookie_leads_to_the_log_in_and_on() {
    let world = World::start().await;
    let task = world.routed("alice", "hers").await;
    let path = format!("/service/{task}/");
    let token = world.emulator.token("alice").unwrap();
    let mut browser = world.browser();
    browser.keep("clearml_token_basic", &token);
    assert_eq!(browser.go(&path).await.text(), "application 0 says hello");

    world.pass(31 * DAY);
    until("the gateway sees the task on day 31", async || {
        (world.inside().clock.now().since(world.inside().health.get().observed?) < DAY).then_some(())
    })
    .await;
    let led = browser.get(&path).await;
    assert!([302, 303].contains(&led.status()), "{led:?}");
    assert!(led.answer.header("location").contains("/_gateway/login"), "{led:?}");
    let form = browser.go(&path).await;
    assert_eq!(form.status(), 200);
    let page = browser.fill_in(&form, "alice", "alice-pw").await;
    assert_eq!(
        page.text(),
        "application 0 says hello",
        "the expired cookie is still there and does no harm"
    );

    let program = world.stranger().by_cookie(&format!("clearml_token_basic={token}"));
    assert_eq!(program.get(&path).await.verdict(), (401, "log_in_required".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_not_used_ends_and_one_that_is_used_ends_after_its_lifetime() {
    let plan = Plan::default()
        .set("PORTICO__SESSION__IDLE", "24h")
        .set("PORTICO__SESSION__LIFETIME", "3d");
    let world = World::with(plan).await;
    let task = world.routed("alice", "hers").await;
    let path = format!("/service/{task}/");
    let (mut idle, mut busy) = (world.browser(), world.browser());
    idle.log_in("alice").await;
    busy.log_in("alice").await;
    for half_day in 1..=5 {
        world.pass(DAY / 2);
        let page = busy.get(&path).await;
        assert_eq!(page.status(), 200, "used every half day, after {half_day} of them");
        if half_day == 3 {
            assert_eq!(idle.visitor().get(&path).await.status, 401, "idle for a day and a half");
        }
    }
    world.pass(DAY);
    assert_eq!(
        busy.visitor().get(&path).await.status,
        401,
        "after three days and a half"
    );
    let form = busy.go(&path).await;
    assert!(form.url.starts_with("http://console.test/login"), "{}", form.url);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_outlives_a_restart() {
    let mut world = World::with(Plan::default().remembers()).await;
    let task = world.routed("alice", "hers").await;
    let path = format!("/service/{task}/");
    let (alice, mut ended) = (world.by_session("alice").await, world.browser());
    ended.log_in("alice").await;
    let over = ended.visitor();
    ended.press("http://console.test/logout", "").await;
    world.restart_gateway().await;
    world.sees(&task).await;
    assert_eq!(alice.get(&path).await.status, 200);
    assert_eq!(over.get(&path).await.status, 401, "who logged out stays out");
}
