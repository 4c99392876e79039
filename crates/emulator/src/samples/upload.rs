//! An upload that is counted while it arrives and kept nowhere.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::json;

use super::{last_segment, page};
use crate::server::answer::{self, Body};

/// Bytes that have arrived of the latest upload.
#[derive(Default)]
pub(super) struct Meter {
    arrived: AtomicU64,
}

/// Answers the page, takes uploads on `file`, and tells on `progress` how much of the latest has arrived: while it is under way this
/// shows whether something on the way holds it back.
pub(super) async fn answer(meter: &Meter, request: Request<Incoming>) -> Response<Body> {
    match (request.method(), last_segment(&request)) {
        (&Method::GET, "") => page::page("An upload", include_str!("pages/upload.html")),
        (&Method::GET, "progress") => answer::json(200, &json!({"arrived": meter.arrived.load(Ordering::Relaxed)})),
        (&Method::POST | &Method::PUT, "file") => count(meter, request.into_body()).await,
        _ => page::nothing_here(),
    }
}

async fn count(meter: &Meter, mut body: Incoming) -> Response<Body> {
    let (begun, mut bytes, mut pieces) = (Instant::now(), 0_u64, 0_u64);
    meter.arrived.store(0, Ordering::Relaxed);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return answer::json(400, &json!({"error": "the upload broke off", "bytes": bytes}));
        };
        let length = frame.data_ref().map_or(0, bytes::Bytes::len);
        bytes += u64::try_from(length).unwrap_or_default();
        pieces += 1;
        meter.arrived.store(bytes, Ordering::Relaxed);
    }
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
    // Bytes per microsecond are megabytes per second.
    let tenths = bytes.saturating_mul(10) / micros;
    answer::json(
        200,
        &json!({"bytes": bytes, "pieces": pieces, "micros": micros, "mb_per_s": format!("{}.{}", tenths / 10, tenths % 10)}),
    )
}
