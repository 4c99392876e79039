//! Sealed sessions: what they survive, what ends them, and that nobody else can make one.

use std::{sync::Arc, time::Duration};

use portico_auth::{
    credentials::CookieNames,
    keys::{self, SessionKeys},
    session::{OpenedBy, SessionFault, Sessions, Settings},
};
use portico_core::{clock::Clock as _, live::Live, site::Origin};

use crate::world::{World, address, clears, cookies, pair, site, user_id, who};

#[tokio::test]
async fn the_cookie_is_for_this_host_only_and_out_of_reach_of_scripts() {
    let world = World::new().await;
    let cookie = world.logged_in().await.set_cookie;
    let text = cookie.to_str().unwrap();
    assert!(
        text.starts_with(&format!("__Host-portico-session-{}=v1.", world.site.mark())),
        "{text}"
    );
    assert!(
        text.ends_with("; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"),
        "{text}"
    );
    assert!(!text.contains("Domain"));
    assert!(text.len() < 4096);
    assert!(cookie.is_sensitive());
}

#[tokio::test]
async fn over_plain_http_the_cookie_is_not_marked_secure() {
    let world = World::new().await;
    let mut site = site();
    site.router = Origin::parse("http://gw.example.com").unwrap();
    let names = Arc::new(CookieNames::new(&site, None, None));
    let keys = Live::fixed(SessionKeys::generate(world.clock.now()));
    let sessions = Sessions::new(Settings::default(), keys, names, Arc::new(world.clock.clone()));
    let opened = world.logged_in().await;
    let cookie = sessions.set_cookie(&opened.session).unwrap();
    let text = cookie.to_str().unwrap();
    assert!(text.starts_with("portico-session-"), "{text}");
    assert!(!text.contains("Secure"), "{text}");
}

#[tokio::test]
async fn a_session_survives_a_restart() {
    let world = World::new().await;
    let session = cookies(&[&pair(&world.logged_in().await.set_cookie)]);
    let restarted = world.restarted().await;
    assert_eq!(who(&restarted.identify(&session).await).unwrap().id, user_id("alice"));
}

#[tokio::test]
async fn another_gateways_session_is_none() {
    let (here, there) = (World::new().await, World::new().await);
    let foreign = pair(&there.logged_in().await.set_cookie);
    let identified = here.identify(&cookies(&[&foreign])).await;
    assert_eq!(who(&identified), None);

    // The same keys, but sealed for another cookie.
    let mut site = site();
    site.router = Origin::parse("https://other.example.com").unwrap();
    let names = Arc::new(CookieNames::new(&site, None, None));
    let keys = Live::fixed(keys::load_or_create(&*here.store, &here.clock).await.unwrap());
    let sessions = Sessions::new(Settings::default(), keys, names, Arc::new(here.clock.clone()));
    let opened = here.logged_in().await;
    let other = sessions.set_cookie(&opened.session).unwrap();
    let value = pair(&other).split_once('=').unwrap().1.to_owned();
    let forged = format!("__Host-portico-session-{}={value}", here.site.mark());
    assert_eq!(who(&here.identify(&cookies(&[&forged])).await), None);
}

