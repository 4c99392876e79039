//! A browser: keeps cookies by host, says where its requests come from, follows redirects if asked to.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::world::{World, visitor};

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Where it leads.
    pub(crate) fn location(&self) -> &str {
        self.header("location")
    }

    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        self.headers
            .get_all(header::SET_COOKIE)
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect()
    }

    /// The value of a hidden field.
    pub(crate) fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) = self
            .body
            .split_once(&start)
            .unwrap_or_else(|| panic!("no field {name} in {}", self.body));
        rest.split_once('"')
            .unwrap()
            .0
            .replace("&#38;", "&")
            .replace("&amp;", "&")
    }

    /// The visible part, for comparison: without the style.
    pub(crate) fn text(&self) -> String {
        let (head, rest) = self.body.split_once("<style>").unwrap_or((&self.body, ""));
        let rest = rest.split_once("</style>").map_or("", |(_, rest)| rest);
        format!("{head}{rest}")
    }
}

/// Keeps cookies.
#[derive(Default)]
pub(crate) struct Browser {
    jar: BTreeMap<(String, String), String>,
}

impl Browser {
    /// Types an address.
    pub(crate) async fn get(&mut self, world: &World, url: &str) -> Page {
        self.send(world, Method::GET, url, &[("sec-fetch-site", "none")], String::new())
            .await
    }

    /// Sends a form off from a page of the same origin.
    pub(crate) async fn post(&mut self, world: &World, url: &str, fields: &[(&str, &str)]) -> Page {
        let (origin, _) = split(url);
        let headers = [
            ("origin", origin),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "navigate"),
        ];
        self.send(world, Method::POST, url, &headers, form(fields)).await
    }

    /// Types an address and goes where it leads, as long as it leads to a page of ours.
    pub(crate) async fn go(&mut self, world: &World, url: &str) -> Page {
        let page = self.get(world, url).await;
        self.follow(world, page).await
    }

    /// Goes where an answer leads, as long as it leads to a page of ours.
    pub(crate) async fn follow(&mut self, world: &World, mut page: Page) -> Page {
        for _ in 0..10 {
            if page.status != StatusCode::SEE_OTHER || page.location().contains("/service/") {
                return page;
            }
            let url = absolute(&page.url, page.location());
            let headers = [
                ("sec-fetch-site", "same-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ];
            page = self.send(world, Method::GET, &url, &headers, String::new()).await;
        }
        panic!("a redirect loop at {}", page.url);
    }

    /// Goes one step.
    pub(crate) async fn step(&mut self, world: &World, page: &Page) -> Page {
        self.get(world, &absolute(&page.url, page.location())).await
    }

    /// Fills the log-in form in.
    pub(crate) async fn log_in(&mut self, world: &World, page: &Page, user: &str, password: &str) -> Page {
        let (url, _) = page.url.split_once('?').unwrap_or((&page.url, ""));
        let (token, challenge, to) = (page.field("token"), page.field("challenge"), page.field("return_to"));
        let fields = [
            ("user", user),
            ("password", password),
            ("token", &token),
            ("challenge", &challenge),
            ("return_to", &to),
        ];
        self.post(world, url, &fields).await
    }

    pub(crate) fn set_cookie(&mut self, host: &str, name: &str, value: &str) {
        self.jar.insert((host.to_owned(), name.to_owned()), value.to_owned());
    }

    pub(crate) fn cookie(&self, host: &str, part: &str) -> Option<&str> {
        let mut found = self
            .jar
            .iter()
            .filter(|((of, name), _)| of == host && name.contains(part));
        found.next().map(|(_, value)| value.as_str())
    }

    pub(crate) fn forget(&mut self, host: &str) {
        self.jar.retain(|(of, _), _| of != host);
    }

    pub(crate) async fn send(
        &mut self,
        world: &World,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Page {
        let (origin, path) = split(url);
        let host = origin.split_once("://").unwrap().1;
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
        if !headers.iter().any(|(name, _)| *name == "accept") {
            request = request.header(header::ACCEPT, "text/html,*/*;q=0.8");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let name = host.split(':').next().unwrap().to_owned();
        let cookies: Vec<_> = self
            .jar
            .iter()
            .filter(|((of, _), _)| *of == name)
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        let request = request.extension(visitor()).body(Body::from(body)).unwrap();
        let is_console = world
            .state
            .site
            .console
            .as_ref()
            .is_some_and(|console| console.as_str() == origin);
        let router = if is_console { &world.console } else { &world.gateway };
        let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        for line in parts.headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (cookie, rest) = line.split_once(';').unwrap();
            let (cookie, value) = cookie.split_once('=').unwrap();
            let key = (name.clone(), cookie.to_owned());
            if rest.contains("Max-Age=0;") {
                self.jar.remove(&key);
            } else {
                self.jar.insert(key, value.to_owned());
            }
        }
        Page {
            url: url.to_owned(),
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", portico_core::site::percent(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn absolute(from: &str, to: &str) -> String {
    if to.starts_with('/') {
        format!("{}{to}", split(from).0)
    } else {
        to.to_owned()
    }
}

/// Origin, and path with query.
fn split(url: &str) -> (&str, &str) {
    let start = url.find("://").unwrap() + 3;
    let end = url.get(start..).unwrap().find('/').map_or(url.len(), |at| start + at);
    let (origin, path) = url.split_at(end);
    (origin, if path.is_empty() { "/" } else { path })
}
