//! A browser: keeps cookies by host, goes where it is led, fills forms in.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};

use super::{
    Answer, Place, Visitor, World,
    place::{self, GATEWAY},
};

/// Where a browser is, and what it shows.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) url: String,
    pub(crate) answer: Answer,
}

impl Page {
    pub(crate) fn status(&self) -> u16 {
        self.answer.status
    }

    pub(crate) fn text(&self) -> String {
        self.answer.text()
    }

    /// The value of a hidden field.
    fn field(&self, name: &str) -> String {
        let text = self.text();
        let (_, rest) = text
            .split_once(&format!("name=\"{name}\" value=\""))
            .unwrap_or_else(|| panic!("no field {name} at {} ({}): {text}", self.url, self.status()));
        let value = rest.split_once('"').unwrap().0;
        value.replace("&#38;", "&").replace("&amp;", "&")
    }
}

pub(crate) struct Browser {
    place: Arc<Place>,
    emulator: portico_emulator::Emulator,
    jar: BTreeMap<(String, String), String>,
}

impl World {
    pub(crate) fn browser(&self) -> Browser {
        Browser {
            place: self.place.clone(),
            emulator: self.emulator.clone(),
            jar: BTreeMap::new(),
        }
    }
}

impl Browser {
    /// Types an address (a path is one of the gateway's) and goes where it leads.
    pub(crate) async fn go(&mut self, url: &str) -> Page {
        let page = self.send(Method::GET, url, "none", String::new()).await;
        self.follow(page).await
    }

    /// Types an address and stays.
    pub(crate) async fn get(&mut self, url: &str) -> Page {
        self.send(Method::GET, url, "none", String::new()).await
    }

    /// Fills the log-in form in and goes where that leads.
    pub(crate) async fn fill_in(&mut self, page: &Page, user: &str, password: &str) -> Page {
        let url = page.url.split('?').next().unwrap().to_owned();
        let fields = [
            ("user", user),
            ("password", password),
            ("token", &page.field("token")),
            ("challenge", &page.field("challenge")),
            ("return_to", &page.field("return_to")),
        ];
        let body: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", portico_core::site::percent(value)))
            .collect();
        let page = self.send(Method::POST, &url, "same-origin", body.join("&")).await;
        self.follow(page).await
    }

    /// Logs an actor in, from the gateway's address on.
    pub(crate) async fn log_in(&mut self, user: &str) -> Page {
        let password = self
            .emulator
            .actor(user)
            .unwrap()
            .password
            .clone()
            .expect("has a password");
        let form = self.go("/_gateway/login?return_to=/_gateway/check").await;
        let page = self.fill_in(&form, user, &password).await;
        assert!(self.cookie("portico-session").is_some(), "{page:?}");
        page
    }

    /// Presses a button that sends an empty form (with the fields that are given).
    pub(crate) async fn press(&mut self, url: &str, body: &str) -> Page {
        let page = self.send(Method::POST, url, "same-origin", body.to_owned()).await;
        self.follow(page).await
    }

    /// The value of the gateway's cookie whose name begins so.
    pub(crate) fn cookie(&self, start: &str) -> Option<String> {
        let mut cookies = self.jar.iter().filter(|((host, _), _)| host == "gateway.test");
        cookies
            .find(|((_, name), _)| name.starts_with(start))
            .map(|(_, value)| value.clone())
    }

    pub(crate) fn keep(&mut self, name: &str, value: &str) {
        self.jar
            .insert(("gateway.test".to_owned(), name.to_owned()), value.to_owned());
    }

    /// A program with this browser's cookies.
    pub(crate) fn visitor(&self) -> Visitor {
        let visitor = Visitor {
            place: self.place.clone(),
            headers: Vec::new(),
            is_operator: false,
        };
        visitor.by_cookie(&self.cookies("gateway.test"))
    }

    fn cookies(&self, host: &str) -> String {
        let own = self.jar.iter().filter(|((of, _), _)| of == host);
        let own: Vec<_> = own.map(|((_, name), value)| format!("{name}={value}")).collect();
        own.join("; ")
    }

    async fn follow(&mut self, mut page: Page) -> Page {
        for _ in 0..12 {
            if !matches!(page.status(), 301 | 302 | 303 | 307 | 308) {
                return page;
            }
            let to = page.answer.header("location");
            let (origin, _) = split(&page.url);
            let to = if to.starts_with('/') {
                format!("{origin}{to}")
            } else {
                to.to_owned()
            };
            page = self.send(Method::GET, &to, "same-site", String::new()).await;
        }
        panic!("led in circles at {}", page.url);
    }

    async fn send(&mut self, method: Method, url: &str, site: &str, form: String) -> Page {
        let url = if url.starts_with('/') {
            format!("{GATEWAY}{url}")
        } else {
            url.to_owned()
        };
        let (origin, path) = split(&url);
        let host = origin.trim_start_matches("http://").to_owned();
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header("host", &host)
            .header("accept", "text/html,*/*;q=0.8")
            .header("sec-fetch-site", site)
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document");
        let cookies = self.cookies(&host);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        if method == Method::POST {
            request = request
                .header("origin", origin)
                .header("content-type", "application/x-www-form-urlencoded");
        }
        let request = request.body(Full::new(Bytes::from(form)).boxed_unsync()).unwrap();
        let response = place::send(self.place.of(origin), request).await.unwrap();
        let (status, headers, body) = place::read(response).await.unwrap();
        for line in headers.get_all("set-cookie") {
            let (cookie, rest) = line.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = cookie.split_once('=').unwrap();
            let key = (host.clone(), name.to_owned());
            if rest.contains("Max-Age=0;") || rest.ends_with("Max-Age=0") {
                self.jar.remove(&key);
            } else {
                self.jar.insert(key, value.to_owned());
            }
        }
        Page {
            url,
            answer: Answer { status, headers, body },
        }
    }
}

/// Origin, and path with query.
fn split(url: &str) -> (&str, &str) {
    let start = url.find("://").unwrap() + 3;
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    let (origin, path) = url.split_at(end);
    (origin, if path.is_empty() { "/" } else { path })
}
