//! From the applications' origin to the log-in and back.

use std::time::Duration;

use axum::http::{Method, StatusCode};

use crate::{
    browser::{Browser, Page},
    world::{CONSOLE, Kind, ROUTER, World, clearml_token, task_id},
};

fn endpoint() -> String {
    format!("/service/{}/lab?x=1", task_id(1))
}

fn log_in_url() -> String {
    format!(
        "{ROUTER}/_gateway/login?return_to={}",
        portico_core::site::percent(&endpoint())
    )
}

/// Up to the code, which is on its way back.
async fn with_code(world: &World, browser: &mut Browser) -> Page {
    let page = browser.go(world, &log_in_url()).await;
    browser.log_in(world, &page, "alice", "alice-password").await
}

#[tokio::test]
async fn a_browser_without_scripts_gets_from_an_endpoint_to_the_log_in_and_back() {
    let world = World::new();
    let mut browser = Browser::default();

    let led = browser.get(&world, &log_in_url()).await;
    assert_eq!(led.status, StatusCode::SEE_OTHER);
    assert!(
        led.location().starts_with(&format!("{CONSOLE}/login?challenge=")),
        "{}",
        led.location()
    );
    let [nonce] = led.set_cookies()[..] else {
        panic!("{:?}", led.set_cookies())
    };
    assert!(nonce.starts_with("__Host-portico-nonce-"), "{nonce}");
    assert!(
        nonce.ends_with("; Path=/; Max-Age=900; HttpOnly; SameSite=Lax; Secure"),
        "{nonce}"
    );

    let page = browser.follow(&world, led).await;
    assert_eq!(page.status, StatusCode::OK);
    let code = browser.log_in(&world, &page, "alice", "alice-password").await;
    assert_eq!(code.status, StatusCode::SEE_OTHER);
    assert!(
        code.location()
            .starts_with(&format!("{ROUTER}/_gateway/callback?code=v1.")),
        "{}",
        code.location()
    );

    let url = code.location().to_owned();
    let callback = browser.get(&world, &url).await;
    assert_eq!(
        callback.location(),
        format!("/_gateway/check?return_to={}", portico_core::site::percent(&endpoint()))
    );
    let cookies = callback.set_cookies();
    assert!(cookies[0].starts_with("__Host-portico-session-"), "{cookies:?}");
    assert!(cookies[0].ends_with("; HttpOnly; SameSite=Lax; Secure"), "{cookies:?}");
    assert!(
        cookies[1].starts_with("__Host-portico-nonce-") && cookies[1].contains("Max-Age=0;"),
        "{cookies:?}"
    );

    let check = browser.follow(&world, callback).await;
    assert_eq!(check.location(), endpoint());
    for step in [&code, &check] {
        assert_eq!(step.header("cache-control"), "no-store");
        assert_eq!(step.header("referrer-policy"), "same-origin");
        assert_eq!(step.body, "");
    }
}

#[tokio::test]
async fn who_is_logged_in_at_the_console_is_handed_over_without_a_form() {
    let world = World::new();
    let mut browser = Browser::default();
    let page = browser.go(&world, CONSOLE).await;
    let list = browser.log_in(&world, &page, "alice", "alice-password").await;
    assert_eq!(browser.follow(&world, list).await.status, StatusCode::OK);

    assert_eq!(browser.go(&world, &log_in_url()).await.location(), endpoint());
}

#[tokio::test]
async fn who_is_logged_in_at_clearml_is_handed_over_without_a_form() {
    let mut world = World::new();
    let mut browser = Browser::default();
    browser.set_cookie(
        "console.example.com",
        "clearml_token_basic",
        clearml_token("alice").reveal(),
    );

    // A cookie that is no good any more does not take the new one with it.
    let name = format!("__Host-portico-session-{}", world.state.site.mark());
    browser.set_cookie("console.example.com", &name, "v1.old.nonsense");

    assert_eq!(browser.go(&world, &log_in_url()).await.location(), endpoint());
    assert!(
        browser
            .cookie("console.example.com", "session")
            .is_some_and(|sealed| !sealed.contains("nonsense"))
    );
    let events = world.audited();
    assert_eq!(events.len(), 1);
    assert_eq!(
        events[0].actor.as_ref().map(portico_core::principal::UserId::as_str),
        Some("alice")
    );
}

