//! Who is let through, and what the others are told.

use portico_core::{access::Who, audit::AuditKind, endpoint::Slug};

use crate::{
    gateway::{Gateway, NAVIGATION, Spec, as_user, gateway, path, request, task},
    peers::behaves,
    world::{eventually, token},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_gets_the_applications_answer() {
    let peer = behaves::says("X-App: 1\r\n").await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let reply = gateway.get(&path("/a?b=c")).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "ok"));
    assert_eq!(reply.header("x-app").as_deref(), Some("1"));
    assert_eq!(reply.header("x-request-id").unwrap().len(), 32);
    assert!(peer.seen.requests()[0].starts_with("GET /a?b=c HTTP/1.1\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_tell_what_exists() {
    let peer = behaves::says("").await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let missing = format!("/service/{}/", task(9));
    for headers in [
        "",
        "Accept: application/json\r\n",
        "X-Requested-With: XMLHttpRequest\r\n",
    ] {
        let (there, nowhere) = (
            gateway.get_with(&path("/"), headers).await,
            gateway.get_with(&missing, headers).await,
        );
        assert_eq!((there.status, there.code().as_str()), (401, "log_in_required"));
        assert_eq!((nowhere.status, nowhere.code().as_str()), (401, "log_in_required"));
    }
    for place in [
        path("/a?b=c&d"),
        format!("{missing}a?b=c&d"),
        "/elsewhere?b=c&d".to_owned(),
    ] {
        let reply = gateway.get_with(&place, NAVIGATION).await;
        let expected = format!("/_gateway/login?return_to={}", portico_core::site::percent(&place));
        assert_eq!(
            (reply.status, reply.header("location")),
            (302, Some(expected)),
            "{place}"
        );
        assert_eq!(reply.header("cache-control").as_deref(), Some("no-store"));
    }
    assert_eq!(peer.seen.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_programs_and_websockets_are_never_redirected() {
    let gateway = gateway(&[]).await;
    for headers in [
        "Accept: text/html\r\nSec-Fetch-Mode: cors\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: no-cors\r\n",
        "Accept: */*\r\nSec-Fetch-Mode: navigate\r\n",
        "Accept: text/html\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n",
    ] {
        assert_eq!(gateway.get_with(&path("/"), headers).await.status, 401, "{headers}");
    }
    let post = format!(
        "POST {} HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 0\r\n{NAVIGATION}\r\n",
        path("/")
    );
    assert_eq!(gateway.raw(post).await.status, 401);
}

/// Class 3: no method, header or path makes an exemption.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_exempts_a_stranger_from_the_decision() {
    let peer = behaves::says("").await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let forged = format!("Authorization: Bearer {}x\r\n", token("alice"));
    for method in [
        "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "CONNECT", "TRACE", "X",
    ] {
        for headers in [
            "",
            "X-Forwarded-User: alice\r\n",
            "Cookie: portico-session=1\r\n",
            &forged,
            "Upgrade: h2c\r\nConnection: upgrade\r\n",
        ] {
            for rest in [
                "/",
                "/health",
                "/metrics",
                "/api",
                "/static/x.js",
                "/_gateway/health",
                "/favicon.ico",
                "",
            ] {
                let head = format!(
                    "{method} {} HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 0\r\n{headers}\r\n",
                    path(rest)
                );
                let mut client = gateway.connect().await;
                client.send(head).await;
                let status = client.head().await.unwrap();
                assert!(status.starts_with("HTTP/1.1 4"), "{method} {rest} {headers}: {status}");
            }
        }
    }
    assert_eq!(peer.seen.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_colleague_is_told_the_rule_and_another_company_nothing() {
    let peer = behaves::says("").await;
    let mut spec = Spec::at(peer.address);
    spec.access = Some(Who::Owner);
    let gateway = Gateway::start(&[spec], Who::Visible, |settings| {
        settings.timeouts.appearance = crate::gateway::SHORT;
    })
    .await;
    let bob = gateway.get_with(&path("/"), &as_user("bob")).await;
    assert_eq!((bob.status, bob.code().as_str()), (403, "not_allowed"));
    let missing = format!("/service/{}/", task(9));
    let there = gateway.get_with(&path("/"), &as_user("carol")).await;
    let nowhere = gateway.get_with(&missing, &as_user("carol")).await;
    assert_eq!((there.status, there.code().as_str()), (404, "not_found"));
    // Carol's ClearML says that she sees every id that is asked about; what counts is that a hidden task looks like none.
    gateway
        .server
        .script()
        .hidden
        .insert((portico_core::principal::UserId::new("bob"), task(8)));
    let hidden = gateway
        .get_with(&format!("/service/{}/", task(8)), &as_user("bob"))
        .await;
    assert_eq!((hidden.status, hidden.code().as_str()), (404, "not_found"));
    assert_eq!(nowhere.status, 404);
    assert_eq!(peer.seen.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_gets_to_a_public_endpoint_even_while_clearml_is_away() {
    let peer = behaves::says("Cache-Control: public, max-age=5\r\n").await;
    let gateway = Gateway::start(&[Spec::at(peer.address)], Who::Public, |_| {}).await;
    gateway.server.script().is_away = true;
    let reply = gateway.get_with(&path("/"), "").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("cache-control").as_deref(), Some("public, max-age=5"));
    let known = gateway.get_with(&path("/"), &as_user("alice")).await;
    assert_eq!(known.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_header_of_ours_is_401() {
    let gateway = gateway(&[]).await;
    let reply = gateway
        .get_with(&path("/"), "X-Gateway-Authorization: Bearer nonsense\r\n")
        .await;
    assert_eq!((reply.status, reply.code().as_str()), (401, "credential_rejected"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_closing_slash_the_visitor_is_led_to_it_after_the_decision() {
    let peer = behaves::says("").await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let reply = gateway.get(&path("?a=b")).await;
    assert_eq!((reply.status, reply.header("location")), (308, Some(path("/?a=b"))));
    assert_eq!(gateway.get_with(&path(""), "").await.status, 401);
}

/// Class 7: a page of another site makes the browser send its cookies along.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_cannot_use_the_visitors_session() {
    let peer = behaves::echoes().await;
    let gateway = gateway(&[Spec::at(peer.address)]).await;
    let (cookie, _) = gateway.session("alice");
    let websocket =
        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n";
    for (what, headers) in [
        (
            "fetch from a sibling",
            "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\nOrigin: http://evil.gw.test\r\n".to_owned(),
        ),
        (
            "fetch from elsewhere",
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n".to_owned(),
        ),
        (
            "websocket from elsewhere",
            format!(
                "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: websocket\r\nOrigin: http://evil.test\r\n{websocket}"
            ),
        ),
        (
            "websocket of an old browser",
            format!("Origin: http://evil.test\r\n{websocket}"),
        ),
        ("websocket without origin", websocket.to_owned()),
        (
            "frame",
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n".to_owned(),
        ),
    ] {
        let reply = gateway
            .get_with(&path("/"), &format!("Cookie: {cookie}\r\n{headers}"))
            .await;
        assert_eq!((reply.status, reply.code().as_str()), (403, "foreign_page"), "{what}");
    }
    let form = format!(
        "POST {} HTTP/1.1\r\nHost: gw.test\r\nCookie: {cookie}\r\nOrigin: http://evil.test\r\nContent-Length: 0\r\n\r\n",
        path("/")
    );
    assert_eq!(gateway.raw(form).await.code(), "foreign_page");
    assert_eq!(peer.seen.connections(), 0);
    let link = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    for headers in [link, "", "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n"] {
        let reply = gateway
            .get_with(&path("/"), &format!("Cookie: {cookie}\r\n{headers}"))
            .await;
        assert_eq!(reply.status, 200, "{headers}");
    }
}

/// Class 9: a preflight brings no cookies, and we give no permission of our own.
#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_to_a_closed_endpoint_says_nothing() {
    let gateway = gateway(&[]).await;
    let preflight = format!(
        "OPTIONS {} HTTP/1.1\r\nHost: gw.test\r\nOrigin: http://evil.test\r\nAccess-Control-Request-Method: POST\r\n\r\n",
        path("/")
    );
    let reply = gateway.raw(preflight).await;
    assert_eq!(reply.status, 401);
    assert!(!reply.head.to_lowercase().contains("access-control"), "{}", reply.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_visit_to_somebody_elses_endpoint_is_warned() {
    let peer = behaves::says("").await;
    let gateway = Gateway::start(&[Spec::at(peer.address)], Who::Visible, |settings| {
        settings.path_warning = true;
    })
    .await;
    let (bob, _) = gateway.session("bob");
    let (alice, _) = gateway.session("alice");
    let visit = |cookie: &str, more: &str| format!("Cookie: {cookie}\r\n{NAVIGATION}{more}");
    let warned = gateway.get_with(&path("/x?y"), &visit(&bob, "")).await;
    let expected = format!("/_gateway/continue?to={}", portico_core::site::percent(&path("/x?y")));
    assert_eq!((warned.status, warned.header("location")), (303, Some(expected)));
    assert_eq!(gateway.get_with(&path("/"), &visit(&alice, "")).await.status, 200);
    let id = portico_core::endpoint::EndpointKey {
        task: task(1),
        protocol: portico_core::endpoint::Protocol::Http,
        name: None,
    }
    .id();
    let seen = format!(
        "Cookie: portico-seen-{}-{:016x}=1\r\n",
        gateway.sessions.names().mark(),
        id.0
    );
    assert_eq!(gateway.get_with(&path("/"), &visit(&bob, &seen)).await.status, 200);
    let script = format!("Cookie: {bob}\r\nAccept: */*\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n");
    assert_eq!(gateway.get_with(&path("/"), &script).await.status, 200);
    assert_eq!(gateway.get_with(&path("/"), &as_user("bob")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_visitor_waits_for_a_task_that_is_just_appearing() {
    let peer = behaves::says("").await;
    let gateway = gateway(&[]).await;
    let to = path("/");
    let (asked, ()) = tokio::join!(gateway.get(&to), async {
        gateway.source.nudged().await;
        gateway.publish(&[Spec::at(peer.address)]);
    });
    assert_eq!(asked.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_wait_and_strangers_never() {
    let gateway = Gateway::start(&[], Who::Visible, |settings| {
        settings.limits.waiting = 1;
        settings.timeouts.appearance = std::time::Duration::from_secs(30);
    })
    .await;
    let mut waits = gateway.connect().await;
    waits.send(request(&path("/"), &as_user("alice"))).await;
    gateway.source.nudged().await;
    let reply = gateway.get(&path("/")).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "no_endpoint"));
    assert_eq!(gateway.get_with(&path("/"), "").await.status, 401);
    drop(waits);
    let mut next = gateway.connect().await;
    eventually("the place is given back", || gateway.exchanges.is_empty().then_some(())).await;
    next.send(request(&path("/"), &as_user("alice"))).await;
    gateway.source.nudged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_way_through_and_refusals_are_audited_once() {
    let peer = behaves::says("").await;
    let mut spec = Spec::at(peer.address);
    spec.access = Some(Who::Owner);
    let mut gateway = gateway(&[spec]).await;
    for _ in 0..3 {
        gateway.get(&path("/")).await;
    }
    gateway.get_with(&path("/"), &as_user("bob")).await;
    let mut events = Vec::new();
    while let Ok(event) = gateway.audit.try_recv() {
        events.push((event.event, event.actor.unwrap().to_string(), event.task));
    }
    assert_eq!(
        events,
        [
            (AuditKind::AccessGranted, "alice".to_owned(), Some(task(1))),
            (AuditKind::AccessRefused, "bob".to_owned(), Some(task(1)))
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn named_endpoints_have_paths_of_their_own() {
    let (one, two) = (
        behaves::says("X-App: one\r\n").await,
        behaves::says("X-App: two\r\n").await,
    );
    let mut named = Spec::at(two.address);
    named.task = 2;
    named.name = Some("My UI");
    let gateway = gateway(&[Spec::at(one.address), named]).await;
    let slug = Slug::of("My UI");
    let reply = gateway.get(&format!("/service/{}__{slug}/a", task(2))).await;
    assert_eq!(reply.header("x-app").as_deref(), Some("two"));
    assert!(two.seen.requests()[0].starts_with("GET /a "));
    assert!(two.seen.requests()[0].contains(&format!("x-forwarded-prefix: /service/{}__{slug}\r\n", task(2))));
}
