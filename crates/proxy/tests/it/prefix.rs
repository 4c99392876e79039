//! Whether an application gets its prefix.

use portico_core::endpoint::{EndpointKey, Prefix, Protocol};

use crate::{
    gateway::{Spec, gateway, path, task},
    peers::behaves::{answers, ok},
};

fn not_found() -> Vec<u8> {
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec()
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// What an application is asked for, of which `/` and the full path answer so.
async fn asked(root: Vec<u8>, full: Vec<u8>) -> (String, Prefix) {
    let prefix = path("/");
    let peer = answers(move |head| {
        let target = head.split(' ').nth(1).unwrap();
        if target == "/" {
            root.clone()
        } else if target == prefix {
            full.clone()
        } else {
            ok("", target)
        }
    })
    .await;
    let mut spec = Spec::at(peer.address);
    spec.prefix = Prefix::Auto;
    let gateway = gateway(&[spec]).await;
    let got = gateway.get(&path("/x?y")).await.body;
    let key = EndpointKey {
        task: task(1),
        protocol: Protocol::Http,
        name: None,
    };
    let status = gateway.upstreams.status(key.id()).unwrap();
    assert!(status.has_accepted);
    (got, status.prefix)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_questions_decide_about_the_prefix() {
    let (kept, cut) = ((path("/x?y"), Prefix::Keep), ("/x?y".to_owned(), Prefix::Cut));
    for (what, root, full, expected) in [
        ("an ordinary application", ok("", ""), not_found(), &cut),
        ("one that answers everything", ok("", ""), ok("", ""), &cut),
        ("one with a base path", not_found(), ok("", ""), &kept),
        ("one with a base path that leads on", not_found(), redirect("/x"), &kept),
        (
            "one that leads into its base path",
            redirect(&path("/lab")),
            redirect(&path("/lab")),
            &kept,
        ),
        (
            "one that names its host",
            redirect(&format!("http://gw.test{}", path("/"))),
            ok("", ""),
            &kept,
        ),
        (
            "one that leads into its base path and has none",
            redirect(&path("/")),
            not_found(),
            &cut,
        ),
        ("one that has no pages", not_found(), not_found(), &cut),
        ("one that leads to a log-in", redirect("/login"), not_found(), &cut),
        (
            "one that wants a password",
            b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n".to_vec(),
            not_found(),
            &cut,
        ),
    ] {
        assert_eq!(&asked(root, full).await, expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_is_asked_once_for_many_visitors() {
    let peer = answers(|head| {
        if head.starts_with("GET / ") {
            not_found()
        } else {
            ok("", "")
        }
    })
    .await;
    let mut spec = Spec::at(peer.address);
    spec.prefix = Prefix::Auto;
    let gateway = gateway(&[spec]).await;
    let target = path("/x");
    let visits = (0..20).map(|_| gateway.get(&target));
    for reply in futures_util::future::join_all(visits).await {
        assert_eq!(reply.status, 200);
    }
    let questions = peer
        .seen
        .requests()
        .iter()
        .filter(|head| head.contains("does this application"))
        .count();
    assert_eq!(questions, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_decided_while_the_application_is_loading() {
    let loading = || b"HTTP/1.1 503 Loading\r\nContent-Length: 0\r\n\r\n".to_vec();
    assert_eq!(asked(loading(), not_found()).await, ("/x?y".to_owned(), Prefix::Auto));
    assert_eq!(asked(not_found(), loading()).await, ("/x?y".to_owned(), Prefix::Auto));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_application_whose_prefix_was_cut_is_told_it() {
    for (prefix, is_told) in [(Prefix::Keep, false), (Prefix::Cut, true)] {
        let peer = answers(|head| ok("", head)).await;
        let mut spec = Spec::at(peer.address);
        spec.prefix = prefix;
        let seen = gateway(&[spec]).await.get(&path("/x")).await.body;
        assert_eq!(seen.contains("x-forwarded-prefix"), is_told, "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_needs_no_questions() {
    for (prefix, expected) in [(Prefix::Keep, path("/x")), (Prefix::Cut, "/x".to_owned())] {
        let peer = answers(|head| ok("", head.split(' ').nth(1).unwrap())).await;
        let mut spec = Spec::at(peer.address);
        spec.prefix = prefix;
        assert_eq!(gateway(&[spec]).await.get(&path("/x")).await.body, expected);
        assert_eq!(peer.seen.requests().len(), 1);
    }
}