/// Nobody came in: the browser has no session and is led to the log-in anew, once.
async fn assert_refused(world: &World, browser: &mut Browser, code: &Page) {
    let anew = browser.get(world, code.location()).await;
    assert!(
        anew.location().starts_with(&format!("{CONSOLE}/login?challenge=")),
        "{anew:?}"
    );
    assert!(anew.location().ends_with("&again=1"), "{}", anew.location());
    let refused = browser.get(world, &format!("{}&again=1", code.location())).await;
    assert_eq!(
        (refused.status, refused.set_cookies().len()),
        (StatusCode::BAD_REQUEST, 0)
    );
    assert!(refused.body.contains("<dd>hand_over_invalid</dd>"), "{}", refused.body);
    assert!(
        refused.body.contains("href=\"/_gateway/login\""),
        "the way to a new one: {}",
        refused.body
    );
    assert_eq!(browser.cookie("gateway.example.com", "session"), None);
}

#[tokio::test]
async fn a_code_opens_no_session_in_another_browser() {
    let world = World::new();
    let code = with_code(&world, &mut Browser::default()).await;
    assert_refused(&world, &mut Browser::default(), &code).await;
    // With a nonce of its own.
    let mut victim = Browser::default();
    victim.get(&world, &log_in_url()).await;
    assert_refused(&world, &mut victim, &code).await;
}

#[tokio::test]
async fn a_code_is_worth_something_once_and_for_half_a_minute() {
    let world = World::new();
    let mut browser = Browser::default();
    let code = with_code(&world, &mut browser).await;
    let nonce = browser.cookie("gateway.example.com", "nonce").unwrap().to_owned();
    let name = format!("__Host-portico-nonce-{}", world.state.site.mark());
    assert_eq!(browser.get(&world, code.location()).await.set_cookies().len(), 2);
    // The same browser, but without the session that it got.
    browser.forget("gateway.example.com");
    browser.set_cookie("gateway.example.com", &name, &nonce);
    assert_refused(&world, &mut browser, &code).await;

    let mut browser = Browser::default();
    let code = with_code(&world, &mut browser).await;
    world.clock.advance(Duration::from_secs(31));
    assert_refused(&world, &mut browser, &code).await;
}

#[tokio::test]
async fn a_form_that_lay_open_for_an_hour_still_leads_where_its_visitor_wanted_to_go() {
    let world = World::new();
    let mut browser = Browser::default();
    let page = browser.go(&world, &log_in_url()).await;
    world.clock.advance(Duration::from_hours(1));
    browser.forget("gateway.example.com");
    let code = browser.log_in(&world, &page, "alice", "alice-password").await;
    assert_eq!(browser.follow(&world, code).await.location(), endpoint());
}

#[tokio::test]
async fn a_browser_without_cookies_is_told_so_and_not_led_in_circles() {
    let world = World::new();
    let mut browser = Browser::default();
    let code = with_code(&world, &mut browser).await;
    // The applications' origin keeps no cookies, the console's does.
    let mut page = code;
    for _ in 0..10 {
        browser.forget("gateway.example.com");
        if page.status != StatusCode::SEE_OTHER {
            break;
        }
        page = browser.step(&world, &page).await;
    }
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.body.contains("<dd>hand_over_invalid</dd>"), "{}", page.body);
}

#[tokio::test]
async fn the_way_back_in_the_history_leads_on_who_is_in_already() {
    let world = World::new();
    let mut browser = Browser::default();
    let code = with_code(&world, &mut browser).await;
    let url = code.location().to_owned();
    browser.follow(&world, code).await;

    assert_eq!(browser.get(&world, &url).await.location(), endpoint());
}

