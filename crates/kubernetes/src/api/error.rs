//! Why the API server did not do what was asked.

use std::error::Error;

use portico_core::foreign_text::one_line;

/// Why the API server did not do what was asked. Texts are for the operator; they hold nothing of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No connection, or it broke.
    #[error("the API server cannot be reached: {0}")]
    Away(String),
    /// No answer in time.
    #[error("the API server did not answer in time")]
    Timeout,
    /// It said no.
    #[error("the API server answered {code} {reason}: {message}")]
    Refused {
        /// The HTTP status.
        code: u16,
        /// Kubernetes' word, for example `Forbidden`.
        reason: String,
        /// Its sentence.
        message: String,
    },
    /// It said something that cannot be read.
    #[error("the API server's answer cannot be read: {0}")]
    BadAnswer(String),
}

impl ApiError {
    pub(crate) fn away(error: &kube::Error) -> Self {
        let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        Self::Away(one_line(&format!("{error}{source}")))
    }

    pub(crate) fn broken(error: &(dyn Error + Send + Sync)) -> Self {
        Self::Away(one_line(&error.to_string()))
    }

    /// Without the error's own text, which quotes what it could not read.
    pub(crate) fn unreadable(error: &serde_json::Error) -> Self {
        let (line, column, class) = (error.line(), error.column(), error.classify());
        Self::BadAnswer(format!("{class:?} at line {line}, column {column}"))
    }

    pub(crate) fn refused(code: u16, reason: &str, message: &str) -> Self {
        Self::Refused {
            code,
            reason: one_line(reason),
            message: one_line(message),
        }
    }

    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// A stable word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Away(_) => "unreachable",
            Self::Timeout => "timeout",
            Self::Refused { .. } => "refused",
            Self::BadAnswer(_) => "bad_answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_cannot_be_read_is_not_quoted() {
        let error = serde_json::from_str::<u16>("\"hush-hush\"").map_err(|error| ApiError::unreadable(&error));
        let told = error.expect_err("a text is no number").to_string();
        assert!(!told.contains("hush"), "{told}");
    }
}
