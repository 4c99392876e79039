//! Credentials in headers, in the order in which they count.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL},
};
use portico_core::secret::Secret;

use super::{GATEWAY_AUTHORIZATION, Header, SUB_PROTOCOL, token::is_clearml_token};
use crate::check::{ClearmlCredential, looks_like_key};

/// Parsed once, and not for each request.
static GATEWAY: HeaderName = HeaderName::from_static(GATEWAY_AUTHORIZATION);

/// The credential that counts.
pub(super) fn read(headers: &HeaderMap) -> Header {
    [gateway, authorization, sub_protocol]
        .into_iter()
        .map(|kind| kind(headers))
        .find(|header| *header != Header::Absent)
        .unwrap_or(Header::Absent)
}

/// True if `Authorization` holds the credential that counts: it is consumed here.
pub(super) fn is_authorization_consumed(headers: &HeaderMap) -> bool {
    authorization(headers) != Header::Absent && gateway(headers) == Header::Absent
}

/// The token of a sub-protocol item of ours.
pub(super) fn sub_protocol_token(item: &str) -> Option<&str> {
    let item = item.trim();
    let prefix = item.get(..SUB_PROTOCOL.len())?;
    prefix
        .eq_ignore_ascii_case(SUB_PROTOCOL)
        .then(|| item.get(SUB_PROTOCOL.len()..))
        .flatten()
}

/// Always ours, so everything that is not understood is rejected.
fn gateway(headers: &HeaderMap) -> Header {
    let mut values = headers.get_all(&GATEWAY).iter();
    match (values.next(), values.next()) {
        (None, _) => Header::Absent,
        (Some(value), None) => match recognised(value) {
            Header::Absent => Header::Rejected,
            header => header,
        },
        _ => Header::Rejected,
    }
}

/// Ours only if it is recognisably so. Two of them, one ours: nobody can tell which one is meant.
fn authorization(headers: &HeaderMap) -> Header {
    let mut found = Header::Absent;
    let mut count = 0;
    for value in headers.get_all(AUTHORIZATION) {
        count += 1;
        if found == Header::Absent {
            found = recognised(value);
        }
    }
    if count > 1 && found != Header::Absent {
        return Header::Rejected;
    }
    found
}

/// For browsers' WebSockets, which cannot set headers: `Sec-WebSocket-Protocol: portico.bearer.<token>, chat`.
fn sub_protocol(headers: &HeaderMap) -> Header {
    let mut found = Header::Absent;
    for line in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let Ok(line) = line.to_str() else { continue };
        for token in line.split(',').filter_map(sub_protocol_token) {
            if found != Header::Absent || !is_clearml_token(token.as_bytes()) {
                return Header::Rejected;
            }
            found = Header::Given(ClearmlCredential::Token(Secret::new(token)));
        }
    }
    found
}

/// `Absent`: not recognisably ours. `Rejected`: ours, but it cannot be right.
fn recognised(value: &HeaderValue) -> Header {
    let Some((scheme, rest)) = value.to_str().ok().and_then(|text| text.trim().split_once(' ')) else {
        return Header::Absent;
    };
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") && is_clearml_token(rest.as_bytes()) {
        return Header::Given(ClearmlCredential::Token(Secret::new(rest)));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Header::Absent;
    }
    let pair = STANDARD.decode(rest).ok().and_then(|pair| String::from_utf8(pair).ok());
    match pair.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((key, "")) if looks_like_key(key) => Header::Rejected,
        Some((key, secret)) if looks_like_key(key) => Header::Given(ClearmlCredential::KeyPair {
            key: key.to_owned(),
            secret: Secret::new(secret),
        }),
        _ => Header::Absent,
    }
}
