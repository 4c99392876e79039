//! Answers on the wire.

use std::{convert::Infallible, pin::Pin};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{Response, StatusCode, header};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::Value;

/// A body: one piece or an endless stream of them.
pub(crate) type Body = StreamBody<Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>>;

/// A body in one piece.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    let frame = Ok(Frame::data(bytes.into()));
    StreamBody::new(Box::pin(stream::iter([frame])))
}

/// A JSON answer.
pub(crate) fn json(status: u16, value: &Value) -> Response<Body> {
    typed(status, "application/json", value.to_string())
}

/// An answer of any type; its length is declared.
pub(crate) fn typed(status: u16, content_type: &'static str, text: String) -> Response<Body> {
    let length = text.len();
    let mut response = Response::new(whole(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, header::HeaderValue::from(length));
    response
}

/// A well-formed envelope of about so many bytes, made while it is sent and of unknown length to the client.
pub(crate) fn huge(size: u64) -> Response<Body> {
    const PIECE: u64 = 64 * 1024;
    let head = Bytes::from_static(
        br#"{"meta":{"result_code":200,"result_subcode":0,"result_msg":"OK"},"data":{"tasks":[],"padding":""#,
    );
    let tail = Bytes::from_static(br#""}}"#);
    let padding = Bytes::from(vec![b'x'; usize::try_from(PIECE).unwrap_or_default()]);
    let pieces = (0..size.div_ceil(PIECE)).map(move |_| padding.clone());
    let frames = std::iter::once(head)
        .chain(pieces)
        .chain(std::iter::once(tail))
        .map(|piece| Ok(Frame::data(piece)));
    let mut response = Response::new(StreamBody::new(
        Box::pin(stream::iter(frames)) as Pin<Box<dyn Stream<Item = _> + Send>>
    ));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}
