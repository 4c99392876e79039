//! The pages of Portico itself: handed over to the control runtime.

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    request::Parts,
};
use http_body_util::{BodyExt as _, Limited};
use portico_core::refusal::Refusal;
use tokio::time::timeout;

use super::{Turn, headers::hop};
use crate::{doors, record::Kind};

/// Answers 200 for any host while requests are taken.
pub(super) const HEALTH: &str = "/_gateway/health";

/// True if the path belongs to Portico itself.
pub(super) fn are_at(path: &str) -> bool {
    path == "/"
        || path
            .strip_prefix("/_gateway")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(super) fn health(is_draining: bool) -> Result<Response<Bytes>, Refusal> {
    if is_draining {
        return Err(Refusal::ShuttingDown);
    }
    let mut response = Response::new(Bytes::from_static(b"ok\n"));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Turn {
    pub(super) async fn page(&mut self, mut parts: Parts) -> Result<Response<Bytes>, Refusal> {
        self.log.kind = Kind::Page;
        let settings = &self.thread.shared.settings;
        let body = match self.body.take() {
            Some(body) => {
                let read = Limited::new(body, settings.limits.page_body_bytes).collect();
                let read = timeout(settings.timeouts.request_headers, read).await;
                let read = read.ok().and_then(Result::ok);
                read.ok_or(Refusal::HeadersTooLarge)?.to_bytes()
            }
            None => Bytes::new(),
        };
        hop::strip(&mut parts.headers);
        parts.extensions.clear();
        parts.extensions.insert(doors::Visitor {
            address: self.log.client,
            request_id: self.log.request_id,
        });
        let asked = self.thread.shared.doors.pages.ask(Request::from_parts(parts, body));
        let answered = timeout(settings.timeouts.page, asked).await;
        let mut response = answered.unwrap_or(Err(Refusal::Overloaded))?;
        let headers = response.headers_mut();
        hop::strip(headers);
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Ok(response)
    }
}
