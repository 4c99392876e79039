//! The two origins on which pages live, and where things are on each.

use portico_core::site::{Origin, Site};

/// On which origin a page is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The applications' origin, under `/_gateway/`.
    Gateway,
    /// The console's own.
    Console,
}

impl Place {
    /// The form of the log-in.
    pub(crate) fn log_in(self) -> &'static str {
        match self {
            Self::Gateway => "/_gateway/login",
            Self::Console => "/login",
        }
    }

    /// The page that asks whether to log out.
    pub(crate) fn log_out(self) -> &'static str {
        match self {
            Self::Gateway => "/_gateway/logout",
            Self::Console => "/logout",
        }
    }

    /// The list of endpoints, as a link on this origin.
    pub(crate) fn home(self, site: &Site) -> String {
        match (self, &site.console) {
            (Self::Console, _) => "/".into(),
            (Self::Gateway, Some(console)) => format!("{console}/"),
            (Self::Gateway, None) => "/_gateway/endpoints".into(),
        }
    }

    /// True if `host` (a `Host` header) is a name of this origin.
    pub(crate) fn answers_to(self, site: &Site, host: &str) -> bool {
        match self {
            Self::Gateway => site.answers_to(host),
            Self::Console => site.console.as_ref().is_some_and(|console| is_host_of(console, host)),
        }
    }

    /// This origin's address.
    pub(crate) fn origin(self, site: &Site) -> &Origin {
        match self {
            Self::Gateway => &site.router,
            Self::Console => site.console.as_ref().unwrap_or(&site.router),
        }
    }
}

/// True if `host` (a `Host` header) names this origin; case and a default port do not matter.
pub(crate) fn is_host_of(origin: &Origin, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let default = if origin.is_secure() { ":443" } else { ":80" };
    host.strip_suffix(default).unwrap_or(&host) == origin.authority()
}
