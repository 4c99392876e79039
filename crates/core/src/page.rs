//! A refusal as a page and as JSON: one look, for the data plane's answers and the console's.

mod frame;

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    foreign_text::plain,
    refusal::{Fault, Refusal},
};

pub use frame::{MARK, headers, style_source};

/// The style sheet that all pages of Portico carry inline.
pub const STYLE: &str = include_str!("page/style.css");

/// The longest text of foreign making (an error's detail, a name) that a page shows, in characters.
const TEXT_MAX: usize = 600;

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

/// The refusal for people: a page without scripts, which tries again by itself where that can help. Send it with [`headers`].
pub fn html(refusal: &Refusal, context: &Context) -> String {
    let title = escape(&bounded(&refusal.title()));
    let hint = escape(&bounded(&refusal.hint()));
    let (kind, turn) = whose_turn(refusal);
    let mut more = String::new();
    let retry = refusal.retry_after().map(|seconds| seconds.max(1));
    if let Some(seconds) = retry {
        let unit = if seconds == 1 { "second" } else { "seconds" };
        let is_said = hint.contains("by itself");
        let again = if is_said {
            "Next try"
        } else {
            "This page tries again by itself"
        };
        let _ = write!(more, "<p class=\"again\">{again} in {seconds} {unit}.</p>");
    }
    let mut links = String::new();
    if let Some(url) = context.right_url.as_deref().filter(|url| is_web_address(url)) {
        let url = escape(&bounded(url));
        let _ = write!(
            more,
            "<p>The right address is <a href=\"{url}\"><bdi>{url}</bdi></a></p>"
        );
    }
    if matches!(refusal, Refusal::LogInRequired | Refusal::HandOverInvalid) {
        links.push_str("<a class=\"button\" href=\"/_gateway/login\">Log in</a>");
    }
    if let Some(home) = context.home.as_deref().filter(|home| is_web_address(home)) {
        let _ = write!(
            links,
            "<a class=\"button plain\" href=\"{}\">All your endpoints</a>",
            escape(home)
        );
    }
    if !links.is_empty() {
        let _ = write!(more, "<p class=\"actions\">{links}</p>");
    }
    let refresh = retry.map_or_else(String::new, |seconds| {
        format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">")
    });
    let brand = context.home.as_deref().filter(|home| is_web_address(home)).map_or_else(
        || format!("<span class=\"brand\">{MARK}Portico</span>"),
        |home| format!("<a class=\"brand\" href=\"{}\">{MARK}Portico</a>", escape(home)),
    );
    let request = if context.request_id.is_empty() {
        String::new()
    } else {
        format!(
            "<div><dt>Request, to quote</dt><dd>{}</dd></div>",
            escape(&bounded(&context.request_id))
        )
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\">{refresh}<title>{title} · Portico</title><style>{STYLE}</style></head>\n\
         <body><header class=\"top\">{brand}</header>\n\
         <main><div class=\"card\"><p class=\"turn {kind}\">{turn}</p><h1>{title}</h1><p class=\"big\">{hint}</p>{more}\
         <dl class=\"facts\"><div><dt>Code</dt><dd>{code}</dd></div>\
         <div><dt>Status</dt><dd>{status}</dd></div>{request}</dl></div></main></body></html>\n",
        code = refusal.code(),
        status = refusal.status().as_u16(),
    )
}

/// Who has to do something, as a style class and in words.
fn whose_turn(refusal: &Refusal) -> (&'static str, &'static str) {
    match refusal.fault() {
        Fault::Visitor => ("you", "It is your turn"),
        Fault::Task => ("other", "It is the turn of whoever wrote or started the task"),
        Fault::Application => ("other", "It is the turn of the application in the task"),
        Fault::Administrator => ("other", "It is the turn of whoever runs this gateway"),
        Fault::Clearml => ("other", "It is the turn of the ClearML server"),
        Fault::Nobody if refusal.retry_after().is_some() => ("passes", "Nothing is wrong; this passes by itself"),
        Fault::Nobody => ("passes", "Nothing is wrong"),
    }
}

/// Only such addresses become links: what else a URL can say (`javascript:`) runs with the visitor's session.
fn is_web_address(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://") || (url.starts_with('/') && !url.starts_with("//"))
}

fn bounded(text: &str) -> String {
    plain(text, TEXT_MAX)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{endpoint::Slug, observe::RequestFault};

    fn context() -> Context {
        Context {
            request_id: "req-1".into(),
            home: Some("https://console.example.com/".into()),
            right_url: None,
        }
    }

    #[test]
    fn the_page_says_what_happened_whose_turn_it_is_and_what_to_quote() {
        let page = html(&Refusal::NotListening { port: 8888 }, &context());
        for told in [
            "<title>Nothing listens on port 8888 of the task · Portico</title>",
            "It is the turn of the application in the task",
            "Is the application listening on 0.0.0.0:8888, not on 127.0.0.1:8888?",
            "<dd>not_listening</dd>",
            "<dd>502</dd>",
            "<dd>req-1</dd>",
            "href=\"https://console.example.com/\"",
        ] {
            assert!(page.contains(told), "{told}\n{page}");
        }
        assert!(!page.contains("<script") && !page.contains("http-equiv"), "{page}");
    }

    #[test]
    fn a_refusal_that_passes_tries_again_by_itself() {
        let page = html(&Refusal::Starting, &context());
        assert!(page.contains("<meta http-equiv=\"refresh\" content=\"2\">"), "{page}");
        assert!(
            page.contains("tries again by itself") && page.contains("Next try in 2 seconds"),
            "{page}"
        );
        let page = html(&Refusal::LogInDelayed { seconds: 0 }, &context());
        assert!(page.contains("content=\"1\""), "never a loop without pause: {page}");
    }

    #[test]
    fn what_a_task_or_a_client_says_stays_text_and_stays_short() {
        let hostile = format!("<script>alert(1)</script>\"'\u{202e}{}", "x".repeat(10_000));
        let context = Context {
            request_id: hostile.clone(),
            home: Some("javascript:alert(1)".into()),
            right_url: Some(format!("https://gateway.example.com/\"><script>{hostile}")),
        };
        for refusal in [
            Refusal::BadRequestOfTask(RequestFault::Notation(hostile.clone())),
            Refusal::WrongQueue {
                queue: Some(hostile.as_str().into()),
            },
            Refusal::SlugCollision {
                slug: Slug::of(&hostile),
            },
            Refusal::UnknownHost,
        ] {
            let page = html(&refusal, &context);
            assert!(!page.contains("<script") && !page.contains("javascript:"), "{page}");
            assert!(!page.contains('\u{202e}'), "the direction stays ours: {page}");
            assert!(page.len() < STYLE.len() + 16_000, "{}", page.len());
            serde_json::from_str::<serde_json::Value>(&json(&refusal, &context)).expect("the other form is JSON");
        }
    }

    #[test]
    fn the_right_address_is_a_link_only_if_it_is_one() {
        let mut context = context();
        context.right_url = Some("https://gateway.example.com/service/x/".into());
        assert!(html(&Refusal::UnknownHost, &context).contains("<a href=\"https://gateway.example.com/service/x/\">"));
        for url in ["javascript:alert(1)", "//evil.example.com", "data:text/html,x"] {
            context.right_url = Some(url.into());
            assert!(!html(&Refusal::UnknownHost, &context).contains(url), "{url}");
        }
    }
}
