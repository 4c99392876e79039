//! Which of several credentials counts, and what a bad one does.

use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, COOKIE, SEC_WEBSOCKET_PROTOCOL},
};
use portico_auth::session::OpenedBy;
use portico_core::{audit::AuditKind, principal::Method, refusal::Refusal};

use crate::world::{KEY, SECRET, World, basic, bearer, clears, cookies, headers, jwt, pair, until, user_id, who};

const OURS: HeaderName = HeaderName::from_static("x-gateway-authorization");

#[tokio::test]
async fn a_request_without_credentials_is_nobodys() {
    let world = World::new().await;
    let identified = world.identify(&HeaderMap::new()).await;
    assert_eq!(who(&identified), None);
    assert!(identified.unwrap().set_cookies.is_empty());
    assert_eq!(world.checks(), 0);
}

#[tokio::test]
async fn every_kind_of_credential_names_its_user() {
    let world = World::new().await;
    let token = world.server.mint("alice");
    let session = pair(&world.logged_in().await.set_cookie);
    let gateway = |value: &str| headers(&[(OURS, value)]);
    let pair_value = basic(KEY, SECRET)[AUTHORIZATION].to_str().unwrap().to_owned();
    for (headers, method) in [
        (bearer(&token), Method::Bearer),
        (basic(KEY, SECRET), Method::Basic),
        (gateway(&format!("Bearer {token}")), Method::Bearer),
        (gateway(&pair_value), Method::Basic),
        (
            headers(&[(SEC_WEBSOCKET_PROTOCOL, &format!("portico.bearer.{token}, chat"))]),
            Method::Bearer,
        ),
        (
            cookies(&[&format!("clearml_token_basic={token}")]),
            Method::ClearmlCookie,
        ),
        (cookies(&[&format!("clearml-token-k8s={token}")]), Method::ClearmlCookie),
        (cookies(&[&format!("allegro_token_x={token}")]), Method::ClearmlCookie),
        (cookies(&[&session]), Method::Session),
    ] {
        let identified = world.identify(&headers).await;
        let user = who(&identified).unwrap();
        assert_eq!(
            (user.id.clone(), user.method),
            (user_id("alice"), method),
            "{headers:?}"
        );
        assert_eq!(user.session.is_some(), method == Method::Session);
    }
}

#[tokio::test]
async fn a_bad_header_of_ours_is_rejected_whatever_the_cookies_say() {
    let world = World::new().await;
    let good = world.server.mint("alice");
    let cookie = format!("clearml_token_basic={good}");
    for bad in [
        bearer(&jwt("mallory", 666)),
        basic(KEY, "wrong"),
        headers(&[(OURS, "Bearer nonsense")]),
        headers(&[(OURS, &format!("Bearer {}", jwt("mallory", 667)))]),
        headers(&[(OURS, &format!("Bearer {good}")), (OURS, &format!("Bearer {good}"))]),
        headers(&[
            (AUTHORIZATION, &format!("Bearer {good}")),
            (AUTHORIZATION, &format!("Bearer {good}")),
        ]),
    ] {
        let mut headers = bad.clone();
        headers.insert(COOKIE, cookie.parse().unwrap());
        assert_eq!(
            world.identify(&headers).await.unwrap_err(),
            Refusal::CredentialRejected,
            "{bad:?}"
        );
    }
}

#[tokio::test]
async fn an_applications_own_authorization_is_not_claimed() {
    let world = World::new().await;
    for value in [
        "Bearer some-api-key",
        "Basic dXNlcjpwYXNz",
        "Token abc",
        "Digest username=\"x\"",
        "bearer",
        "",
    ] {
        let identified = world.identify(&headers(&[(AUTHORIZATION, value)])).await;
        assert_eq!(who(&identified), None, "{value}");
    }
    assert_eq!(world.checks(), 0);
}

#[tokio::test]
async fn a_header_counts_before_cookies() {
    let world = World::new().await;
    let mut headers = bearer(&world.server.mint("alice"));
    let bobs = world.server.mint("bob");
    headers.insert(COOKIE, format!("clearml_token_basic={bobs}").parse().unwrap());
    assert_eq!(who(&world.identify(&headers).await).unwrap().id, user_id("alice"));
}

#[tokio::test]
async fn a_bad_cookie_of_clearml_counts_as_absent() {
    let world = World::new().await;
    let expired = format!("clearml_token_basic={}", jwt("alice", 999));
    assert_eq!(who(&world.identify(&cookies(&[&expired])).await), None);
    assert_eq!(
        who(&world.identify(&cookies(&["clearml_token_basic=garbage"])).await),
        None
    );
    let session = pair(&world.logged_in().await.set_cookie);
    let identified = world.identify(&cookies(&[&expired, &session])).await;
    assert_eq!(who(&identified).unwrap().method, Method::Session);
}

