//! A clock by server-sent events: one a second, for as long as somebody looks.

use std::{convert::Infallible, pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderValue, Request, Response, header};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;

use super::{last_segment, page};
use crate::{clock::Clock, server::answer::Body};

/// Answers the page, and on `events` the stream.
pub(super) fn answer<B>(request: &Request<B>) -> Response<Body> {
    match last_segment(request) {
        "" => page::page("A clock", include_str!("pages/clock.html")),
        "events" => {
            let mut response = Response::new(StreamBody::new(
                Box::pin(ticks()) as Pin<Box<dyn Stream<Item = _> + Send>>
            ));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        _ => page::nothing_here(),
    }
}

fn ticks() -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
    let seconds = tokio::time::interval(Duration::from_secs(1));
    stream::unfold((seconds, 0_u64), |(mut seconds, number)| async move {
        seconds.tick().await;
        let data = json!({"number": number, "millis": Clock::default().now().millis()});
        let event = format!("retry: 1000\nid: {number}\ndata: {data}\n\n");
        Some((Ok(Frame::data(Bytes::from(event))), (seconds, number + 1)))
    })
}
