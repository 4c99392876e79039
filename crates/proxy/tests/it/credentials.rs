//! Class 6: nothing of ours or of ClearML's reaches an application, and an application cannot set our cookies. Class 1: nothing that
//! only a proxy may say comes from a visitor.

use crate::{
    gateway::{Gateway, Spec, as_user, gateway, path},
    peers::behaves,
    world::token,
};
use portico_core::access::Who;

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_of_ours_arrives() {
    let peer = behaves::echoes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let (session, _) = gateway.session("alice");
    let jwt = token("alice");
    for headers in [
        format!("X-Gateway-Authorization: Bearer {jwt}\r\n"),
        format!("x_gateway_authorization: Bearer {jwt}\r\nX-Gateway-Authorization: Bearer {jwt}\r\n"),
        format!("Authorization: Bearer {jwt}\r\n"),
        format!("Cookie: theirs=1; {session}; clearml_token_basic={jwt}; portico-seen-x=1; other={jwt}\r\n"),
        format!("Cookie: {session}\r\nCookie: theirs=1\r\n"),
    ] {
        let reply = gateway.get_with(&path("/"), &headers).await;
        assert_eq!(reply.status, 200, "{headers}: {}", reply.body);
        assert!(!reply.body.contains(&jwt), "{}", reply.body);
        assert!(!reply.body.contains("portico"), "{}", reply.body);
        assert!(!reply.body.to_lowercase().contains("authorization"), "{}", reply.body);
        assert_eq!(
            headers.contains("theirs"),
            reply.body.contains("theirs=1"),
            "{}",
            reply.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_own_authorization_passes() {
    let peer = behaves::echoes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let headers = format!("{}Authorization: Bearer theirs\r\n", as_user("alice"));
    assert!(
        gateway
            .get_with(&path("/"), &headers)
            .await
            .body
            .contains("Authorization: Bearer theirs\r\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_trailers_do_not_arrive_either() {
    let peer = behaves::echoes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let jwt = token("alice");
    let reply = gateway
        .raw(format!(
            "POST {} HTTP/1.1\r\nHost: gw.test\r\n{}Trailer: X-Sum, X-Gateway-Authorization, X-Forwarded-For, Cookie\r\nTransfer-Encoding: chunked\r\n\r\n\
             1\r\nx\r\n0\r\nX-Sum: 1\r\nX-Gateway-Authorization: Bearer {jwt}\r\nX-Forwarded-For: forged\r\nCookie: clearml_token_basic={jwt}\r\n\r\n",
            path("/"),
            as_user("alice"),
        ))
        .await;
    assert_eq!(reply.status, 200);
    assert!(
        !reply.body.contains(&jwt) && !reply.body.contains("forged"),
        "{}",
        reply.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_cannot_set_our_cookies() {
    let peer = behaves::says("Set-Cookie: portico-session-00000000=x\r\nSet-Cookie: clearml_token_basic=x; Path=/\r\nSet-Cookie: theirs=1\r\n").await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    assert_eq!(
        gateway.get(&path("/")).await.header("set-cookie").as_deref(),
        Some("theirs=1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_learns_the_way_from_us_alone() {
    let peer = behaves::echoes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let forged = "X-Forwarded-For: forged\r\nx-forwarded-for: forged\r\nX_Forwarded_For: forged\r\nX-FORWARDED-PROTO: forged\r\nForwarded: for=forged\r\n\
                  X-Real-IP: forged\r\nX_Real_Ip: forged\r\nX-Forwarded-Prefix: forged\r\nX-Request-Id: forged\r\nX-Forwarded-User: forged\r\n\
                  X-Portico-User: forged\r\nRemote_User: forged\r\nX-Original-URL: forged\r\nProxy: forged\r\n\
                  Connection: keep-alive, X-Forwarded-For, X-Forwarded-Host, X-Request-Id, Host, X-Private\r\nX-Private: forged\r\n";
    let reply = gateway
        .get_with(&path("/"), &format!("{}{forged}", as_user("alice")))
        .await;
    assert_eq!(reply.status, 200);
    assert!(!reply.body.contains("forged"), "{}", reply.body);
    let id = reply.header("x-request-id").unwrap();
    for line in [
        "Host: gw.test".to_owned(),
        "x-forwarded-for: 127.0.0.1".to_owned(),
        "x-forwarded-proto: http".to_owned(),
        "x-forwarded-host: gw.test".to_owned(),
        "x-forwarded-port: 80".to_owned(),
        format!("x-forwarded-prefix: {}", path("")),
        format!("x-request-id: {id}"),
    ] {
        assert!(
            reply.body.lines().any(|seen| seen.eq_ignore_ascii_case(&line)),
            "{line} in {}",
            reply.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_is_believed_about_the_address() {
    let peer = behaves::echoes().await;
    let gateway = Gateway::start(&[Spec::at(peer.address)], Who::Visible, |settings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let headers = format!("{}X-Forwarded-For: 203.0.113.9, 198.51.100.7\r\n", as_user("alice"));
    let reply = gateway.get_with(&path("/"), &headers).await;
    assert!(
        reply.body.to_lowercase().contains("x-forwarded-for: 198.51.100.7\r\n"),
        "{}",
        reply.body
    );
    assert_eq!(gateway.records.all()[0].client.to_string(), "198.51.100.7");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_headers_keep_their_case_both_ways() {
    let peer = behaves::answers(|head| behaves::ok("X-CamelCase: 1\r\nETag: x\r\n", head)).await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let reply = gateway
        .get_with(&path("/"), &format!("{}X-MyHeader: 1\r\n", as_user("alice")))
        .await;
    assert!(reply.body.contains("X-MyHeader: 1\r\n"), "{}", reply.body);
    assert!(
        reply.head.contains("X-CamelCase: 1\r\n") && reply.head.contains("ETag: x\r\n"),
        "{}",
        reply.head
    );
}
