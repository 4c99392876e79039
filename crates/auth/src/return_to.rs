//! Where a visitor goes after the log-in. One function, so that there is one place to attack.

use portico_core::site::{Origin, RESERVED, Site};

/// Longer addresses are not remembered.
const LONGEST: usize = 4096;
/// Our own pages that must not be returned to: they would lead in circles, or out again.
const CIRCULAR: [&str; 3] = ["login", "logout", "callback"];
/// How often a path is decoded to see what somebody behind us might see.
const DECODINGS: usize = 3;

/// The path, query included, to which a visitor may be sent: what was asked for if that is a path of ours (or a URL of
/// one of our hosts), else `/`. Safe in a `Location` header on any of our hosts: it begins with exactly one slash, and
/// no browser reads a host in it.
pub fn return_to(asked: Option<&str>, site: &Site) -> String {
    asked
        .and_then(|asked| own_path(asked, site))
        .filter(|path| is_safe(path))
        .map_or_else(|| "/".to_owned(), str::to_owned)
}

/// The part of a URL after one of our hosts; a path as it is.
fn own_path<'a>(asked: &'a str, site: &Site) -> Option<&'a str> {
    if asked.starts_with('/') {
        return Some(asked);
    }
    let (scheme, rest) = asked.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let is_origin = |origin: &Origin| {
        scheme.eq_ignore_ascii_case(origin.scheme()) && authority.eq_ignore_ascii_case(origin.authority())
    };
    let is_extra = || {
        (scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http"))
            && site.extra_hosts.iter().any(|host| authority.eq_ignore_ascii_case(host))
    };
    let is_ours = is_origin(&site.router) || site.console.as_ref().is_some_and(is_origin) || is_extra();
    (is_ours && path.starts_with('/')).then_some(path)
}

fn is_safe(target: &str) -> bool {
    if target.len() > LONGEST || !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return false;
    }
    let mut path = target
        .split_once(['?', '#'])
        .map_or(target, |(path, _)| path)
        .as_bytes()
        .to_vec();
    for _ in 0..DECODINGS {
        if !is_plain(&path) {
            return false;
        }
        path = decoded(&path);
    }
    is_plain(&path)
}

/// True if the path begins with exactly one slash, stays below it, and is not one of the circular pages.
fn is_plain(path: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(b"/") else {
        return false;
    };
    let is_circular = || {
        rest.strip_prefix(RESERVED.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"/"))
            .is_some_and(|page| {
                CIRCULAR.iter().any(|circular| {
                    page.strip_prefix(circular.as_bytes())
                        .is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric))
                })
            })
    };
    !rest.starts_with(b"/")
        && !path.iter().any(|byte| *byte == b'\\' || byte.is_ascii_control())
        && !rest
            .split(|byte| *byte == b'/')
            .any(|segment| matches!(segment, b"." | b".."))
        && !is_circular()
}

fn decoded(path: &[u8]) -> Vec<u8> {
    crate::credentials::percent_decoded(path)
}

#[cfg(test)]
mod tests;
