//! The page before somebody else's application.

use axum::http::{Method, StatusCode};
use portico_core::{access::Who, endpoint::EndpointKey, endpoint::Protocol};

use crate::{
    browser::Browser,
    world::{ROUTER, World, task, task_id},
};

const CONTINUE: &str = "https://gateway.example.com/_gateway/continue";

/// Logged in on the applications' origin.
async fn logged_in(world: &World, user: &str) -> Browser {
    let mut browser = Browser::default();
    let page = browser
        .go(world, &format!("{ROUTER}/_gateway/login?return_to=%2Fservice%2Fx%2F"))
        .await;
    let answer = browser.log_in(world, &page, user, &format!("{user}-password")).await;
    browser.follow(world, answer).await;
    browser
}

fn to(number: u32) -> String {
    format!("/service/{}/lab?x=1&y=2", task_id(number))
}

fn url(to: &str) -> String {
    format!("{CONTINUE}?to={}", portico_core::site::percent(to))
}

#[tokio::test]
async fn it_says_whose_application_it_is_and_remembers_the_answer() {
    let world = World::new();
    world.has(Who::Visible, [task(1, "Board <b>", "bob")]);
    let mut browser = logged_in(&world, "alice").await;
    let page = browser.get(&world, &url(&to(1))).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("<bdi>Board &#60;b&#62;</bdi>"), "{}", page.body);
    assert!(page.body.contains("was started by <bdi>bob</bdi>"), "{}", page.body);
    assert!(page.body.contains("Its scripts run with your session"), "{}", page.body);

    let going = browser.post(&world, CONTINUE, &[("to", &page.field("to"))]).await;
    assert_eq!(
        (going.status, going.location()),
        (StatusCode::SEE_OTHER, to(1).as_str())
    );
    let key = EndpointKey {
        task: task_id(1),
        protocol: Protocol::Http,
        name: None,
    };
    let cookie = format!(
        "portico-seen-{}-{:016x}=1; Path=/service/{}; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure",
        world.state.site.mark(),
        key.id().0,
        task_id(1)
    );
    assert_eq!(going.set_cookies(), [cookie]);
}

#[tokio::test]
async fn it_tells_nothing_to_whom_the_task_is_hidden() {
    let world = World::new();
    world.has(
        Who::Visible,
        [task(1, "secret name", "bob"), task(2, "secret name", "carol")],
    );
    world.clearml.hides(task_id(1));
    // There is no such task.
    world.clearml.hides(task_id(3));
    let mut browser = logged_in(&world, "alice").await;
    let mut answers = Vec::new();
    for number in [1, 2, 3] {
        let page = browser.get(&world, &url(&to(number))).await;
        assert!(!page.body.contains("secret name"), "{}", page.body);
        answers.push((page.status, page.text()));
        let going = browser.post(&world, CONTINUE, &[("to", &to(number))]).await;
        assert_eq!((going.status, going.set_cookies().len()), (StatusCode::NOT_FOUND, 0));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[1], answers[2]);
    // A stranger is sent to the endpoint, where all strangers are asked to log in.
    assert_eq!(Browser::default().get(&world, &url(&to(1))).await.location(), to(1));
}

#[tokio::test]
async fn nobody_is_warned_of_their_own_application() {
    let world = World::new();
    world.has(Who::Visible, [task(1, "board", "alice")]);
    let mut browser = logged_in(&world, "alice").await;
    assert_eq!(browser.get(&world, &url(&to(1))).await.location(), to(1));
}

#[tokio::test]
async fn only_its_own_button_says_yes() {
    let world = World::new();
    world.has(Who::Visible, [task(1, "board", "bob")]);
    let mut browser = logged_in(&world, "alice").await;
    let body = format!("to={}", portico_core::site::percent(&to(1)));
    for headers in [
        &[("origin", "https://evil.example.com")][..],
        &[
            ("origin", ROUTER),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "cors"),
        ],
    ] {
        let answer = browser
            .send(&world, Method::POST, CONTINUE, headers, body.clone())
            .await;
        assert_eq!((answer.status, answer.set_cookies().len()), (StatusCode::FORBIDDEN, 0));
    }
    for hostile in [
        "//evil.example.com/",
        "https://evil.example.com/",
        "/service/../x",
        "/_gateway/login",
    ] {
        let answer = browser.post(&world, CONTINUE, &[("to", hostile)]).await;
        assert_eq!(
            (answer.status, answer.location()),
            (StatusCode::NOT_FOUND, ""),
            "{hostile}"
        );
    }
}
