//! Class 12: exchanges that are open end when their reason does.

use std::{sync::Arc, time::Duration};

use portico_core::{
    principal::{Principal, User},
    refusal::Refusal,
};

use crate::world::{KEY, SECRET, World, address, basic, bearer, cookies, pair, until, user_id};

async fn principal(world: &World, headers: &http::HeaderMap) -> Principal {
    world.identify(headers).await.unwrap().principal
}

fn user(principal: &Principal) -> &Arc<User> {
    match principal {
        Principal::User(user) => user,
        Principal::Nobody => panic!("nobody came in"),
    }
}

#[tokio::test]
async fn an_exchange_of_nobody_goes_on() {
    let world = World::new().await;
    assert_eq!(world.gatekeeper.recheck(&Principal::Nobody).await, Ok(()));
}

#[tokio::test]
async fn a_log_out_ends_exchanges_at_once() {
    let world = World::new().await;
    let opened = world.logged_in().await;
    let open = principal(&world, &cookies(&[&pair(&opened.set_cookie)])).await;
    assert_eq!(world.gatekeeper.recheck(&open).await, Ok(()));
    world
        .log_in
        .log_out(Some(&opened.session), address("203.0.113.7"))
        .await;
    assert_eq!(world.gatekeeper.recheck(&open).await, Err(Refusal::LogInRequired));
}

#[tokio::test]
async fn ending_all_sessions_of_a_user_spares_later_ones_and_other_users() {
    let world = World::new().await;
    let before = principal(&world, &cookies(&[&pair(&world.logged_in().await.set_cookie)])).await;
    let bob = principal(&world, &bearer(&world.server.mint("bob"))).await;
    world
        .log_in
        .log_out_user(&user_id("alice"), "by an administrator")
        .await;
    world.secs(1);
    let after = principal(&world, &cookies(&[&pair(&world.logged_in().await.set_cookie)])).await;
    assert_eq!(world.gatekeeper.recheck(&before).await, Err(Refusal::LogInRequired));
    assert_eq!(world.gatekeeper.recheck(&after).await, Ok(()));
    assert_eq!(world.gatekeeper.recheck(&bob).await, Ok(()));
}

#[tokio::test]
async fn a_revocation_on_another_replica_counts_within_five_seconds() {
    let here = World::new().await;
    let there = here.restarted().await;
    let opened = here.logged_in().await;
    let open = principal(&here, &cookies(&[&pair(&opened.set_cookie)])).await;
    there
        .log_in
        .log_out(Some(&opened.session), address("203.0.113.7"))
        .await;
    let revoked_at = std::time::Instant::now();
    until(|| !here.register.follow().get().is_empty()).await;
    assert!(revoked_at.elapsed() <= Duration::from_secs(5));
    assert_eq!(here.gatekeeper.recheck(&open).await, Err(Refusal::LogInRequired));
}

#[tokio::test]
async fn a_revocation_counts_here_while_the_store_is_broken_and_elsewhere_once_it_works() {
    let here = World::new().await;
    let there = here.restarted().await;
    let opened = here.logged_in().await;
    let cookie = cookies(&[&pair(&opened.set_cookie)]);
    let (open, open_there) = (principal(&here, &cookie).await, principal(&there, &cookie).await);
    *here.store.is_broken.lock().unwrap() = true;
    here.log_in.log_out(Some(&opened.session), address("203.0.113.7")).await;
    assert!(here.gatekeeper.recheck(&open).await.is_err());
    assert!(there.gatekeeper.recheck(&open_there).await.is_ok());
    *here.store.is_broken.lock().unwrap() = false;
    until(|| !there.register.follow().get().is_empty()).await;
    assert!(there.gatekeeper.recheck(&open_there).await.is_err());
}

#[tokio::test]
async fn a_change_inside_clearml_ends_exchanges_within_a_minute() {
    let world = World::new().await;
    let session = principal(&world, &cookies(&[&pair(&world.logged_in().await.set_cookie)])).await;
    let cookie = principal(
        &world,
        &cookies(&[&format!("clearml_token_basic={}", world.server.mint("alice"))]),
    )
    .await;
    let bearer = principal(&world, &bearer(&world.server.mint("alice"))).await;
    let basic = principal(&world, &basic(KEY, SECRET)).await;
    let all = [
        (session, Refusal::LogInRequired),
        (cookie, Refusal::LogInRequired),
        (bearer, Refusal::CredentialRejected),
        (basic, Refusal::CredentialRejected),
    ];
    let before = world.checks();
    for (open, _) in &all {
        assert_eq!(world.gatekeeper.recheck(open).await, Ok(()));
    }
    assert_eq!(world.checks(), before, "answered from memory");
    world.server.delete_user("alice");
    world.secs(60);
    for (open, refusal) in &all {
        assert_eq!(world.gatekeeper.recheck(open).await.as_ref(), Err(refusal));
    }
}

#[tokio::test]
async fn an_outage_ends_no_exchange() {
    let world = World::new().await;
    let session = principal(&world, &cookies(&[&pair(&world.logged_in().await.set_cookie)])).await;
    let bearer = principal(&world, &bearer(&world.server.mint("alice"))).await;
    world.away(true);
    world.after(Duration::from_mins(59));
    assert_eq!(world.gatekeeper.recheck(&session).await, Ok(()));
    assert_eq!(world.gatekeeper.recheck(&bearer).await, Ok(()));
    world.after(Duration::from_mins(2));
    assert_eq!(world.gatekeeper.recheck(&session).await, Ok(()));
    assert_eq!(world.gatekeeper.recheck(&bearer).await, Err(Refusal::ClearmlAway));
}

#[tokio::test]
async fn an_exchange_ends_with_its_session() {
    let world = World::new().await;
    let open = principal(&world, &cookies(&[&pair(&world.logged_in().await.set_cookie)])).await;
    world.after(Duration::from_hours(7 * 24) - Duration::from_secs(1));
    assert_eq!(world.gatekeeper.recheck(&open).await, Ok(()));
    world.secs(1);
    assert_eq!(world.gatekeeper.recheck(&open).await, Err(Refusal::LogInRequired));
}

#[tokio::test]
async fn when_nothing_more_can_be_asked_what_is_open_goes_on_but_only_a_session_opens_anything() {
    let mut world = World::new().await;
    let session = principal(&world, &cookies(&[&pair(&world.logged_in().await.set_cookie)])).await;
    let token = world.server.mint("bob");
    let cookie = principal(&world, &cookies(&[&format!("clearml_token_basic={token}")])).await;
    world.after(Duration::from_hours(2));
    world.stop().await;
    for open in [&session, &cookie] {
        assert_eq!(world.gatekeeper.recheck(open).await, Ok(()));
    }
    assert!(world.gatekeeper.current(user(&session)).await.is_ok());
    assert_eq!(
        world.gatekeeper.current(user(&cookie)).await,
        Err(Refusal::ShuttingDown)
    );
}
