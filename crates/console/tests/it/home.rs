//! The list of endpoints.

use std::net::Ipv4Addr;

use axum::http::{Method, StatusCode};
use portico_core::{access::Who, observe::TaskStatus};

use crate::{
    browser::{Browser, Page},
    world::{CONSOLE, ROUTER, World, clearml_token, request, task, task_id, visitor},
};

/// The list as this user sees it.
async fn list(world: &World, user: &str, query: &str) -> Page {
    let mut browser = Browser::default();
    browser.set_cookie(
        "console.example.com",
        "clearml_token_basic",
        clearml_token(user).reveal(),
    );
    let page = browser.get(world, &format!("{CONSOLE}/{query}")).await;
    assert_eq!(page.status, StatusCode::OK);
    page
}

/// The names of the tasks on a page, in order.
fn names(page: &Page) -> Vec<&str> {
    let rows = page.body.split("<div class=\"name\">").skip(1);
    rows.map(|row| row.split_once("<bdi>").unwrap().1.split_once("</bdi>").unwrap().0)
        .collect()
}

#[tokio::test]
async fn whoever_sees_the_list_is_signed_in_at_that_address_unless_a_foreign_page_fetched_it() {
    let world = World::new();
    let here = || world.state.gatekeeper.signed_in_from(visitor().address);
    let mut browser = Browser::default();
    let token = clearml_token("alice");
    browser.set_cookie("console.example.com", "clearml_token_basic", token.reveal());
    let foreign = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")];
    let page = browser
        .send(&world, Method::GET, &format!("{CONSOLE}/"), &foreign, String::new())
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(here().is_empty());
    list(&world, "alice", "").await;
    assert_eq!(here()[0].token, token);
}

#[tokio::test]
async fn a_stranger_is_led_to_the_log_in() {
    let world = World::new();
    let mut browser = Browser::default();
    let page = browser.get(&world, CONSOLE).await;
    assert_eq!(
        (page.status, page.location()),
        (StatusCode::SEE_OTHER, "/login?return_to=%2F")
    );
    for path in ["/", "/_gateway/endpoints"] {
        assert_eq!(
            browser.get(&world, &format!("{ROUTER}{path}")).await.location(),
            format!("{CONSOLE}/")
        );
    }
    let world = World::one_url();
    let page = browser.go(&world, ROUTER).await;
    assert_eq!(
        page.url,
        format!("{ROUTER}/_gateway/login?return_to=%2F_gateway%2Fendpoints")
    );
    let answer = browser.log_in(&world, &page, "alice", "alice-password").await;
    let list = browser.follow(&world, answer).await;
    assert_eq!(
        (list.status, list.url),
        (StatusCode::OK, format!("{ROUTER}/_gateway/endpoints"))
    );
}

#[tokio::test]
async fn everybody_sees_what_is_open_to_them_and_what_is_wrong_with_their_own() {
    let world = World::new();
    let mut ended = task(3, "ended", "alice");
    ended.status = TaskStatus::Stopped;
    let mut others_ended = task(4, "ended too", "bob");
    others_ended.status = TaskStatus::Stopped;
    world.has(
        Who::Visible,
        [
            task(1, "zebra", "alice"),
            task(2, "badger", "bob"),
            ended,
            others_ended,
            task(5, "hidden", "bob"),
            task(6, "foreign", "carol"),
        ],
    );
    world.clearml.hides(task_id(5));

    assert_eq!(names(&list(&world, "alice", "").await), ["zebra", "ended", "badger"]);
    assert_eq!(names(&list(&world, "bob", "").await), ["badger", "ended too", "zebra"]);
    assert_eq!(names(&list(&world, "carol", "").await), ["foreign"]);

    world.has(Who::Owner, [task(1, "zebra", "alice"), task(2, "badger", "bob")]);
    assert_eq!(names(&list(&world, "alice", "").await), ["zebra"]);
}

#[tokio::test]
async fn the_page_tells_owner_address_state_and_reason() {
    let world = World::new();
    let mut named = task(1, "Forecast", "alice");
    named.requests = vec![
        request(Some("My UI"), Ipv4Addr::new(10, 0, 0, 1)),
        request(Some("api"), Ipv4Addr::LOCALHOST),
    ];
    world.has(Who::Visible, [named, task(2, "Playground", "bob")]);
    world
        .notes
        .publish(vec!["the ClearML server has no real authentication".to_owned()]);
    let page = list(&world, "alice", "").await;
    insta::assert_snapshot!(page.text());
}

