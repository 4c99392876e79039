//! Answers of endpoints that are not public belong to their visitor alone.

use http::{HeaderMap, HeaderName, HeaderValue, header::CACHE_CONTROL};

use super::hop::remove_all;

const FOR_SHARED_CACHES: [HeaderName; 5] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("cloudflare-cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
    HeaderName::from_static("surrogate-key"),
    // nginx heeds it before `Cache-Control` (observed with nginx 1.22).
    HeaderName::from_static("x-accel-expires"),
];

/// Takes shared caches out: no `public`, no `s-maxage`, but `private`.
pub(crate) fn make_private(headers: &mut HeaderMap) {
    remove_all(headers, |name| FOR_SHARED_CACHES.contains(name));
    let mut kept = String::new();
    for value in headers.get_all(CACHE_CONTROL) {
        // What is no text cannot be judged, so it goes.
        for directive in members(value.to_str().unwrap_or_default()) {
            let name = directive.split('=').next().unwrap_or_default().trim();
            // `private="field"` leaves the rest of the answer to shared caches.
            if !["public", "s-maxage", "private", "proxy-revalidate"]
                .iter()
                .any(|word| name.eq_ignore_ascii_case(word))
            {
                kept.push_str(directive);
                kept.push_str(", ");
            }
        }
    }
    let value = if kept.is_empty() {
        HeaderValue::from_static("private")
    } else {
        kept.push_str("private");
        HeaderValue::from_str(&kept).unwrap_or(HeaderValue::from_static("private, no-store"))
    };
    headers.insert(CACHE_CONTROL, value);
}

/// Splits at commas outside of quotes.
fn members(value: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    value
        .split(move |letter| {
            is_quoted ^= letter == '"';
            letter == ',' && !is_quoted
        })
        .map(str::trim)
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_caches_are_taken_out() {
        for (given, expected) in [
            (None, "private"),
            (Some("public"), "private"),
            (Some("public, max-age=60"), "max-age=60, private"),
            (Some("PUBLIC , S-MaxAge=60,immutable"), "immutable, private"),
            (Some("max-age=60, s-maxage=\"5\""), "max-age=60, private"),
            (Some("no-store"), "no-store, private"),
            (Some("private"), "private"),
            (Some("private=\"set-cookie\", max-age=9"), "max-age=9, private"),
            (Some("no-cache=\"a, public\""), "no-cache=\"a, public\", private"),
            (Some(", ,"), "private"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("cdn-cache-control", HeaderValue::from_static("max-age=60"));
            headers.insert("surrogate-control", HeaderValue::from_static("max-age=60"));
            headers.insert("x-accel-expires", HeaderValue::from_static("60"));
            if let Some(given) = given {
                headers.insert(CACHE_CONTROL, HeaderValue::from_static(given));
            }
            make_private(&mut headers);
            assert_eq!(headers.len(), 1, "{headers:?}");
            assert_eq!(headers.get(CACHE_CONTROL).expect("a value"), expected, "{given:?}");
        }
    }

    #[test]
    fn all_lines_count() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_CONTROL, HeaderValue::from_static("max-age=1"));
        headers.append(CACHE_CONTROL, HeaderValue::from_static("public"));
        make_private(&mut headers);
        let values: Vec<_> = headers.get_all(CACHE_CONTROL).iter().collect();
        assert_eq!(values, ["max-age=1, private"]);
    }
}
