//! Cookies that an application sets are bounded to its prefix: on a shared origin another application would get them, or lose its
//! own.

/// The cookie with its path below `prefix` and without a domain; `None`: it may stand.
pub(crate) fn bound(cookie: &str, prefix: &str) -> Option<String> {
    let mut parts = cookie.split(';');
    let pair = parts.next().unwrap_or_default();
    let mut path = None;
    let mut is_changed = false;
    let mut kept = String::with_capacity(cookie.len() + prefix.len() + 8);
    kept.push_str(pair);
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if name.trim().eq_ignore_ascii_case("domain") {
            is_changed = true;
        } else if name.trim().eq_ignore_ascii_case("path") {
            // Browsers take the last one.
            is_changed |= path.is_some() || !is_below(value.trim(), prefix);
            path = Some(value.trim());
        } else {
            kept.push(';');
            kept.push_str(part);
        }
    }
    if !is_changed {
        return None;
    }
    match path {
        // Without a path, or with one that is none, browsers take the request's directory, which is below the prefix.
        None => {}
        Some(path) if is_below(path, prefix) => push_path(&mut kept, "", path),
        Some(path) if path.starts_with('/') && !path.contains("..") => push_path(&mut kept, prefix, path),
        Some(_) => push_path(&mut kept, prefix, "/"),
    }
    Some(kept)
}

fn push_path(cookie: &mut String, prefix: &str, path: &str) {
    cookie.push_str("; Path=");
    cookie.push_str(prefix);
    cookie.push_str(path);
}

fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cookies_stay_below_the_prefix() {
        for (given, expected) in [
            ("a=1", "a=1"),
            ("a=1; HttpOnly; Secure", "a=1; HttpOnly; Secure"),
            ("a=1; Path=/", "a=1; Path=/service/x/"),
            ("a=1; path=/sub; HttpOnly", "a=1; HttpOnly; Path=/service/x/sub"),
            ("a=1; Path=/service/x/", "a=1; Path=/service/x/"),
            ("a=1; Path=/service/x", "a=1; Path=/service/x"),
            ("a=1; Path=/service/xy", "a=1; Path=/service/x/service/xy"),
            ("a=1; Path=/service/x/; Path=/", "a=1; Path=/service/x/"),
            ("a=1; Path=/; Path=/service/x/", "a=1; Path=/service/x/"),
            ("a=1; Path=", "a=1; Path=/service/x/"),
            ("a=1; Path=relative", "a=1; Path=/service/x/"),
            ("a=1; Path=/../y", "a=1; Path=/service/x/"),
            ("a=1; Domain=example.com", "a=1"),
            ("a=1; DOMAIN = .example.com ; Max-Age=3", "a=1; Max-Age=3"),
            ("a=x=y; Path=/; Domain", "a=x=y; Path=/service/x/"),
        ] {
            assert_eq!(
                bound(given, "/service/x").as_deref().unwrap_or(given),
                expected,
                "{given}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_cookie_names_a_domain_or_a_path_elsewhere(
            attributes in prop::collection::vec("( )?(path|PATH|domain|Path|HttpOnly)( )?(=( )?(/|/a|/service/x/b|x|/service/x|\\.\\.)?)?", 0..5),
        ) {
            let cookie = format!("a=1;{}", attributes.join(";"));
            let bounded = bound(&cookie, "/service/x").unwrap_or(cookie);
            for attribute in bounded.split(';').skip(1) {
                let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
                prop_assert!(!name.trim().eq_ignore_ascii_case("domain"), "{}", bounded);
                if name.trim().eq_ignore_ascii_case("path") {
                    prop_assert!(is_below(value.trim(), "/service/x"), "{}", bounded);
                }
            }
        }
    }
}
