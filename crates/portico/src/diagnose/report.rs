//! An answer to `portico explain`, for programs and for people.

use std::fmt::Write as _;

use portico_core::{
    explain::{Explanation, Step},
    refusal::Fault,
};
use serde::Serialize;

/// The whole answer: one part for each endpoint that the question means.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The question, as it was understood.
    pub asked: String,
    /// At least one.
    pub endpoints: Vec<EndpointReport>,
}

/// What is to be said of one endpoint.
#[derive(Debug, Serialize)]
pub struct EndpointReport {
    /// Its URL for programs, if it is an endpoint's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// True if the visitor gets to the application.
    pub is_open: bool,
    /// The refusal's code otherwise.
    pub code: Option<&'static str>,
    /// Whose turn it is.
    pub fault: Option<Fault>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What happened and what to do next.
    pub answer: String,
}

impl EndpointReport {
    /// From an explanation.
    pub fn of(url: Option<String>, told: Explanation) -> Self {
        Self {
            url,
            is_open: told.is_passed(),
            code: told.code,
            fault: told.fault,
            steps: told.steps,
            answer: told.answer,
        }
    }
}

impl Report {
    /// True if each endpoint opens.
    pub fn is_open(&self) -> bool {
        self.endpoints.iter().all(|endpoint| endpoint.is_open)
    }

    /// For people: a line for each step, then the answer.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            if at > 0 {
                text.push('\n');
            }
            let _ = writeln!(text, "{}", harmless(endpoint.url.as_deref().unwrap_or(&self.asked)));
            for step in &endpoint.steps {
                let (mark, found) = match step.found.strip_prefix("note: ") {
                    _ if !step.is_passed => ("✗", step.found.as_str()),
                    Some(note) => ("!", note),
                    None => ("✓", step.found.as_str()),
                };
                let _ = writeln!(text, "  {mark} {:<12} {}", step.what, harmless(found));
            }
            let code = endpoint.code.map_or_else(String::new, |code| format!("{code}: "));
            let _ = writeln!(text, "{code}{}", harmless(&endpoint.answer));
        }
        text
    }
}

/// Names of tasks and users are anybody's words: none of them writes to the operator's terminal.
pub fn harmless(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let is_harmless = !letter.is_control() && !crate::telemetry::log::is_invisible(letter);
            let escaped = (!is_harmless).then(|| letter.escape_unicode());
            is_harmless
                .then_some(letter)
                .into_iter()
                .chain(escaped.into_iter().flatten())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use portico_core::refusal::Refusal;

    use super::*;

    #[test]
    fn people_see_steps_and_the_answer() {
        let mut told = Explanation {
            steps: Vec::new(),
            code: None,
            fault: None,
            answer: "The way is open.".into(),
        };
        told.pass("ClearML", "note: away");
        told.pass("task", "named \u{1b}[31mred\n");
        let open = EndpointReport::of(Some("https://gateway.example.com/service/x/".into()), told.clone());
        told.fail("route", &Refusal::StreamsOff);
        let report = Report {
            asked: "x".into(),
            endpoints: vec![open, EndpointReport::of(None, told)],
        };
        assert!(!report.is_open());
        insta::assert_snapshot!(report.text());
    }
}
