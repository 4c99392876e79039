//! Instructions for one request of a browser with a session, in total and of each part. Times differ from run to run;
//! instructions do not:
//!
//! ```text
//! cargo build --release -p portico-auth --example request_cost
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/request_cost identify 1000
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/request_cost identify 3000
//! ```
//!
//! The difference, divided by 2000, is what one request costs. `none` measures what the loop costs by itself, `strip`
//! the removal of credentials, `both` both, and `note` besides both the note of the address.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    dead_code,
    reason = "a measurement may fail by panic, and uses a part of the tests' world"
)]

#[path = "../tests/it/world.rs"]
mod world;

use std::hint::black_box;

use http::{HeaderMap, HeaderName, HeaderValue};
use portico_auth::{credentials::strip_request, session::OpenedBy};
use portico_core::secret::Secret;
use world::World;

/// What a browser sends besides its cookies.
const BROWSER: [(&str, &str); 13] = [
    ("host", "gw.example.com"),
    ("connection", "keep-alive"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    ),
    ("sec-ch-ua", "\"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\""),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", "\"Linux\""),
    ("accept", "*/*"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-dest", "empty"),
    (
        "referer",
        "https://gw.example.com/service/00000000000000000000000000000001/lab",
    ),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-US,en;q=0.9"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let part = arguments.next().unwrap_or_else(|| "both".into());
    let count: usize = arguments
        .next()
        .map_or(1000, |count| count.parse().expect("the second argument is a number"));
    let world = World::new().await;
    let sent = request(&world);
    let names = world.gatekeeper.names();
    let address = world::address("203.0.113.7");
    for _ in 0..count {
        let mut headers = black_box(&sent).clone();
        if part != "strip" && part != "none" {
            let identified = world.identify(&headers).await.expect("the session was opened above");
            assert!(identified.session.is_some());
            if part == "note" {
                let session = identified.session.as_deref();
                world.gatekeeper.note(&identified.principal, session, address, true);
            }
        }
        if part != "identify" && part != "none" {
            strip_request(&mut headers, names);
        }
        black_box(headers);
    }
}

/// A request with about 1.1 KiB of cookies.
fn request(world: &World) -> HeaderMap {
    let minted = world.server.mint("alice");
    let (mut verified, _) = world.server.script().tokens[&minted].clone();
    let token = format!("{minted}{}", "x".repeat(380_usize.saturating_sub(minted.len())));
    verified.token = Secret::new(&*token);
    world.server.script().tokens.insert(token, (verified.clone(), true));
    let session = world.sessions.open(&verified, OpenedBy::Password);
    let session = world::pair(&world.sessions.set_cookie(&session).expect("a cookie is text"));
    let cookie = format!(
        "_xsrf=2|f00dcafe|0123456789abcdef0123456789abcdef|1800000000; username-gw-example-com=\"2|1:0|10:1800000000|\
         4:user|32:bm9ib2R5IGtub3dzIHdoYXQgaXMgaW4gaXQ=|0123456789abcdef0123456789abcdef\"; {session}; theme=dark"
    );
    let mut headers = HeaderMap::new();
    for (name, value) in BROWSER {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert(
        http::header::COOKIE,
        cookie.parse().expect("it was written above in ASCII"),
    );
    headers
}
