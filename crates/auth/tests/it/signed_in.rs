//! Who is signed in at an address.

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use portico_auth::keys::SessionKeys;
use portico_core::{
    clock::Clock as _,
    principal::{Method, User},
    refusal::Refusal,
};

use crate::world::{KEY, SECRET, World, address, basic, bearer, cookies, pair, until, user_id};

const HERE: &str = "203.0.113.7";

/// A request with these headers came from this address.
async fn came(world: &World, headers: &HeaderMap, from: &str) {
    let identified = world.identify(headers).await.unwrap();
    let session = identified.session.as_deref();
    world
        .gatekeeper
        .note(&identified.principal, session, address(from), true);
}

/// Alice has logged in and came here once.
async fn alice(world: &World) -> HeaderMap {
    let session = cookies(&[&pair(&world.logged_in().await.set_cookie)]);
    came(world, &session, HERE).await;
    session
}

fn here(world: &World) -> Vec<Arc<User>> {
    world.gatekeeper.signed_in_from(address(HERE))
}

#[tokio::test]
async fn somebody_is_signed_in_where_the_log_in_was_used_and_nowhere_else() {
    let world = World::new().await;
    assert!(here(&world).is_empty());
    alice(&world).await;
    assert_eq!(here(&world)[0].id, user_id("alice"));
    assert_eq!(here(&world).len(), 1);
    let mapped = world.gatekeeper.signed_in_from(address("::ffff:203.0.113.7"));
    assert_eq!(mapped, here(&world));
    assert!(world.gatekeeper.signed_in_from(address("203.0.113.8")).is_empty());
    assert_eq!(
        world.gatekeeper.current(&here(&world)[0]).await.unwrap(),
        here(&world)[0]
    );
}

#[tokio::test]
async fn the_log_in_itself_signs_the_address_in() {
    let world = World::new().await;
    let opened = world.logged_in().await;
    assert_eq!(here(&world).len(), 1);
    assert_eq!(here(&world)[0].id, user_id("alice"));
    assert_eq!(here(&world)[0].session, Some(opened.session.id));
    assert_eq!(
        world.gatekeeper.current(&here(&world)[0]).await.unwrap(),
        here(&world)[0]
    );
}

#[tokio::test]
async fn a_request_that_a_foreign_page_may_have_made_signs_nobody_in() {
    let world = World::new().await;
    let session = cookies(&[&pair(&world.logged_in().await.set_cookie)]);
    let identified = world.identify(&session).await.unwrap();
    let note = |is_own_doing| {
        let session = identified.session.as_deref();
        let elsewhere = address("203.0.113.8");
        world
            .gatekeeper
            .note(&identified.principal, session, elsewhere, is_own_doing);
        world.gatekeeper.signed_in_from(elsewhere).len()
    };
    assert_eq!(note(false), 0);
    assert_eq!(note(true), 1);
}

#[tokio::test]
async fn strangers_and_programs_are_not_signed_in() {
    let world = World::new().await;
    let token = world.server.mint("alice");
    for headers in [HeaderMap::new(), bearer(&token), basic(KEY, SECRET)] {
        came(&world, &headers, HERE).await;
        assert!(here(&world).is_empty());
    }
}

#[tokio::test]
async fn nobody_is_signed_in_at_a_trusted_proxy() {
    let world = World::new().await;
    let session = alice(&world).await;
    for proxy in ["10.0.0.1", "::ffff:10.0.0.1"] {
        came(&world, &session, proxy).await;
        assert!(world.gatekeeper.signed_in_from(address(proxy)).is_empty());
    }
}