#[tokio::test]
async fn nobody_can_change_a_sealed_session() {
    let world = World::new().await;
    let good = pair(&world.logged_in().await.set_cookie);
    let (name, value) = good.split_once('=').unwrap();
    for at in (0..value.len()).step_by(7) {
        let mut changed = value.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let identified = world.identify(&cookies(&[&format!("{name}={changed}")])).await;
        assert_eq!(who(&identified), None, "byte {at}");
    }
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends_after_a_day() {
    let world = World::new().await;
    let session = cookies(&[&pair(&world.logged_in().await.set_cookie)]);
    world.after(Duration::from_hours(24) - Duration::from_secs(1));
    assert!(who(&world.identify(&session).await).is_some());
    world.secs(1);
    let identified = world.identify(&session).await;
    assert_eq!(who(&identified), None);
    assert!(clears(&identified.unwrap()));
}

#[tokio::test]
async fn a_session_in_use_is_sealed_anew_at_half_time_but_ends_after_seven_days() {
    let world = World::new().await;
    let mut cookie = pair(&world.logged_in().await.set_cookie);
    world.after(Duration::from_hours(11));
    assert!(
        world
            .identify(&cookies(&[&cookie]))
            .await
            .unwrap()
            .set_cookies
            .is_empty()
    );
    world.after(Duration::from_hours(2));
    let mut hours = 13;
    loop {
        let identified = world.identify(&cookies(&[&cookie])).await.unwrap();
        let Some(session) = identified.session else { break };
        assert!(hours < 7 * 24, "{hours}");
        if let Some(renewed) = identified.set_cookies.first() {
            cookie = pair(renewed);
        }
        assert!(session.idle_end <= session.absolute_end);
        world.after(Duration::from_hours(13));
        hours += 13;
    }
    assert!(hours >= 7 * 24, "{hours}");
}

#[tokio::test]
async fn keys_rotate_without_logging_anybody_out() {
    let world = World::new().await;
    let old = pair(&world.logged_in().await.set_cookie);
    let keys = keys::rotate(&*world.store, &world.clock).await.unwrap();
    assert_eq!(keys.ids().count(), 2);
    world.keys.publish(keys);
    let identified = world.identify(&cookies(&[&old])).await.unwrap();
    assert!(
        identified.set_cookies.is_empty(),
        "other replicas may not know the new key yet"
    );
    world.secs(31);
    let identified = world.identify(&cookies(&[&old])).await.unwrap();
    let new = pair(&identified.set_cookies[0]);
    assert_ne!(new.split('.').nth(1), old.split('.').nth(1));
    assert!(who(&world.identify(&cookies(&[&new])).await).is_some());
    assert!(who(&world.identify(&cookies(&[&old])).await).is_some());
}

#[tokio::test]
async fn what_clearml_says_now_counts_and_not_what_was_sealed() {
    let world = World::new().await;
    let token = world.server.mint("root");
    let root = world.server.script().tokens[&token].0.clone();
    let session = world.sessions.open(&root, OpenedBy::Password);
    assert!(session.is_administrator);
    let session = cookies(&[&pair(&world.sessions.set_cookie(&session).unwrap())]);
    let is_administrator = async |world: &World| who(&world.identify(&session).await).unwrap().is_administrator;
    assert!(is_administrator(&world).await);
    for (verified, _) in world.server.script().tokens.values_mut() {
        verified.is_administrator = false;
    }
    world.secs(60);
    assert!(!is_administrator(&world).await, "demoted");
    world.away(true);
    assert!(
        !is_administrator(&world.restarted().await).await,
        "not without an answer"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_session_can_be_told() {
    let world = World::new().await;
    let opened = world.logged_in().await;
    let cookie = cookies(&[
        &pair(&opened.set_cookie),
        &format!("{}=x", world.gatekeeper.names().session()),
    ]);
    let told = || world.gatekeeper.inspect_sessions(&cookie);
    let session = Box::new(opened.session.clone());
    assert_eq!(told(), [Err(SessionFault::Unreadable), Ok(opened.session.clone())]);
    world.after(Duration::from_hours(25));
    assert_eq!(told()[1], Err(SessionFault::Idle(session.clone())));
    world.after(Duration::from_hours(24 * 7));
    assert_eq!(told()[1], Err(SessionFault::Over(session)));
    let opened = world.logged_in().await;
    let cookie = cookies(&[&pair(&opened.set_cookie)]);
    world
        .log_in
        .log_out(Some(&opened.session), address("203.0.113.7"))
        .await;
    let revoked = Err(SessionFault::Revoked(Box::new(opened.session)));
    assert_eq!(world.gatekeeper.inspect_sessions(&cookie), [revoked]);
}
