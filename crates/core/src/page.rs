//! A refusal as a page and as JSON: one look, for the data plane's answers and the console's.

use serde::Serialize;

use crate::refusal::{Fault, Refusal};

/// The style sheet that all pages of Portico carry inline.
pub const STYLE: &str = include_str!("page/style.css");

/// What besides the refusal stands on the page.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The request's id, so that the visitor can quote it.
    pub request_id: String,
    /// Where the visitor finds the way again: the list of endpoints, if known.
    pub home: Option<String>,
    /// The right address, for [`Refusal::UnknownHost`].
    pub right_url: Option<String>,
}

#[derive(Serialize)]
struct Body<'r> {
    error: Error<'r>,
}

#[derive(Serialize)]
struct Error<'r> {
    code: &'static str,
    status: u16,
    title: String,
    hint: String,
    fault: Fault,
    request_id: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    right_url: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// The refusal for programs: `{"error": {"code": …, "title": …, "hint": …}}`.
pub fn json(refusal: &Refusal, context: &Context) -> String {
    let error = Error {
        code: refusal.code(),
        status: refusal.status().as_u16(),
        title: refusal.title(),
        hint: refusal.hint(),
        fault: refusal.fault(),
        request_id: &context.request_id,
        right_url: context.right_url.as_deref(),
        retry_after: refusal.retry_after(),
    };
    serde_json::to_string(&Body { error }).unwrap_or_default()
}

/// The refusal for people: a page without scripts, which tries again by itself where that can help.
pub fn html(refusal: &Refusal, context: &Context) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1><p>{hint}</p></main></body></html>",
        title = escape(&refusal.title()),
        hint = escape(&refusal.hint()),
    ) + &context.request_id
}

/// Text made safe for HTML, in content and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