#[tokio::test]
async fn a_log_in_at_clearml_counts_for_an_hour_because_its_end_is_not_told() {
    let world = World::new().await;
    let token = world.server.mint("alice");
    let cookie = cookies(&[&format!("clearml_token_basic={token}")]);
    came(&world, &cookie, HERE).await;
    assert_eq!(here(&world)[0].method, Method::ClearmlCookie);
    world.after(Duration::from_mins(59));
    came(&world, &cookie, HERE).await;
    world.after(Duration::from_mins(59));
    assert_eq!(here(&world).len(), 1, "it was used in between");
    world.after(Duration::from_mins(1));
    assert!(here(&world).is_empty());
}

#[tokio::test]
async fn a_log_out_counts_at_once_and_on_every_replica() {
    let world = World::new().await;
    let opened = world.logged_in().await;
    let session = cookies(&[&pair(&opened.set_cookie)]);
    let other = world.restarted().await;
    for world in [&world, &other] {
        came(world, &session, HERE).await;
        assert_eq!(here(world).len(), 1);
    }
    let user = here(&world).remove(0);
    world.log_in.log_out(Some(&opened.session), address(HERE)).await;
    assert!(here(&world).is_empty());
    assert_eq!(world.gatekeeper.current(&user).await, Err(Refusal::LogInRequired));
    other.register.sync().await.unwrap();
    assert!(here(&other).is_empty());
    until(|| world.gatekeeper.addresses_remembered() == 0).await;
}

#[tokio::test]
async fn another_log_in_at_the_same_address_goes_on() {
    let world = World::new().await;
    alice(&world).await;
    let opened = world.logged_in().await;
    came(&world, &cookies(&[&pair(&opened.set_cookie)]), HERE).await;
    assert_eq!(here(&world).len(), 2);
    world.log_in.log_out(Some(&opened.session), address(HERE)).await;
    assert_eq!(here(&world).len(), 1);
    assert_ne!(here(&world)[0].session, Some(opened.session.id));
}

#[tokio::test]
async fn a_session_that_nobody_uses_signs_nobody_in() {
    let world = World::new().await;
    let session = alice(&world).await;
    world.after(Duration::from_hours(24) - Duration::from_secs(1));
    assert_eq!(here(&world).len(), 1);
    let renewed = world.identify(&session).await.unwrap().set_cookies;
    world.secs(1);
    assert!(here(&world).is_empty());
    came(&world, &cookies(&[&pair(&renewed[0])]), HERE).await;
    assert_eq!(here(&world).len(), 1, "it is used again");
}

#[tokio::test]
async fn other_keys_sign_everybody_out() {
    let world = World::new().await;
    alice(&world).await;
    world.keys.publish(SessionKeys::generate(world.clock.now()));
    until(|| here(&world).is_empty()).await;
}

#[tokio::test]
async fn the_rights_that_count_are_those_of_now() {
    let world = World::new().await;
    let token = world.server.mint("root");
    came(&world, &cookies(&[&format!("clearml_token_basic={token}")]), HERE).await;
    let user = here(&world).remove(0);
    assert!(user.is_administrator);
    assert!(world.gatekeeper.current(&user).await.unwrap().is_administrator);
    for (verified, _) in world.server.script().tokens.values_mut() {
        verified.is_administrator = false;
    }
    world.secs(60);
    assert!(!world.gatekeeper.current(&user).await.unwrap().is_administrator);
    world.server.delete_user("root");
    world.secs(60);
    assert_eq!(world.gatekeeper.current(&user).await, Err(Refusal::LogInRequired));
}

#[tokio::test]
async fn while_clearml_cannot_be_asked_a_session_makes_no_administrator() {
    let world = World::new().await;
    let opened = world.logged_in().await;
    let session = cookies(&[&pair(&opened.set_cookie)]);
    for (verified, _) in world.server.script().tokens.values_mut() {
        verified.is_administrator = true;
    }
    world.secs(60);
    came(&world, &session, HERE).await;
    let user = here(&world).remove(0);
    assert!(user.is_administrator);
    world.away(true);
    world.after(Duration::from_hours(2));
    assert!(!world.gatekeeper.current(&user).await.unwrap().is_administrator);
}
