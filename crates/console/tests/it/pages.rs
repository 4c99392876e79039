//! What is true of every page.

use axum::http::{Method, Request, StatusCode};
use portico_core::access::Who;
use tower::ServiceExt as _;

use crate::{
    browser::{Browser, Page},
    world::{CONSOLE, ROUTER, World, clearml_token, task, task_id},
};

/// Every page, as a stranger and as alice, with and without a console.
async fn all() -> Vec<Page> {
    let mut pages = Vec::new();
    for world in [World::new(), World::one_url()] {
        for is_known in [false, true] {
            let mut browser = Browser::default();
            if is_known {
                for host in ["console.example.com", "gateway.example.com"] {
                    browser.set_cookie(host, "clearml_token_basic", clearml_token("alice").reveal());
                }
            }
            let gateway = [
                "",
                "/",
                "endpoints",
                "login",
                "callback",
                "check",
                "logout",
                "logged-out",
                "open",
                "continue",
                "nothing",
            ];
            for page in gateway {
                let url = if page == "/" {
                    format!("{ROUTER}/")
                } else {
                    format!("{ROUTER}/_gateway/{page}")
                };
                pages.push(browser.get(&world, &url).await);
            }
            if world.state.site.console.is_some() {
                for page in [
                    "",
                    "login",
                    "check",
                    "logout",
                    "logged-out",
                    "nothing",
                    "_gateway/login",
                ] {
                    pages.push(browser.get(&world, &format!("{CONSOLE}/{page}")).await);
                }
            }
        }
    }
    pages
}

#[tokio::test]
async fn no_page_can_be_framed_cached_or_made_to_load_anything() {
    for page in all().await {
        let policy = page.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action '",
        ] {
            assert!(policy.contains(part), "{}: {policy}", page.url);
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains("script-src"),
            "{}: {policy}",
            page.url
        );
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(page.header(name), value, "{}", page.url);
        }
        assert_eq!(page.header("access-control-allow-origin"), "", "{}", page.url);
    }
}

#[tokio::test]
async fn every_page_is_whole_without_scripts_and_says_what_a_screen_reader_needs() {
    let mut shown = 0;
    for page in all().await.into_iter().filter(|page| !page.body.is_empty()) {
        shown += 1;
        let body = &page.body;
        for part in [
            "<!doctype html>",
            "<html lang=\"en\">",
            "<meta name=\"viewport\"",
            "<title>",
            "<main",
            "<h1>",
            "</html>",
        ] {
            assert!(body.contains(part), "{}: {part}\n{body}", page.url);
        }
        assert_eq!(body.matches("<h1>").count(), 1, "{}", page.url);
        let text = page.text();
        for script in [
            "<script",
            " style=",
            " onclick",
            " onload",
            " onerror",
            " onfocus",
            "javascript:",
        ] {
            assert!(!text.contains(script), "{}: {script}\n{text}", page.url);
        }
        let inputs = text.matches("<input ").count();
        let labeled = text.matches("<label ").count() + text.matches("type=\"hidden\"").count();
        assert_eq!(inputs, labeled, "{}", page.url);
    }
    assert!(shown > 20, "{shown}");
}

#[tokio::test]
async fn a_stranger_reads_no_name_on_any_page_whatever_it_claims_to_be() {
    for world in [World::new(), World::one_url()] {
        world.has(Who::Visible, [task(1, "secret name", "alice")]);
        let to = format!("/service/{}/", task_id(1));
        let pages =
            ["endpoints", "login", "logout", "logged-out", "open", "continue"].map(|page| format!("/_gateway/{page}"));
        let paths = pages
            .into_iter()
            .chain(["/", "/login", "/logout", "/nothing"].map(str::to_owned));
        for path in paths {
            for origin in [ROUTER, CONSOLE] {
                for (name, value) in [
                    ("x-forwarded-user", "alice"),
                    ("x-gateway-authorization", "Bearer alice"),
                    ("authorization", "Basic YWxpY2U6YWxpY2U="),
                    ("x-original-url", "/"),
                ] {
                    let url = format!("{origin}{path}?to={to}&task={}&q=secret", task_id(1));
                    let headers = [(name, value)];
                    let page = Browser::default()
                        .send(&world, Method::GET, &url, &headers, String::new())
                        .await;
                    assert!(!page.body.contains("secret name"), "{url} {name}\n{}", page.text());
                }
            }
        }
    }
}

#[tokio::test]
async fn the_style_that_is_allowed_is_the_one_that_is_there() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    let page = Browser::default().get(&World::new(), &format!("{CONSOLE}/login")).await;
    let (_, rest) = page.body.split_once("<style>").unwrap();
    let (style, _) = rest.split_once("</style>").unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
    let source = format!("style-src 'sha256-{}'", STANDARD.encode(digest));
    assert!(page.header("content-security-policy").contains(&source), "{source}");
}

#[tokio::test]
async fn forms_lead_to_our_own_origins_only() {
    let page = Browser::default().get(&World::new(), &format!("{CONSOLE}/login")).await;
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("form-action 'self' https://gateway.example.com https://console.example.com;"),
        "{policy}"
    );
    let page = Browser::default()
        .get(&World::one_url(), &format!("{ROUTER}/_gateway/login"))
        .await;
    assert!(page.header("content-security-policy").contains("form-action 'self';"));
}

#[tokio::test]
async fn what_is_no_page_is_a_refusal() {
    let world = World::new();
    let mut browser = Browser::default();
    let missing = browser.get(&world, &format!("{ROUTER}/_gateway/nothing")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(
        missing.body.contains("<dd>not_found</dd>") && missing.body.contains("<dd>request-1</dd>"),
        "{}",
        missing.body
    );
    let own = [("origin", ROUTER)];
    let wrong = browser
        .send(
            &world,
            Method::POST,
            &format!("{ROUTER}/_gateway/open"),
            &own,
            String::new(),
        )
        .await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    for method in [Method::PUT, Method::DELETE, Method::OPTIONS] {
        let wrong = browser
            .send(&world, method, &format!("{CONSOLE}/login"), &[], String::new())
            .await;
        assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_foreign_page_can_lead_to_our_pages_but_not_fetch_them() {
    let world = World::new();
    for url in [
        format!("{ROUTER}/_gateway/login"),
        format!("{CONSOLE}/login"),
        format!("{CONSOLE}/"),
    ] {
        for site in ["cross-site", "same-site"] {
            let led = [
                ("sec-fetch-site", site),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ];
            let page = Browser::default()
                .send(&world, Method::GET, &url, &led, String::new())
                .await;
            assert_ne!(page.status, StatusCode::FORBIDDEN, "{url}");
            for (mode, destination) in [("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe")] {
                let fetched = [
                    ("sec-fetch-site", site),
                    ("sec-fetch-mode", mode),
                    ("sec-fetch-dest", destination),
                ];
                let page = Browser::default()
                    .send(&world, Method::GET, &url, &fetched, String::new())
                    .await;
                assert_eq!(
                    (page.status, page.set_cookies().len()),
                    (StatusCode::FORBIDDEN, 0),
                    "{url} {destination}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_request_of_which_the_listener_said_nothing_gets_no_page() {
    let world = World::new();
    let request = Request::builder()
        .uri("/login")
        .header("host", "console.example.com")
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = world.console.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
