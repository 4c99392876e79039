//! Logging in and out.

use std::time::Duration;

use portico_auth::session::OpenedBy;
use portico_core::{
    audit::AuditKind,
    principal::{Method, Principal},
    refusal::Refusal,
};

use crate::world::{KEY, PASSWORD, SECRET, World, address, attempt, bearer, cookies, pair, user_id, who};

const HOME: &str = "203.0.113.7";

#[tokio::test]
async fn a_password_or_a_key_opens_a_session() {
    let mut world = World::new().await;
    for (account, secret, opened_by) in [
        ("alice", PASSWORD, OpenedBy::Password),
        (KEY, SECRET, OpenedBy::KeyPair),
    ] {
        let opened = world.log_in.attempt(&attempt(account, secret, HOME)).await.unwrap();
        assert_eq!(opened.session.opened_by, opened_by);
        let before = world.checks();
        let identified = world.identify(&cookies(&[&pair(&opened.set_cookie)])).await;
        assert_eq!(who(&identified).unwrap().id, user_id("alice"));
        assert_eq!(world.checks(), before, "clearml has just said so");
        let event = &world.audited()[0];
        assert_eq!((event.event, &event.actor), (AuditKind::LogIn, &Some(user_id("alice"))));
        assert_eq!(event.address, Some(address(HOME)));
    }
}

#[tokio::test]
async fn each_session_has_a_token_of_its_own() {
    let world = World::new().await;
    let (one, other) = (world.logged_in().await, world.logged_in().await);
    assert_ne!(one.session.token.reveal(), other.session.token.reveal());
    assert_ne!(one.session.id, other.session.id);
}

#[tokio::test]
async fn a_failure_is_recorded_without_what_was_typed() {
    let mut world = World::new().await;
    let refusal = world
        .log_in
        .attempt(&attempt("my-password", "wrong", HOME))
        .await
        .unwrap_err();
    assert_eq!(refusal, Refusal::LogInFailed);
    let event = world.audited().remove(0);
    assert_eq!(event.event, AuditKind::LogInFailed);
    let text = format!("{event:?}");
    assert!(!text.contains("my-password") && !text.contains("wrong"), "{text}");
    assert!(!format!("{:?}", attempt("a", "hunter2", HOME)).contains("hunter2"));
}

#[tokio::test]
async fn nothing_and_far_too_much_are_not_asked_about() {
    let world = World::new().await;
    let long = "x".repeat(2000);
    for (account, secret) in [
        ("", PASSWORD),
        ("  ", PASSWORD),
        ("alice", ""),
        (&*long, PASSWORD),
        ("alice", &*long),
    ] {
        let refusal = world.log_in.attempt(&attempt(account, secret, HOME)).await.unwrap_err();
        assert_eq!(refusal, Refusal::LogInFailed);
    }
    assert_eq!(world.checks(), 0);
}

#[tokio::test]
async fn whoever_fails_too_often_waits_longer_each_time() {
    let world = World::new().await;
    let wrong = attempt("alice", "wrong", HOME);
    for _ in 0..6 {
        assert_eq!(world.log_in.attempt(&wrong).await.unwrap_err(), Refusal::LogInFailed);
    }
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        let before = world.checks();
        let right = attempt("alice", PASSWORD, HOME);
        assert_eq!(
            world.log_in.attempt(&right).await.unwrap_err(),
            Refusal::LogInDelayed { seconds }
        );
        assert_eq!(world.checks(), before, "clearml is not asked");
        world.secs(seconds);
        assert_eq!(world.log_in.attempt(&wrong).await.unwrap_err(), Refusal::LogInFailed);
    }
}

#[tokio::test]
async fn the_delay_locks_neither_the_account_nor_the_address() {
    let world = World::new().await;
    for _ in 0..20 {
        let _ = world.log_in.attempt(&attempt("alice", "wrong", HOME)).await;
    }
    let delayed = |refusal: &Refusal| matches!(refusal, Refusal::LogInDelayed { .. });
    assert!(delayed(
        &world
            .log_in
            .attempt(&attempt("ALICE ", PASSWORD, HOME))
            .await
            .unwrap_err()
    ));
    assert!(
        world
            .log_in
            .attempt(&attempt("alice", PASSWORD, "203.0.113.8"))
            .await
            .is_ok()
    );
    assert!(world.log_in.attempt(&attempt(KEY, SECRET, HOME)).await.is_ok());
}

#[tokio::test]
async fn an_address_that_stands_for_many_visitors_is_never_kept_out() {
    let world = World::new().await;
    let proxy = "10.1.2.3";
    for _ in 0..30 {
        let _ = world.log_in.attempt(&attempt("alice", "wrong", proxy)).await;
        world.secs(2);
    }
    let _ = world.log_in.attempt(&attempt("alice", "wrong", proxy)).await;
    world.secs(2);
    assert!(world.log_in.attempt(&attempt("alice", PASSWORD, proxy)).await.is_ok());
}

#[tokio::test]
async fn success_and_time_forget_failures() {
    let world = World::new().await;
    let wrong = attempt("alice", "wrong", HOME);
    for _ in 0..5 {
        let _ = world.log_in.attempt(&wrong).await;
    }
    world.logged_in().await;
    for _ in 0..6 {
        assert_eq!(world.log_in.attempt(&wrong).await.unwrap_err(), Refusal::LogInFailed);
    }
    world.after(Duration::from_mins(31));
    for _ in 0..6 {
        assert_eq!(world.log_in.attempt(&wrong).await.unwrap_err(), Refusal::LogInFailed);
    }
}

#[tokio::test]
async fn while_clearml_is_away_the_log_in_says_so_and_nobody_is_delayed_for_it() {
    let world = World::new().await;
    world.away(true);
    for _ in 0..20 {
        let refusal = world
            .log_in
            .attempt(&attempt("alice", PASSWORD, HOME))
            .await
            .unwrap_err();
        assert_eq!(refusal, Refusal::ClearmlAway);
    }
    world.away(false);
    world.logged_in().await;
}

#[tokio::test]
async fn log_out_ends_the_session_and_clears_the_cookie() {
    let mut world = World::new().await;
    let opened = world.logged_in().await;
    let cleared = world.log_in.log_out(Some(&opened.session), address(HOME)).await;
    assert!(cleared.to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(world.kinds(), [AuditKind::LogIn, AuditKind::LogOut]);
    let stolen = cookies(&[&pair(&opened.set_cookie)]);
    assert_eq!(who(&world.identify(&stolen).await), None);
    let restarted = world.restarted().await;
    restarted.register.sync().await.unwrap();
    assert_eq!(who(&restarted.identify(&stolen).await), None);
}

#[tokio::test]
async fn a_clearml_log_in_becomes_a_session_with_its_own_token() {
    let world = World::new().await;
    let token = world.server.mint("alice");
    let Principal::User(user) = world.identify(&bearer(&token)).await.unwrap().principal else {
        panic!("nobody");
    };
    let opened = world.log_in.adopt(&user, address(HOME)).await.unwrap();
    assert_ne!(opened.session.token.reveal(), token);
    let identified = world.identify(&cookies(&[&pair(&opened.set_cookie)])).await;
    assert_eq!(who(&identified).unwrap().method, Method::Session);
    world.server.delete_user("alice");
    assert_eq!(
        world.log_in.adopt(&user, address(HOME)).await.unwrap_err(),
        Refusal::LogInRequired
    );
}
