//! Cookie headers as the browsers write them (RFC 6265 5.4), read as generously as any application might.

use http::{HeaderMap, header::COOKIE};
use memchr::memchr;

/// All pieces of all `Cookie` headers, trimmed.
pub(super) fn pieces(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| split_at_semicolons(line.as_bytes()))
        .map(<[u8]>::trim_ascii)
        .filter(|piece| !piece.is_empty())
}

fn split_at_semicolons(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let Some((piece, tail)) = memchr(b';', line).and_then(|at| line.split_at_checked(at)) else {
            return rest.take();
        };
        rest = tail.get(1..);
        Some(piece)
    })
}

/// All cookies: name and value, the value without surrounding quotes.
pub(super) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    pieces(headers).map(split)
}

/// Name and value of one cookie. A piece without `=` is all name and all value; a nameless one (`=portico…=x`) counts
/// as what browsers make of it when they send it back: `portico…=x`.
pub(super) fn split(piece: &[u8]) -> (&[u8], &[u8]) {
    let mut piece = piece.trim_ascii();
    while let Some(rest) = piece.strip_prefix(b"=") {
        piece = rest.trim_ascii();
    }
    match memchr(b'=', piece).and_then(|at| piece.split_at_checked(at)) {
        Some((name, value)) => (name.trim_ascii(), unquoted(value.get(1..).unwrap_or_default())),
        None => (piece, unquoted(piece)),
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    let value = value.trim_ascii();
    value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value)
}