#[tokio::test]
async fn the_search_finds_by_task_endpoint_owner_and_id() {
    let world = World::new();
    let mut named = task(1, "Forecast", "alice");
    named.requests = vec![request(Some("My UI"), Ipv4Addr::new(10, 0, 0, 1))];
    world.has(
        Who::Visible,
        [named, task(2, "Playground", "bob"), task(3, "Forecast two", "bob")],
    );
    for (query, found) in [
        ("?q=forecast", vec!["Forecast", "Forecast two"]),
        ("?q=FORE+two", vec!["Forecast two"]),
        ("?q=my+ui", vec!["Forecast"]),
        ("?q=bob", vec!["Forecast two", "Playground"]),
        (&format!("?q={}", task_id(2)), vec!["Playground"]),
        ("?q=nothing", vec![]),
    ] {
        assert_eq!(names(&list(&world, "alice", query).await), found, "{query}");
    }
    let page = list(&world, "alice", "?q=%3Cscript%3E").await;
    assert!(
        page.body.contains("Nothing matches “<bdi>&#60;script&#62;</bdi>”"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("<script"), "{}", page.body);
}

#[tokio::test]
async fn an_empty_list_tells_how_to_ask_for_an_endpoint() {
    let world = World::new();
    let page = list(&world, "alice", "").await;
    assert!(
        page.body
            .contains("task.set_user_properties(portico=&#34;http:8000&#34;)")
            || page.body.contains("task.set_user_properties(portico=\"http:8000\")"),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn ten_thousand_endpoints_come_in_pages() {
    let world = World::new();
    let number = |number: u32| {
        task(
            number,
            &format!("task {number:05}"),
            if number.is_multiple_of(2) { "alice" } else { "bob" },
        )
    };
    world.has(Who::Visible, (1..=10_000).map(number));
    let mut seen = Vec::new();
    let mut query = String::from("?from=9900");
    loop {
        let page = list(&world, "alice", &query).await;
        seen.extend(names(&page).into_iter().map(str::to_owned));
        let next = page
            .body
            .split("<a class=\"button plain\" href=\"/")
            .find(|part| part.contains(">Next 50<"));
        match next {
            Some(next) => query = next.split_once('"').unwrap().0.to_owned(),
            None => break,
        }
    }
    let expected: Vec<_> = (9_801..=9_999)
        .step_by(2)
        .map(|number| format!("task {number:05}"))
        .collect();
    assert_eq!(seen, expected, "the last hundred: bob's odd ones");
    assert_eq!(names(&list(&world, "alice", "").await).first(), Some(&"task 00002"));
    assert!(
        list(&world, "alice", "?from=99999999999999999999")
            .await
            .body
            .contains("task 00002")
    );
}

#[tokio::test]
async fn while_clearml_is_away_own_endpoints_stay_and_the_page_says_what_may_be_missing() {
    let world = World::new();
    world.has(Who::Visible, [task(1, "zebra", "alice"), task(2, "badger", "bob")]);
    let mut browser = Browser::default();
    let page = browser.go(&world, CONSOLE).await;
    let answer = browser.log_in(&world, &page, "alice", "alice-password").await;
    browser.follow(&world, answer).await;
    world.clearml.goes_away();
    world.has(Who::Visible, [task(3, "new", "alice"), task(4, "new too", "bob")]);
    let page = browser.get(&world, CONSOLE).await;
    assert_eq!(names(&page), ["new"]);
    assert!(page.body.contains("This list may be incomplete"), "{}", page.body);
}

#[tokio::test]
async fn what_people_type_as_names_stays_text() {
    let world = World::new();
    let hostile = format!(
        "<script>alert(1)</script>\"' \u{202e}gnp.exe\u{0}\n{}",
        "x".repeat(10_000)
    );
    let mut named = task(1, &hostile, "alice");
    named.requests = vec![request(
        Some("<img src=x onerror=alert(1)>"),
        Ipv4Addr::new(10, 0, 0, 1),
    )];
    world.has(Who::Visible, [named, task(2, "", "alice")]);
    let page = list(&world, "alice", "").await;
    for bad in ["<script", "<img", "\u{202e}", "\u{0}"] {
        assert!(!page.body.contains(bad), "{bad:?}");
    }
    assert!(page.text().len() < 6_000, "{}", page.text().len());
    assert!(page.body.contains("(no name)"), "{}", page.body);
}
