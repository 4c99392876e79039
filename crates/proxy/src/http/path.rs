//! A path is routed, decided and forwarded as it stands, so it must mean the same to everybody who reads it.

use portico_core::refusal::Refusal;

/// Refuses what readers may resolve or decode to another path: dot segments in any spelling, backslashes, control characters,
/// bytes that are not ASCII. An encoded slash alone is fine: applications use it in names.
pub(crate) fn check(path: &str) -> Result<(), Refusal> {
    if path.starts_with('/') && is_unambiguous(path.as_bytes()) {
        Ok(())
    } else {
        Err(Refusal::AmbiguousPath)
    }
}

fn is_unambiguous(path: &[u8]) -> bool {
    let mut segment = Segment::Empty;
    let mut rest = path;
    while let Some((byte, after)) = next(rest) {
        rest = after;
        match byte {
            Byte::Raw(b'\\' | 0..=0x1f | 0x7f..) | Byte::Encoded(0..=0x1f | 0x7f) => return false,
            Byte::Raw(b'/') | Byte::Encoded(b'/' | b'\\') => {
                if segment.is_dots() {
                    return false;
                }
                segment = Segment::Empty;
            }
            // Servlet containers cut parameters before they resolve dots: `/..;x/` is `/../`.
            Byte::Raw(b';') | Byte::Encoded(b';') => {
                if segment.is_dots() {
                    return false;
                }
                segment = Segment::Other;
            }
            Byte::Raw(b'.') | Byte::Encoded(b'.') => segment = segment.dot(),
            _ => segment = Segment::Other,
        }
    }
    !segment.is_dots()
}

enum Byte {
    Raw(u8),
    Encoded(u8),
}

fn next(path: &[u8]) -> Option<(Byte, &[u8])> {
    let (first, rest) = path.split_first()?;
    if *first == b'%'
        && let [high, low, after @ ..] = rest
        && let (Some(high), Some(low)) = (digit(*high), digit(*low))
    {
        return Some((Byte::Encoded(high << 4 | low), after));
    }
    Some((Byte::Raw(*first), rest))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// What the segment consists of so far.
#[derive(Clone, Copy, PartialEq)]
enum Segment {
    Empty,
    Dot,
    DotDot,
    Other,
}

impl Segment {
    fn dot(self) -> Self {
        match self {
            Self::Empty => Self::Dot,
            Self::Dot => Self::DotDot,
            Self::DotDot | Self::Other => Self::Other,
        }
    }

    fn is_dots(self) -> bool {
        matches!(self, Self::Dot | Self::DotDot)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_with_one_meaning_pass() {
        for path in [
            "/",
            "/a/b",
            "/a//b",
            "/a%2Fb",
            "/a%5Cb",
            "/.well-known/x",
            "/..a/a../...",
            "/a.b/.c./",
            "/a;b=c/d",
            "/a%20b",
            "/%",
            "/%zz",
            "/%2",
            "/~x!$&'()*+,=:@",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn paths_with_two_meanings_are_refused() {
        for path in [
            "",
            "*",
            "a",
            "/.",
            "/..",
            "/a/.",
            "/a/..",
            "/a/./b",
            "/a/../b",
            "/%2e",
            "/%2E%2e/",
            "/.%2e/a",
            "/a%2f..",
            "/a%2F..%2Fb",
            "/a%5c..",
            "/a/..%5cb",
            "/..;/a",
            "/..;x=1/a",
            "/.;",
            "/%2e%2e;x/a",
            "/..%3b/a",
            "/a\\b",
            "/a\u{7f}",
            "/a%00",
            "/a%0d%0aX: y",
            "/a%1f",
            "/a%7f",
            "/é",
        ] {
            assert_eq!(check(path), Err(Refusal::AmbiguousPath), "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_decodes_to_no_dot_segment(path in "/([./a;%]|%2e|%2E|%2f|%5c|%3b){0,12}") {
            if check(&path).is_ok() {
                let mut decoded = path.clone();
                for (from, to) in [("%2e", "."), ("%2E", "."), ("%2f", "/"), ("%5c", "/"), ("%3b", ";")] {
                    decoded = decoded.replace(from, to);
                }
                for segment in decoded.split('/') {
                    let name = segment.split(';').next().unwrap_or_default();
                    prop_assert!(name != "." && name != "..", "{} -> {}", path, decoded);
                }
            }
        }
    }
}