#[tokio::test]
async fn a_bad_session_cookie_counts_as_absent_and_is_cleared() {
    let world = World::new().await;
    let good = pair(&world.logged_in().await.set_cookie);
    let (name, value) = good.split_once('=').unwrap();
    let mut damaged = value.to_owned();
    damaged.replace_range(value.len() - 4.., "AAAA");
    for bad in ["", "v1", "v1.x.y", "v2.0.0", &damaged, &value[..value.len() / 2]] {
        let identified = world.identify(&cookies(&[&format!("{name}={bad}")])).await;
        assert_eq!(who(&identified), None, "{bad}");
        assert!(clears(&identified.unwrap()), "{bad}");
    }
    let expired = format!("{name}={damaged}");
    let token = format!("clearml_token_basic={}", world.server.mint("bob"));
    let identified = world.identify(&cookies(&[&expired, &token])).await;
    assert_eq!(who(&identified).unwrap().id, user_id("bob"));
    assert!(clears(&identified.unwrap()));
}

#[tokio::test]
async fn clearmls_cookie_wins_over_another_users_session_and_ends_it() {
    let mut world = World::new().await;
    let session = pair(&world.logged_in().await.set_cookie);
    world.audited();
    let bobs = format!("clearml_token_basic={}", world.server.mint("bob"));
    let identified = world.identify(&cookies(&[&session, &bobs])).await;
    assert_eq!(who(&identified).unwrap().id, user_id("bob"));
    assert!(clears(&identified.unwrap()));
    until(|| !world.register.follow().get().is_empty()).await;
    assert_eq!(world.kinds(), [AuditKind::SessionRevoked]);
    assert_eq!(who(&world.identify(&cookies(&[&session])).await), None);
}

#[tokio::test]
async fn both_cookies_of_one_user_live_together() {
    let world = World::new().await;
    let session = pair(&world.logged_in().await.set_cookie);
    let token = format!("clearml_token_basic={}", world.server.mint("alice"));
    let identified = world.identify(&cookies(&[&session, &token])).await;
    assert_eq!(who(&identified).unwrap().method, Method::ClearmlCookie);
    assert!(identified.unwrap().set_cookies.is_empty());
    assert_eq!(
        who(&world.identify(&cookies(&[&session])).await).unwrap().method,
        Method::Session
    );
}

/// Class 8: what a sibling host or an application's page sets beside our cookie neither takes its place nor keeps
/// anybody out.
#[tokio::test]
async fn a_tossed_cookie_is_no_identity_and_no_loop() {
    let world = World::new().await;
    let good = pair(&world.logged_in().await.set_cookie);
    let name = good.split_once('=').unwrap().0;
    let tossed = format!("{name}=v1.00000000.AAAA");
    for order in [[&*tossed, &*good], [&*good, &*tossed]] {
        let identified = world.identify(&cookies(&order)).await;
        assert_eq!(who(&identified).unwrap().id, user_id("alice"));
        assert!(identified.unwrap().set_cookies.is_empty());
    }
    // A page below a path can set a cookie for its path only, which browsers send in front.
    let token = world.server.mint("bob");
    let bob = world.server.script().tokens[&token].0.clone();
    let session = world.sessions.open(&bob, OpenedBy::Password);
    let bobs = pair(&world.sessions.set_cookie(&session).unwrap());
    assert_eq!(
        who(&world.identify(&cookies(&[&bobs])).await).unwrap().id,
        user_id("bob")
    );
    let identified = world.identify(&cookies(&[&bobs, &good])).await;
    assert_eq!(who(&identified).unwrap().id, user_id("alice"));
}

#[tokio::test]
async fn one_request_makes_at_most_four_questions_of_its_cookies() {
    let world = World::new().await;
    let many: Vec<String> = (0..50)
        .map(|n| format!("clearml_token_basic={}", jwt("x", 1000 + n)))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(who(&world.identify(&cookies(&many)).await), None);
    assert_eq!(world.checks(), 4);
}

#[tokio::test]
async fn a_token_that_has_expired_is_not_asked_about_again() {
    let world = World::new().await;
    let token = world.server.mint("alice");
    let soon = portico_core::clock::Clock::now(&world.clock).plus(std::time::Duration::from_secs(10));
    world.server.script().tokens.get_mut(&token).unwrap().0.expires = Some(soon);
    assert!(who(&world.identify(&bearer(&token)).await).is_some());
    world.secs(11);
    assert_eq!(
        world.identify(&bearer(&token)).await.unwrap_err(),
        Refusal::CredentialRejected
    );
    assert_eq!(world.checks(), 1);
}
