//! Addresses in an application's answer: they get the public prefix unless they have it.

use portico_core::site::Origin;

/// Where the application is, seen from both sides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The public path prefix, without the closing slash.
    pub(crate) prefix: &'a str,
    /// The public origin.
    pub(crate) router: &'a Origin,
    /// The `Host` that the visitor used and the application saw.
    pub(crate) host: &'a str,
    /// The dialed address, which an application may take for its own.
    pub(crate) upstream: &'a str,
}

impl Place<'_> {
    /// What the visitor must be told in place of `location`; `None`: it may stand as it is.
    pub(crate) fn public(&self, location: &str) -> Option<String> {
        if location.starts_with('/') {
            return self.prefixed(location);
        }
        let rest = strip_scheme(location)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if !self.is_here(authority) {
            return None;
        }
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        // The scheme is ours to tell: behind TLS the application takes itself for `http`.
        Some(self.prefixed(&path).unwrap_or(path))
    }

    /// A path of the origin made a path below the prefix; `None`: it is one already, or leads to another host.
    fn prefixed(&self, path: &str) -> Option<String> {
        // `//host` and, in browsers, `/\host` name another host.
        if path.starts_with("//") || path.starts_with("/\\") || self.is_below(path) {
            return None;
        }
        Some(format!("{}{path}", self.prefix))
    }

    /// True if the path is the prefix or lies below it.
    pub(crate) fn is_below(&self, path: &str) -> bool {
        path.strip_prefix(self.prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }

    /// True if a visitor who follows `location` arrives below the prefix without our help.
    pub(crate) fn leads_below(&self, location: &str) -> bool {
        let path =
            strip_scheme(location).map_or(location, |rest| rest.split_at(rest.find('/').unwrap_or(rest.len())).1);
        self.is_below(path)
    }

    fn is_here(&self, authority: &str) -> bool {
        [self.router.authority(), self.host, self.upstream]
            .iter()
            .any(|known| authority.eq_ignore_ascii_case(known))
    }

    /// `Refresh: 5; url=/x` with its address made public; `None`: it may stand.
    pub(crate) fn public_refresh(&self, refresh: &str) -> Option<String> {
        let (delay, rest) = refresh.split_once([';', ','])?;
        let rest = rest.trim_start();
        let target = if rest.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("url")) {
            rest.get(3..)?.trim_start().strip_prefix('=')?.trim_start()
        } else {
            rest
        };
        let target = target.trim_end().trim_matches(['"', '\'']);
        Some(format!("{delay}; url={}", self.public(target)?))
    }
}

fn strip_scheme(location: &str) -> Option<&str> {
    ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = location.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Origin {
        Origin::parse("https://gw.example.com").expect("an origin")
    }

    fn place(router: &Origin) -> Place<'_> {
        Place {
            prefix: "/service/x",
            router,
            host: "gw.example.com:443",
            upstream: "10.0.0.7:8888",
        }
    }

    #[test]
    fn locations_get_the_prefix_unless_they_have_it() {
        for (given, expected) in [
            ("/", "/service/x/"),
            ("/login?next=/", "/service/x/login?next=/"),
            ("/service/x", "/service/x"),
            ("/service/x/", "/service/x/"),
            ("/service/x?a", "/service/x?a"),
            ("/service/xy", "/service/x/service/xy"),
            ("/service/x__ui/", "/service/x/service/x__ui/"),
            ("relative", "relative"),
            ("../up", "../up"),
            ("?q", "?q"),
            ("", ""),
            ("https://gw.example.com/a", "/service/x/a"),
            ("http://GW.example.com/a", "/service/x/a"),
            ("https://gw.example.com/service/x/a", "/service/x/a"),
            ("http://gw.example.com:443", "/service/x/"),
            ("http://10.0.0.7:8888/a?b#c", "/service/x/a?b#c"),
            ("http://10.0.0.7:8888?b", "/service/x/?b"),
            ("https://elsewhere.example/a", "https://elsewhere.example/a"),
            (
                "https://gw.example.com@elsewhere.example/",
                "https://gw.example.com@elsewhere.example/",
            ),
            ("//elsewhere.example/a", "//elsewhere.example/a"),
            ("/\\elsewhere.example", "/\\elsewhere.example"),
        ] {
            let got = place(&router()).public(given);
            assert_eq!(got.as_deref().unwrap_or(given), expected, "{given}");
        }
    }

    #[test]
    fn a_refresh_gets_the_prefix_too() {
        for (given, expected) in [
            ("5", "5"),
            ("5; url=/a", "5; url=/service/x/a"),
            ("0;URL='/a'", "0; url=/service/x/a"),
            ("0, /a", "0; url=/service/x/a"),
            ("0; url=/service/x/a", "0; url=/service/x/a"),
            ("0; url=https://elsewhere.example/", "0; url=https://elsewhere.example/"),
        ] {
            let got = place(&router()).public_refresh(given);
            assert_eq!(got.as_deref().unwrap_or(given), expected, "{given}");
        }
    }
}
