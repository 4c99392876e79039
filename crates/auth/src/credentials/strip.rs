//! What is never passed on: to an application, and from an application to a browser.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, COOKIE, SEC_WEBSOCKET_PROTOCOL, SET_COOKIE},
};
use memchr::memchr2;

use super::{CookieNames, cookies, header, token::is_clearml_token};

/// Beginnings of cookie names that belong to us or to ClearML, in lower case.
const RESERVED: [&str; 6] = [
    "portico",
    "__host-portico",
    "__secure-portico",
    "clearml_token",
    "clearml-token",
    "allegro_token",
];

/// Removes from a request everything that is a credential for us or for ClearML: our headers in every spelling,
/// `Authorization` if it was consumed, our WebSocket sub-protocol, our cookies and ClearML's.
pub fn strip_request(headers: &mut HeaderMap, names: &CookieNames) {
    if header::is_authorization_consumed(headers) {
        headers.remove(AUTHORIZATION);
    }
    let ours: Vec<HeaderName> = headers.keys().filter(|name| is_our_header(name)).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
    strip_sub_protocols(headers);
    strip_cookies(headers, names);
}

/// Removes from an application's answer every `Set-Cookie` that would set one of our cookies or ClearML's.
pub fn strip_set_cookie(headers: &mut HeaderMap, names: &CookieNames) {
    if !headers.get_all(SET_COOKIE).iter().any(|value| sets_ours(value, names)) {
        return;
    }
    let kept: Vec<HeaderValue> = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter(|value| !sets_ours(value, names))
        .cloned()
        .collect();
    headers.remove(SET_COOKIE);
    for value in kept {
        headers.append(SET_COOKIE, value);
    }
}

/// True for `X-Gateway-…` in every spelling that an application's framework may turn into the same variable.
fn is_our_header(name: &HeaderName) -> bool {
    const OURS: &[u8] = b"x-gateway-";
    let name = name.as_str().as_bytes();
    name.len() >= OURS.len()
        && name.iter().zip(OURS).all(|(byte, ours)| {
            if *ours == b'-' {
                !byte.is_ascii_alphanumeric()
            } else {
                byte.eq_ignore_ascii_case(ours)
            }
        })
}

fn strip_sub_protocols(headers: &mut HeaderMap) {
    let is_ours = |item: &str| header::sub_protocol_token(item).is_some();
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL);
    if !lines
        .iter()
        .any(|line| String::from_utf8_lossy(line.as_bytes()).split(',').any(is_ours))
    {
        return;
    }
    let kept: Vec<String> = lines
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|item| !item.is_empty() && !is_ours(item))
        .map(str::to_owned)
        .collect();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Ok(value) = HeaderValue::try_from(kept.join(", "))
        && !kept.is_empty()
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
}

/// Several `Cookie` headers become one, as RFC 9113 8.2.3 wants it towards HTTP/1.1.
fn strip_cookies(headers: &mut HeaderMap, names: &CookieNames) {
    let mut lines = headers.get_all(COOKIE).iter();
    if lines.next().is_none() {
        return;
    }
    // What is kept is written down only once it differs from what is there.
    let mut kept = lines.next().map(|_| Vec::new());
    for (at, piece) in cookies::pieces(headers).enumerate() {
        if is_reserved(piece, names) {
            kept.get_or_insert_with(|| joined(cookies::pieces(headers).take(at)));
        } else if let Some(kept) = &mut kept {
            join(kept, piece);
        }
    }
    match kept.map(HeaderValue::try_from) {
        None => {}
        Some(Ok(kept)) if !kept.is_empty() => {
            headers.insert(COOKIE, kept);
        }
        Some(_) => {
            headers.remove(COOKIE);
        }
    }
}

fn joined<'h>(pieces: impl Iterator<Item = &'h [u8]>) -> Vec<u8> {
    pieces.fold(Vec::new(), |mut joined, piece| {
        join(&mut joined, piece);
        joined
    })
}

fn join(joined: &mut Vec<u8>, piece: &[u8]) {
    if !joined.is_empty() {
        joined.extend_from_slice(b"; ");
    }
    joined.extend_from_slice(piece);
}

fn sets_ours(value: &HeaderValue, names: &CookieNames) -> bool {
    let cookie = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    is_reserved(cookie, names)
}

/// True if a cookie's name is ours or ClearML's, or its value is a ClearML token under whatever name.
fn is_reserved(piece: &[u8], names: &CookieNames) -> bool {
    let (name, value) = cookies::split(piece);
    RESERVED.iter().any(|reserved| begins_with(name, reserved.as_bytes()))
        || names
            .clearml
            .as_ref()
            .is_some_and(|configured| name.eq_ignore_ascii_case(configured.as_bytes()))
        || is_token(value)
}

/// The beginning in whatever case.
fn begins_with(name: &[u8], beginning: &[u8]) -> bool {
    name.get(..beginning.len())
        .is_some_and(|name| name.eq_ignore_ascii_case(beginning))
}

/// A ClearML token, written plainly or percent-encoded. It has dots in any case.
fn is_token(value: &[u8]) -> bool {
    memchr2(b'.', b'%', value).is_some()
        && (is_clearml_token(value) || (value.contains(&b'%') && is_clearml_token(&percent_decoded(value))))
}

/// Applications decode cookie values, so an encoded dot hides nothing.
pub(crate) fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, tail)) = rest.split_first() {
        let pair = tail
            .first()
            .copied()
            .and_then(digit)
            .zip(tail.get(1).copied().and_then(digit));
        if let (b'%', Some((high, low))) = (first, pair) {
            out.push(high << 4 | low);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}
