//! What is asked when, how often, and what holds while ClearML cannot be asked.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use portico_auth::gatekeeper::Settings;
use portico_core::{audit::AuditKind, principal::Method, refusal::Refusal};
use tokio::task::JoinSet;

use crate::world::{KEY, SECRET, World, basic, bearer, clears, cookies, jwt, pair, settings, until, who};

#[tokio::test]
async fn many_at_once_ask_once() {
    let world = World::new().await;
    let headers = bearer(&world.server.mint("alice"));
    let mut asking = JoinSet::new();
    for _ in 0..100 {
        let (gatekeeper, headers) = (world.gatekeeper.clone(), headers.clone());
        asking.spawn(async move { gatekeeper.identify(&headers).await });
    }
    for identified in asking.join_all().await {
        assert!(who(&identified).is_some());
    }
    assert_eq!(world.checks(), 1);
}

#[tokio::test]
async fn a_good_answer_is_asked_again_in_passing_and_awaited_after_a_minute() {
    let world = World::new().await;
    let headers = bearer(&world.server.mint("alice"));
    let _ = world.identify(&headers).await;
    world.secs(29);
    let _ = world.identify(&headers).await;
    assert_eq!(world.checks(), 1);
    world.secs(2);
    world.server.delete_user("alice");
    assert!(
        who(&world.identify(&headers).await).is_some(),
        "served while it is asked again"
    );
    until(|| world.checks() == 2).await;
    assert_eq!(world.identify(&headers).await.unwrap_err(), Refusal::CredentialRejected);
}

#[tokio::test]
async fn a_user_deleted_in_clearml_is_out_within_a_minute() {
    let world = World::new().await;
    for headers in [
        bearer(&world.server.mint("alice")),
        cookies(&[&format!("clearml_token_basic={}", world.server.mint("alice"))]),
    ] {
        assert!(who(&world.identify(&headers).await).is_some());
    }
    let headers = bearer(&world.server.mint("alice"));
    assert!(who(&world.identify(&headers).await).is_some());
    world.server.delete_user("alice");
    world.secs(60);
    assert!(world.identify(&headers).await.is_err());
}

#[tokio::test]
async fn a_bad_answer_is_believed_for_five_seconds() {
    let world = World::new().await;
    let token = jwt("alice", 1);
    assert!(world.identify(&bearer(&token)).await.is_err());
    world.secs(4);
    assert!(world.identify(&bearer(&token)).await.is_err());
    assert_eq!(world.checks(), 1);
    assert_eq!(world.server.mint("alice"), token);
    world.secs(1);
    assert!(who(&world.identify(&bearer(&token)).await).is_some());
}

#[tokio::test]
async fn the_last_yes_holds_for_an_hour() {
    let world = World::new().await;
    let known = bearer(&world.server.mint("alice"));
    let stranger = bearer(&world.server.mint("bob"));
    assert!(who(&world.identify(&known).await).is_some());
    world.away(true);
    for _ in 0..59 {
        world.secs(60);
        assert!(who(&world.identify(&known).await).is_some());
    }
    assert_eq!(world.identify(&stranger).await.unwrap_err(), Refusal::ClearmlAway);
    world.secs(60);
    assert_eq!(world.identify(&known).await.unwrap_err(), Refusal::ClearmlAway);
    world.away(false);
    world.secs(5);
    assert!(who(&world.identify(&known).await).is_some(), "it recovers by itself");
    assert!(who(&world.identify(&stranger).await).is_some());
}

#[tokio::test]
async fn strictly_the_last_yes_does_not_hold() {
    let settings = Settings {
        stale: Duration::ZERO,
        ..settings()
    };
    let world = World::with(settings).await;
    let known = bearer(&world.server.mint("alice"));
    assert!(who(&world.identify(&known).await).is_some());
    world.away(true);
    world.secs(60);
    assert_eq!(world.identify(&known).await.unwrap_err(), Refusal::ClearmlAway);
}

