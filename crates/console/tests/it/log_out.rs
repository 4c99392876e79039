//! Log-out.

use axum::http::{Method, StatusCode};
use portico_core::audit::AuditKind;

use crate::{
    browser::Browser,
    world::{CONSOLE, ROUTER, World, clearml_token},
};

/// Logged in on both origins.
async fn alice(world: &World) -> Browser {
    let mut browser = Browser::default();
    let page = browser
        .go(world, &format!("{ROUTER}/_gateway/login?return_to=%2Fservice%2Fx%2F"))
        .await;
    let answer = browser.log_in(world, &page, "alice", "alice-password").await;
    browser.follow(world, answer).await;
    browser
}

#[tokio::test]
async fn a_log_out_ends_the_session_on_both_origins() {
    let mut world = World::new();
    let mut browser = alice(&world).await;
    let kept = browser.cookie("gateway.example.com", "session").unwrap().to_owned();
    let asked = browser.go(&world, &format!("{ROUTER}/_gateway/logout")).await;
    assert_eq!(asked.url, format!("{CONSOLE}/logout"));
    assert!(asked.body.contains("<h1>Log out?</h1>"), "{}", asked.body);

    let ended = browser.post(&world, &asked.url, &[]).await;
    assert_eq!(
        (ended.status, ended.location()),
        (StatusCode::SEE_OTHER, "https://gateway.example.com/_gateway/logged-out")
    );
    let done = browser.follow(&world, ended).await;
    assert!(done.body.contains("<h1>You are logged out</h1>"), "{}", done.body);
    assert_eq!(browser.cookie("console.example.com", "session"), None);
    assert_eq!(browser.cookie("gateway.example.com", "session"), None);
    let last = world.audited().pop().unwrap();
    assert_eq!((last.event, last.session.is_some()), (AuditKind::LogOut, true));

    // Whoever kept the cookie has nothing of it.
    let name = format!("__Host-portico-session-{}", world.state.site.mark());
    browser.set_cookie("console.example.com", &name, &kept);
    assert_eq!(browser.get(&world, CONSOLE).await.location(), "/login?return_to=%2F");
}

#[tokio::test]
async fn neither_a_foreign_page_nor_an_application_logs_anybody_out() {
    let world = World::new();
    let mut browser = alice(&world).await;
    // A link does nothing but ask, or say that nothing ended.
    for url in ["/logout", "/logged-out"] {
        browser.get(&world, &format!("{CONSOLE}{url}")).await;
    }
    assert_eq!(
        browser
            .get(&world, &format!("{ROUTER}/_gateway/logged-out"))
            .await
            .location(),
        format!("{CONSOLE}/")
    );
    for origin in ["https://evil.example.com", ROUTER] {
        let headers = [("origin", origin)];
        let answer = browser
            .send(
                &world,
                Method::POST,
                &format!("{CONSOLE}/logout"),
                &headers,
                String::new(),
            )
            .await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    // On the shared origin every script may post; it gets no further than the question.
    let answer = browser.post(&world, &format!("{ROUTER}/_gateway/logout"), &[]).await;
    assert_eq!(answer.location(), format!("{CONSOLE}/logout"));
    assert_eq!(browser.get(&world, CONSOLE).await.status, StatusCode::OK);
}

#[tokio::test]
async fn with_one_url_it_is_asked_and_done_there() {
    let world = World::one_url();
    let mut browser = alice(&world).await;
    let asked = browser.get(&world, &format!("{ROUTER}/_gateway/logout")).await;
    assert_eq!(asked.status, StatusCode::OK);
    let ended = browser.post(&world, &asked.url, &[]).await;
    let done = browser.follow(&world, ended).await;
    assert!(done.body.contains("<h1>You are logged out</h1>"), "{}", done.body);
    assert_eq!(browser.cookie("gateway.example.com", "session"), None);
}

#[tokio::test]
async fn clearmls_own_log_in_is_left_to_clearml() {
    let world = World::new();
    let mut browser = Browser::default();
    browser.set_cookie(
        "console.example.com",
        "clearml_token_basic",
        clearml_token("alice").reveal(),
    );
    let asked = browser.get(&world, &format!("{CONSOLE}/logout")).await;
    assert!(asked.body.contains("To end it, log out in ClearML"), "{}", asked.body);

    // With a session besides, that one ends, and the page tells that the other goes on.
    let page = browser
        .go(&world, &format!("{ROUTER}/_gateway/login?return_to=%2Fservice%2Fx%2F"))
        .await;
    assert_eq!(page.location(), "/service/x/");
    let asked = browser.get(&world, &format!("{CONSOLE}/logout")).await;
    assert!(
        asked.body.contains("<h1>Log out?</h1>") && asked.body.contains("<button"),
        "{}",
        asked.body
    );
    browser.set_cookie(
        "gateway.example.com",
        "clearml_token_basic",
        clearml_token("alice").reveal(),
    );
    let ended = browser.post(&world, &asked.url, &[]).await;
    let done = browser.follow(&world, ended).await;
    assert!(
        done.body.contains("ClearML still knows you in this browser"),
        "{}",
        done.body
    );
}
