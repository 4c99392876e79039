//! `/_gateway/open`, the address that ClearML shows as `browser_endpoint`: leads to the endpoint, where the visitor is asked to log
//! in if need be. It says nothing about what exists.

use axum::{Extension, body::Body, http::Response};
use portico_auth::return_to::return_to;
use portico_core::{
    endpoint::{Slug, TaskId},
    refusal::Refusal,
    site::Site,
};
use serde::Deserialize;

use crate::{asked::Asked, fields::Fields, respond};

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wish {
    /// The gateway's name; may be absent.
    router: Option<String>,
    task: Option<String>,
    /// The endpoint's slug; absent for the unnamed one.
    endpoint: Option<String>,
    /// What follows the prefix, with its query.
    path: Option<String>,
}

/// `GET /_gateway/open`.
pub(crate) async fn open(Extension(asked): Extension<Asked>, Fields(wish): Fields<Wish>) -> Response<Body> {
    if wish.router.as_ref().is_some_and(|name| *name != asked.state.site.name) {
        return asked.refuse(&Refusal::UnknownHost);
    }
    match target(&wish, &asked.state.site) {
        Some(target) => respond::redirect(&target),
        None => asked.refuse(&Refusal::NotFound),
    }
}

fn target(wish: &Wish, site: &Site) -> Option<String> {
    let task = TaskId::parse(wish.task.as_deref()?)?;
    let slug = match wish.endpoint.as_deref().filter(|slug| !slug.is_empty()) {
        Some(slug) => Some(Slug::parse(slug)?),
        None => None,
    };
    let path = wish.path.as_deref().unwrap_or_default();
    let path = path.strip_prefix('/').unwrap_or(path);
    let target = format!("{}/{}", Site::prefix(task, slug.as_ref()), encoded(path));
    // Without dot segments, whatever follows the prefix stays below it.
    (return_to(Some(&target), site) == target).then_some(target)
}

/// What a form decoded once more, as a URL has it: everything else than printable ASCII becomes `%XX`.
fn encoded(path: &str) -> String {
    use std::fmt::Write as _;
    path.bytes().fold(String::with_capacity(path.len()), |mut out, byte| {
        if byte.is_ascii_graphic() && !b"\"<>`{}|^".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
