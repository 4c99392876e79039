//! What stands on each page: the values behind the templates. Askama escapes every one of them, except the style and the mark.

use askama::Template;
use portico_core::page;

use crate::listing::Row;

/// What all pages have in common.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) style: &'static str,
    pub(crate) mark: &'static str,
    /// The list of endpoints.
    pub(crate) home: String,
    /// The page that asks whether to log out.
    pub(crate) log_out: &'static str,
    /// The gateway's name.
    pub(crate) site: String,
    /// The name of whoever is logged in.
    pub(crate) visitor: Option<String>,
}

impl Frame {
    pub(crate) fn new(home: String, log_out: &'static str, site: String) -> Self {
        Self {
            style: page::STYLE,
            mark: page::MARK,
            home,
            log_out,
            site,
            visitor: None,
        }
    }
}

/// Something that the visitor must read first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Its look: nothing, `warn` or `bad`.
    pub(crate) kind: &'static str,
    pub(crate) title: String,
    pub(crate) text: String,
}

#[derive(Template)]
#[template(path = "log_in.html")]
pub(crate) struct LogInPage {
    pub(crate) frame: Frame,
    pub(crate) action: &'static str,
    pub(crate) token: String,
    /// What the applications' origin asks to be answered; empty for a log-in to this page's own.
    pub(crate) challenge: String,
    pub(crate) return_to: String,
    /// True on the second attempt.
    pub(crate) is_again: bool,
    pub(crate) user: String,
    pub(crate) notice: Option<Notice>,
    pub(crate) is_rejected: bool,
    /// Where ClearML makes API keys.
    pub(crate) key_url: Option<String>,
    /// True if applications share this page's origin.
    pub(crate) is_shared: bool,
}

#[derive(Template)]
#[template(path = "warning.html")]
pub(crate) struct WarningPage {
    pub(crate) frame: Frame,
    pub(crate) to: String,
    pub(crate) task_name: String,
    pub(crate) endpoint: Option<String>,
    pub(crate) owner: String,
    pub(crate) origin: String,
}

#[derive(Template)]
#[template(path = "log_out.html")]
pub(crate) struct LogOutPage {
    pub(crate) frame: Frame,
    pub(crate) action: &'static str,
    /// True if ClearML's own log-in let the visitor in, which is not ours to end.
    pub(crate) is_clearml: bool,
    pub(crate) clearml_url: Option<String>,
}

#[derive(Template)]
#[template(path = "logged_out.html")]
pub(crate) struct LoggedOutPage {
    pub(crate) frame: Frame,
    pub(crate) log_in: &'static str,
    /// True if ClearML's own log-in still lets the visitor in.
    pub(crate) is_clearml: bool,
}

/// Rows under one heading.
pub(crate) struct Group {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "endpoints.html")]
pub(crate) struct EndpointsPage {
    pub(crate) frame: Frame,
    pub(crate) notes: Vec<String>,
    pub(crate) problem: Option<Notice>,
    pub(crate) query: String,
    pub(crate) has_search: bool,
    pub(crate) groups: Vec<Group>,
    /// True if earlier pages had rows.
    pub(crate) is_later: bool,
    pub(crate) clearml_url: Option<String>,
    pub(crate) first: Option<String>,
    pub(crate) next: Option<String>,
    pub(crate) page_size: usize,
}
