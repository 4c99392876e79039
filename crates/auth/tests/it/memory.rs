//! A session that was used before is no longer opened at each request. What ends a session ends it all the same.

use std::time::Duration;

use http::HeaderMap;
use portico_auth::keys::SessionKeys;
use portico_core::{clock::Clock as _, principal::CompanyId};

use crate::world::{World, address, clears, cookies, pair, until, user_id, who};

/// Alice, who came in once, and her cookie.
async fn used(world: &World) -> HeaderMap {
    let session = cookies(&[&pair(&world.logged_in().await.set_cookie)]);
    for _ in 0..2 {
        assert_eq!(who(&world.identify(&session).await).unwrap().id, user_id("alice"));
    }
    assert_eq!(world.gatekeeper.sessions_remembered(), 1);
    session
}

async fn is_out(world: &World, session: &HeaderMap) -> bool {
    let identified = world.identify(session).await;
    who(&identified).is_none() && clears(&identified.unwrap())
}

#[tokio::test]
async fn a_session_in_use_does_not_outlive_the_keys_that_sealed_it() {
    let world = World::new().await;
    let session = used(&world).await;
    world.keys.publish(SessionKeys::generate(world.clock.now()));
    assert!(is_out(&world, &session).await);
    assert_eq!(world.gatekeeper.sessions_remembered(), 0);
}

#[tokio::test]
async fn sessions_are_forgotten_when_the_keys_change_even_if_nobody_comes() {
    let world = World::new().await;
    used(&world).await;
    world.keys.publish(SessionKeys::generate(world.clock.now()));
    until(|| world.gatekeeper.sessions_remembered() == 0).await;
}

#[tokio::test]
async fn a_session_in_use_ends_with_the_log_out() {
    let world = World::new().await;
    let opened = world.logged_in().await;
    let session = cookies(&[&pair(&opened.set_cookie)]);
    assert!(who(&world.identify(&session).await).is_some());
    world
        .log_in
        .log_out(Some(&opened.session), address("203.0.113.7"))
        .await;
    assert!(is_out(&world, &session).await);
}

#[tokio::test]
async fn a_session_in_use_ends_when_another_replica_ends_it() {
    let world = World::new().await;
    let session = used(&world).await;
    let other = world.restarted().await;
    other.register.revoke_user(user_id("alice")).await.unwrap();
    world.register.sync().await.unwrap();
    assert!(is_out(&world, &session).await);
}

#[tokio::test]
async fn a_revoked_session_is_forgotten_even_if_nobody_comes() {
    let world = World::new().await;
    used(&world).await;
    world.register.revoke_user(user_id("alice")).await.unwrap();
    until(|| world.gatekeeper.sessions_remembered() == 0).await;
}

#[tokio::test]
async fn a_session_in_use_still_has_an_idle_end() {
    let world = World::new().await;
    let session = used(&world).await;
    world.after(Duration::from_hours(24) - Duration::from_secs(1));
    assert!(who(&world.identify(&session).await).is_some());
    world.secs(1);
    assert!(is_out(&world, &session).await);
    assert_eq!(world.gatekeeper.sessions_remembered(), 0);
}

#[tokio::test]
async fn a_session_in_use_ends_when_clearml_rejects_its_user() {
    let world = World::new().await;
    let session = used(&world).await;
    world.server.delete_user("alice");
    world.secs(60);
    assert!(is_out(&world, &session).await);
}

#[tokio::test]
async fn a_session_in_use_ends_with_its_token() {
    let world = World::new().await;
    let session = used(&world).await;
    for (verified, _) in world.server.script().tokens.values_mut() {
        verified.expires = Some(world.clock.now().plus(Duration::from_mins(5)));
    }
    world.secs(60);
    assert!(who(&world.identify(&session).await).is_some());
    world.after(Duration::from_mins(4));
    assert!(is_out(&world, &session).await);
}

#[tokio::test]
async fn a_session_in_use_ends_when_its_user_is_in_another_company() {
    let world = World::new().await;
    let session = used(&world).await;
    for (verified, _) in world.server.script().tokens.values_mut() {
        verified.company = CompanyId::new("c2");
    }
    world.secs(60);
    assert!(is_out(&world, &session).await);
}

#[tokio::test]
async fn a_session_that_is_revoked_while_clearml_is_asked_does_not_count() {
    let world = World::new().await;
    let session = used(&world).await;
    world.secs(60);
    world.server.script().hangs = true;
    let asked = world.checks();
    let revoked = async {
        until(|| world.checks() > asked).await;
        world.register.revoke_user(user_id("alice")).await.unwrap();
    };
    let (is_out, ()) = tokio::join!(is_out(&world, &session), revoked);
    assert!(is_out);
}

#[tokio::test]
async fn a_session_in_use_lends_nothing_to_a_changed_text() {
    let world = World::new().await;
    let good = pair(&world.logged_in().await.set_cookie);
    assert!(who(&world.identify(&cookies(&[&good])).await).is_some());
    let (name, value) = good.split_once('=').unwrap();
    for at in (0..value.len()).step_by(7) {
        let mut changed = value.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(
            is_out(&world, &cookies(&[&format!("{name}={changed}")])).await,
            "byte {at}"
        );
    }
    assert!(who(&world.identify(&cookies(&[&good])).await).is_some());
    assert_eq!(world.gatekeeper.sessions_remembered(), 1);
}