#[tokio::test]
async fn a_log_in_leads_to_no_foreign_host() {
    let world = World::new();
    for hostile in [
        "//evil.example.com/",
        "https://evil.example.com/",
        "/\\evil.example.com/",
        "/%2F/evil.example.com",
        "javascript:alert(1)",
        "https://gateway.example.com.evil.com/",
        "https://gateway.example.com@evil.com/",
        "/service/../_gateway/logout",
        "/x\r\nLocation: https://evil.example.com/",
    ] {
        let mut browser = Browser::default();
        let page = browser
            .go(
                &world,
                &format!(
                    "{ROUTER}/_gateway/login?return_to={}",
                    portico_core::site::percent(hostile)
                ),
            )
            .await;
        let answer = browser.log_in(&world, &page, "alice", "alice-password").await;
        assert!(
            answer.location().starts_with(ROUTER),
            "{hostile}: {}",
            answer.location()
        );
        let callback = browser.get(&world, answer.location()).await;
        assert_eq!(callback.location(), "/_gateway/check?return_to=%2F", "{hostile}");
        // Whoever changes the address on the way changes nothing.
        for page in ["check", "callback"] {
            let url = format!(
                "{ROUTER}/_gateway/{page}?return_to={}",
                portico_core::site::percent(hostile)
            );
            assert_eq!(browser.get(&world, &url).await.location(), "/", "{page} {hostile}");
        }
    }
}

#[tokio::test]
async fn a_console_asked_with_a_forged_challenge_sends_nothing_that_counts() {
    let world = World::new();
    let mut browser = Browser::default();
    let page = browser
        .go(&world, &format!("{CONSOLE}/login?challenge=nonsense&return_to=%2F"))
        .await;
    let answer = browser.log_in(&world, &page, "alice", "alice-password").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.location(), "");
}

#[tokio::test]
async fn a_cookie_that_does_not_come_back_is_named() {
    let world = World::of(&Kind {
        router: "http://gateway.example.com",
        console: None,
        is_secure: Some(true),
    });
    let mut browser = Browser::default();
    let page = browser.go(&world, "http://gateway.example.com/_gateway/login").await;
    let answer = browser.log_in(&world, &page, "alice", "alice-password").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    // The browser drops what is marked Secure.
    browser.forget("gateway.example.com");
    let lost = browser.follow(&world, answer).await;
    assert_eq!(lost.status, StatusCode::BAD_REQUEST);
    assert!(
        lost.body.contains("ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE=false"),
        "{}",
        lost.body
    );
}

#[tokio::test]
async fn who_came_by_another_name_of_the_gateway_begins_at_its_own() {
    let world = World::new();
    let mut browser = Browser::default();
    let led = browser
        .get(&world, "http://10.0.0.7:8080/_gateway/login?return_to=%2Fservice%2Fx")
        .await;
    assert_eq!(
        led.location(),
        format!("{ROUTER}/_gateway/login?return_to=%2Fservice%2Fx")
    );
    assert_eq!(led.set_cookies().len(), 0);
}

#[tokio::test]
async fn hosts_that_are_not_ours_get_the_right_address_and_nothing_else() {
    let world = World::new();
    let mut browser = Browser::default();
    let page = browser.get(&world, "https://evil.example.com/_gateway/login").await;
    assert_eq!((page.status, page.set_cookies().len()), (StatusCode::NOT_FOUND, 0));
    assert!(
        page.body.contains("<a href=\"https://gateway.example.com/\">"),
        "{}",
        page.body
    );
    let program = browser
        .send(
            &world,
            Method::GET,
            "https://evil.example.com/",
            &[("accept", "*/*")],
            String::new(),
        )
        .await;
    assert_eq!(program.header("content-type"), "application/json");
    insta::assert_snapshot!(program.body, @r#"{"error":{"code":"unknown_host","status":404,"title":"This gateway goes by another name","hint":"Use the address that ClearML shows. Administrators: add further names to http.extra_hosts.","fault":"visitor","request_id":"request-1","right_url":"https://gateway.example.com/"}}"#);
}
