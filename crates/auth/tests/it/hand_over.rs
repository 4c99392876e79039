//! The way of a session from the log-in's origin to the applications'.

use portico_auth::hand_over::Nonce;
use portico_core::refusal::Refusal;

use crate::world::{World, cookies, pair};

const HOST: &str = "gw.example.com";

fn begun(world: &World) -> (Nonce, http::HeaderMap) {
    let nonce = world.hand_over.begin(&http::HeaderMap::new());
    let browser = cookies(&["a=b", &pair(&nonce.set_cookie)]);
    (nonce, browser)
}

#[tokio::test]
async fn a_session_is_handed_over() {
    let world = World::new().await;
    let session = world.logged_in().await.session;
    let (nonce, browser) = begun(&world);
    let code = world.hand_over.code(&session, "GW.example.com", &nonce.hash).unwrap();
    assert_eq!(world.hand_over.redeem(&code, HOST, &browser), Ok(session));
}

#[tokio::test]
async fn a_code_is_worth_something_once() {
    let world = World::new().await;
    let session = world.logged_in().await.session;
    let (nonce, browser) = begun(&world);
    let code = world.hand_over.code(&session, HOST, &nonce.hash).unwrap();
    assert!(world.hand_over.redeem(&code, HOST, &browser).is_ok());
    assert_eq!(
        world.hand_over.redeem(&code, HOST, &browser),
        Err(Refusal::HandOverInvalid)
    );
}

#[tokio::test]
async fn a_code_is_worth_something_for_half_a_minute() {
    let world = World::new().await;
    let session = world.logged_in().await.session;
    let (nonce, browser) = begun(&world);
    let [soon, late] = [(); 2].map(|()| world.hand_over.code(&session, HOST, &nonce.hash).unwrap());
    world.secs(29);
    assert!(world.hand_over.redeem(&soon, HOST, &browser).is_ok());
    world.secs(1);
    assert_eq!(
        world.hand_over.redeem(&late, HOST, &browser),
        Err(Refusal::HandOverInvalid)
    );
}

#[tokio::test]
async fn a_code_is_worth_nothing_elsewhere() {
    let world = World::new().await;
    let session = world.logged_in().await.session;
    let (nonce, browser) = begun(&world);
    let (_, other_browser) = begun(&world);
    let code = || world.hand_over.code(&session, HOST, &nonce.hash).unwrap();
    let invalid = Err(Refusal::HandOverInvalid);
    assert_eq!(world.hand_over.redeem(&code(), "evil.example.com", &browser), invalid);
    assert_eq!(world.hand_over.redeem(&code(), HOST, &other_browser), invalid);
    assert_eq!(world.hand_over.redeem(&code(), HOST, &http::HeaderMap::new()), invalid);
    let other_gateway = World::new().await;
    assert_eq!(other_gateway.hand_over.redeem(&code(), HOST, &browser), invalid);
    assert!(
        world.hand_over.redeem(&code(), HOST, &browser).is_ok(),
        "failures use nothing up"
    );
}

#[tokio::test]
async fn codes_and_sessions_cannot_take_each_others_place() {
    let world = World::new().await;
    let opened = world.logged_in().await;
    let (nonce, browser) = begun(&world);
    let code = world.hand_over.code(&opened.session, HOST, &nonce.hash).unwrap();
    let cookie = format!("__Host-portico-session-{}={code}", world.site.mark());
    let identified = world.identify(&cookies(&[&cookie])).await.unwrap();
    assert!(identified.session.is_none());
    let sealed = pair(&opened.set_cookie).split_once('=').unwrap().1.to_owned();
    assert!(world.hand_over.redeem(&sealed, HOST, &browser).is_err());
    for nonsense in ["", "v1", "v1..", "v1.a.b", &"A".repeat(10_000)] {
        assert!(world.hand_over.redeem(nonsense, HOST, &browser).is_err());
    }
}

#[tokio::test]
async fn several_tabs_share_a_nonce_and_strange_hashes_get_no_code() {
    let world = World::new().await;
    let (first, browser) = begun(&world);
    let second = world.hand_over.begin(&browser);
    assert_eq!(first.hash, second.hash);
    let text = first.set_cookie.to_str().unwrap().to_owned();
    assert!(
        text.starts_with("__Host-portico-nonce-") && text.contains("HttpOnly"),
        "{text}"
    );
    assert!(!text.contains(&first.hash));
    let session = world.logged_in().await.session;
    for hash in ["", "zz", &"z".repeat(64), &"é".repeat(32)] {
        assert!(world.hand_over.code(&session, HOST, hash).is_none());
    }
}