#[tokio::test]
async fn while_clearml_is_away_its_cookie_gives_way_to_the_session() {
    let world = World::new().await;
    let session = pair(&world.logged_in().await.set_cookie);
    let token = format!("clearml_token_basic={}", world.server.mint("alice"));
    world.away(true);
    let identified = world.identify(&cookies(&[&token, &session])).await;
    assert_eq!(who(&identified).unwrap().method, Method::Session);
    assert_eq!(
        world.identify(&cookies(&[&token])).await.unwrap_err(),
        Refusal::ClearmlAway
    );
    assert_eq!(
        world.identify(&basic(KEY, SECRET)).await.unwrap_err(),
        Refusal::ClearmlAway
    );
}

#[tokio::test]
async fn a_session_stays_valid_while_clearml_is_away_also_after_a_restart() {
    let world = World::new().await;
    let session = cookies(&[&pair(&world.logged_in().await.set_cookie)]);
    world.away(true);
    for _ in 0..10 {
        world.after(Duration::from_mins(30));
        assert!(who(&world.identify(&session).await).is_some());
    }
    let restarted = world.restarted().await;
    assert!(who(&restarted.identify(&session).await).is_some());
}

#[tokio::test]
async fn a_server_that_never_answers_is_away() {
    let world = World::new().await;
    let session = cookies(&[&pair(&world.logged_in().await.set_cookie)]);
    world.server.script().hangs = true;
    world.secs(61);
    assert_eq!(
        world.identify(&basic(KEY, SECRET)).await.unwrap_err(),
        Refusal::ClearmlAway
    );
    assert!(who(&world.identify(&session).await).is_some());
    world.secs(10);
    let mut next = pin!(world.identify(&session));
    let polled = next.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(identified) = polled else {
        panic!("further requests wait for another failure");
    };
    assert!(who(&identified).is_some());
}

#[tokio::test]
async fn a_session_ends_when_clearml_rejects_its_token() {
    let mut world = World::new().await;
    let session = cookies(&[&pair(&world.logged_in().await.set_cookie)]);
    assert!(who(&world.identify(&session).await).is_some());
    world.audited();
    world.server.delete_user("alice");
    world.secs(60);
    let identified = world.identify(&session).await;
    assert_eq!(who(&identified), None);
    assert!(clears(&identified.unwrap()));
    until(|| !world.register.follow().get().is_empty()).await;
    assert_eq!(world.kinds(), [AuditKind::SessionRevoked]);
}

#[tokio::test]
async fn too_many_questions_are_refused_and_strangers_do_not_keep_users_waiting() {
    let settings = Settings {
        queue: 2,
        concurrency: 1,
        patience: Duration::from_secs(3),
        ..settings()
    };
    let world = World::with(settings).await;
    let session = cookies(&[&pair(&world.logged_in().await.set_cookie)]);
    world.server.script().hangs_for_strangers = true;
    let mut asking = JoinSet::new();
    for number in 0..20 {
        let gatekeeper = world.gatekeeper.clone();
        asking.spawn(async move { gatekeeper.identify(&bearer(&jwt("x", 5000 + number))).await });
    }
    // The desk takes one and two wait; the others are turned away at once.
    for _ in 0..17 {
        let refusal = asking.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(refusal, Refusal::Overloaded);
    }
    // A user is asked about all the same, or nobody would notice this.
    world.server.delete_user("alice");
    world.secs(61);
    assert_eq!(who(&world.identify(&session).await), None);
    assert_eq!(asking.len(), 3);
    assert!(world.is_running());
}

#[tokio::test]
async fn memory_is_bounded() {
    let settings = Settings {
        entries: 128,
        ..settings()
    };
    let world = World::with(settings).await;
    let good = bearer(&world.server.mint("alice"));
    assert!(who(&world.identify(&good).await).is_some());
    for number in 0..1000 {
        let _ = world.identify(&bearer(&jwt("x", 7000 + number))).await;
    }
    let (identities, _) = world.gatekeeper.remembered();
    assert!(identities <= 128, "{identities}");
    let before = world.checks();
    assert!(who(&world.identify(&good).await).is_some());
    assert_eq!(world.checks(), before, "strangers do not push out users");
}
