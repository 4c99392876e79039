//! Not yet there, no longer there, and where nothing ever was.

use std::{net::SocketAddr, time::Duration};

use crate::world::{Application, Plan, World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_does_not_listen_yet_is_starting_and_then_opens() {
    let world = World::start().await;
    let address = world.closed[0];
    let task = world.asks_for("alice", "young", address);
    world.sees(&task).await;
    let (alice, path) = (world.by_basic("alice"), format!("/service/{task}/"));
    assert_eq!(alice.get(&path).await.verdict(), (503, "starting".to_owned()));
    let page = alice.opens(&path).await;
    assert_eq!(page.status, 503);
    assert!(page.text().contains("The application is starting"), "{}", page.text());
    assert_eq!(page.header("retry-after"), "2");
    assert_eq!(
        world.stranger().get(&path).await.status,
        401,
        "strangers learn nothing of it"
    );

    world.pass(Duration::from_mins(16));
    let answer = until("it is given up", async || {
        let answer = alice.get(&path).await;
        (answer.code() == "not_listening").then_some(answer)
    })
    .await;
    assert_eq!(answer.status, 502);
    assert!(
        answer.text().contains(&format!("0.0.0.0:{}", address.port())),
        "{}",
        answer.text()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_listened_once_is_not_starting() {
    let mut world = World::without_gateway(Plan::default()).await;
    // An address of its own: others could be given the port while nothing listens there.
    world.applications = vec![Application::start_at(SocketAddr::from(([127, 0, 0, 79], 0)), 0).await];
    world.open().await;
    let task = world.routed("alice", "once").await;
    let (alice, path) = (world.by_basic("alice"), format!("/service/{task}/"));
    assert_eq!(alice.get(&path).await.status, 200);
    let address = world.applications.remove(0).address;
    until("it is gone", async || {
        (alice.get(&path).await.code() == "not_listening").then_some(())
    })
    .await;
    let _again = Application::start_at(address, 7).await;
    until("it is back", async || {
        (alice.get(&path).await.text() == "application 7 says hello").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_ended_says_so_to_those_who_see_it() {
    let world = World::start().await;
    let task = world.routed("alice", "over").await;
    world.emulator.set_status(&task, "failed");
    let (alice, path) = (world.by_basic("alice"), format!("/service/{task}/"));
    until("the end is seen", async || {
        (alice.tries(&path).await?.status == 410).then_some(())
    })
    .await;
    let answer = world.by_basic("bob").get(&path).await;
    assert_eq!(answer.verdict(), (410, "ended".to_owned()));
    assert!(answer.text().contains("failed"), "{}", answer.text());
    assert_eq!(world.by_basic("carol").get(&path).await.status, 404);
    assert_eq!(world.stranger().get(&path).await.status, 401);

    world.emulator.set_status(&task, "in_progress");
    until("it is back at its address", async || {
        (alice.get(&path).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_visitor_who_is_early_is_told_so_or_served_and_comes_in_later() {
    let world = World::start().await;
    let id = "00000000000000000000000000abcdef";
    let mut task = portico_emulator::NewTask::asking("alice", "late", world.applications[0].address);
    task.id = Some(id.to_owned());
    let alice = world.by_basic("alice");
    let path = format!("/service/{id}/");
    let (answer, ()) = tokio::join!(alice.get(&path), async {
        world.emulator.create_task(task);
    });
    assert!([200, 404].contains(&answer.status), "{}", answer.status);
    until("it opens", async || {
        (alice.get(&path).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_lead_where_they_are_meant_to() {
    let world = World::start().await;
    let task = world.routed("alice", "hers").await;
    let alice = world.by_basic("alice");
    let answer = alice.get(&format!("/service/{task}?a=1")).await;
    assert!([301, 302, 303, 307, 308].contains(&answer.status), "{}", answer.status);
    assert_eq!(answer.header("location"), format!("/service/{task}/?a=1"));

    let path = format!("/service/{task}/hello?a=1");
    let elsewhere = alice.clone().with("host", "unknown.test").get(&path).await;
    assert_eq!(elsewhere.verdict(), (404, "unknown_host".to_owned()));
    assert!(
        elsewhere.text().contains("http://gateway.test/"),
        "{}",
        elsewhere.text()
    );

    for host in ["gateway.test", "unknown.test", "127.0.0.1:8080"] {
        let health = world.stranger().with("host", host).get("/_gateway/health").await;
        assert_eq!(health.status, 200, "{host}");
    }
    assert_eq!(alice.get("/elsewhere").await.verdict(), (404, "not_found".to_owned()));
}
