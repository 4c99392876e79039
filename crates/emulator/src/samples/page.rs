//! The pages' common look.

use http::Response;

use crate::server::answer::{self, Body};

/// A whole page around a body.
pub(super) fn page(title: &str, body: &str) -> Response<Body> {
    let shell = include_str!("pages/shell.html");
    let text = shell
        .replace("<!-- title -->", &escape(title))
        .replace("<!-- body -->", body);
    answer::typed(200, "text/html; charset=utf-8", text)
}

/// Text made safe for HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// The refusal for a request that fits nothing.
pub(super) fn nothing_here() -> Response<Body> {
    answer::typed(404, "text/plain; charset=utf-8", "nothing here".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_cannot_become_markup() {
        assert_eq!(
            escape("<a href=\"x\">'&'</a>"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;"
        );
    }
}
