//! The log-in form.

use axum::http::{Method, StatusCode};
use portico_core::audit::AuditKind;

use crate::{
    browser::{Browser, form},
    world::{CONSOLE, KEY, ROUTER, World, clearml_token},
};

const LOG_IN: &str = "https://console.example.com/login";

#[tokio::test]
async fn user_name_and_password_or_key_and_secret_open_a_session() {
    for (user, secret) in [
        ("alice", "alice-password"),
        (" alice ", "alice-password"),
        (KEY, "secret"),
    ] {
        let mut world = World::new();
        let mut browser = Browser::default();
        let page = browser.get(&world, LOG_IN).await;
        let answer = browser.log_in(&world, &page, user, secret).await;
        assert_eq!(
            (answer.status, answer.location()),
            (StatusCode::SEE_OTHER, "/check?return_to=%2F"),
            "{user}"
        );
        let list = browser.follow(&world, answer).await;
        assert!(list.body.contains("Logged in as <bdi>alice</bdi>"), "{}", list.body);
        let [event] = &world.audited()[..] else {
            panic!("one event")
        };
        assert_eq!(event.event, AuditKind::LogIn);
        assert_eq!(
            event.address.map(|address| address.to_string()).as_deref(),
            Some("203.0.113.9")
        );
    }
}

#[tokio::test]
async fn what_was_wrong_is_said_and_the_password_is_not_shown_again() {
    let world = World::new();
    let mut browser = Browser::default();
    let page = browser.get(&world, LOG_IN).await;
    let again = browser.log_in(&world, &page, "alice", "hunter2").await;
    assert_eq!((again.status, again.set_cookies().len()), (StatusCode::UNAUTHORIZED, 1));
    assert!(
        again
            .body
            .contains("<strong>ClearML does not know this user name and password</strong>"),
        "{}",
        again.body
    );
    assert!(
        again.body.contains("value=\"alice\"") && again.body.contains("aria-invalid=\"true\""),
        "{}",
        again.body
    );
    assert!(!again.body.contains("hunter2"), "{}", again.body);

    let again = browser.log_in(&world, &again, KEY, "wrong").await;
    assert!(
        again
            .body
            .contains("<strong>ClearML does not know this API key and secret</strong>"),
        "{}",
        again.body
    );
}

#[tokio::test]
async fn who_guesses_waits_and_is_told_how_long() {
    let world = World::new();
    let mut browser = Browser::default();
    let mut page = browser.get(&world, LOG_IN).await;
    for _ in 0..20 {
        page = browser.log_in(&world, &page, "alice", "wrong").await;
        if page.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
    }
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = page.header("retry-after").parse().unwrap();
    assert!(
        page.body
            .contains(&format!("<strong>Please wait {seconds} seconds</strong>")),
        "{}",
        page.body
    );
    assert!(page.body.contains("not locked"), "{}", page.body);

    world.clock.advance(std::time::Duration::from_secs(seconds));
    let answer = browser.log_in(&world, &page, "alice", "alice-password").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn while_clearml_is_away_the_form_says_why_nobody_gets_in() {
    let world = World::new();
    world.clearml.goes_away();
    let mut browser = Browser::default();
    let page = browser.get(&world, LOG_IN).await;
    assert_eq!(page.status, StatusCode::OK);
    let answer = browser.log_in(&world, &page, "alice", "alice-password").await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, "10")
    );
    assert!(
        answer
            .body
            .contains("<strong>The ClearML server cannot be asked right now</strong>"),
        "{}",
        answer.body
    );

    browser.set_cookie(
        "console.example.com",
        "clearml_token_basic",
        clearml_token("alice").reveal(),
    );
    assert_eq!(
        browser.get(&world, LOG_IN).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn a_foreign_page_logs_nobody_in() {
    let world = World::new();
    let mut browser = Browser::default();
    let page = browser.get(&world, LOG_IN).await;
    let token = page.field("token");
    let body = form(&[("user", "alice"), ("password", "alice-password"), ("token", &token)]);
    for headers in [
        &[("origin", "https://evil.example.com"), ("sec-fetch-site", "cross-site")][..],
        &[
            ("origin", "https://gateway.example.com"),
            ("sec-fetch-site", "same-site"),
        ],
        &[("origin", "null")],
        &[],
    ] {
        let answer = browser.send(&world, Method::POST, LOG_IN, headers, body.clone()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(answer.body.contains("<dd>foreign_page</dd>"), "{}", answer.body);
        assert_eq!(answer.set_cookies().len(), 0);
    }
    // An old browser that says nothing of itself but the origin still has to show the form's token.
    let own = [("origin", CONSOLE)];
    for (token, cookies) in [
        ("0123456789abcdef0123456789abcdef", true),
        (token.as_str(), false),
        ("", true),
    ] {
        if !cookies {
            browser.forget("console.example.com");
        }
        let body = form(&[("user", "alice"), ("password", "alice-password"), ("token", token)]);
        let answer = browser.send(&world, Method::POST, LOG_IN, &own, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{token}");
        assert!(
            answer.body.contains("<strong>This form was open for too long</strong>"),
            "{}",
            answer.body
        );
        assert_eq!(browser.cookie("console.example.com", "session"), None);
    }
}

#[tokio::test]
async fn two_windows_with_a_form_each_both_work() {
    let world = World::new();
    let mut browser = Browser::default();
    let first = browser.get(&world, LOG_IN).await;
    browser.get(&world, LOG_IN).await;
    assert_eq!(
        browser.log_in(&world, &first, "alice", "alice-password").await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn with_one_url_the_form_lives_beside_the_applications_and_says_so() {
    let world = World::one_url();
    let mut browser = Browser::default();
    let page = browser
        .go(&world, &format!("{ROUTER}/_gateway/login?return_to=%2Fservice%2Fx%2F"))
        .await;
    assert_eq!((page.status, page.url.starts_with(ROUTER)), (StatusCode::OK, true));
    assert!(
        page.body.contains("This page shares its address with the applications"),
        "{}",
        page.body
    );
    let answer = browser.log_in(&world, &page, "alice", "alice-password").await;
    assert_eq!(answer.location(), "/_gateway/check?return_to=%2Fservice%2Fx%2F");
    assert_eq!(browser.follow(&world, answer).await.location(), "/service/x/");

    // A script of an application beside it sends no form in a person's name.
    let scripted = [
        ("origin", ROUTER),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "cors"),
    ];
    let answer = browser
        .send(
            &world,
            Method::POST,
            &format!("{ROUTER}/_gateway/login"),
            &scripted,
            "user=x".into(),
        )
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_giant_or_broken_form_is_shown_again_empty() {
    let world = World::new();
    let mut browser = Browser::default();
    browser.get(&world, LOG_IN).await;
    let own = [("origin", CONSOLE)];
    for body in [
        format!("user={}", "x".repeat(100_000)),
        "%%%".into(),
        "user=a&user=b".into(),
    ] {
        let answer = browser.send(&world, Method::POST, LOG_IN, &own, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.body.len() < 20_000, "{}", answer.body.len());
    }
}
