//! Why a call failed.

use std::time::Duration;

/// Why a call failed. Texts are for the operator: bounded, without credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection, or it broke.
    #[error("cannot reach {url}: {detail}")]
    Unreachable {
        /// What was called.
        url: String,
        /// What the network says.
        detail: String,
    },
    /// No complete answer in time.
    #[error("{url} did not answer within {} s", .limit.as_secs_f32())]
    Timeout {
        /// What was called.
        url: String,
        /// How long was waited.
        limit: Duration,
    },
    /// An answer of the ClearML API that says no.
    #[error("{endpoint} answered {code}/{subcode}: {message}")]
    Refused {
        /// Which call.
        endpoint: &'static str,
        /// HTTP status.
        code: u16,
        /// ClearML's own number.
        subcode: i64,
        /// ClearML's words, at most 256 characters.
        message: String,
    },
    /// An answer, but not one of the ClearML API.
    #[error("{url} answered {detail}; is this the API server? It usually listens on port 8008")]
    BadAnswer {
        /// What was called.
        url: String,
        /// What came instead.
        detail: String,
    },
    /// An answer longer than is read.
    #[error("{url} answered more than {limit} bytes")]
    TooLarge {
        /// What was called.
        url: String,
        /// `Settings::answer_limit`, or less.
        limit: usize,
    },
    /// The server rejects the gateway's own key.
    #[error("ClearML rejects the gateway's own key: {0}")]
    OwnKeyRejected(String),
    /// An answer in ClearML's own form that cannot be true.
    #[error("the answer is not believed: {0}")]
    Untrusted(String),
}

impl CallError {
    /// A stable word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Refused { .. } => "refused",
            Self::BadAnswer { .. } => "bad_answer",
            Self::TooLarge { .. } => "too_large",
            Self::OwnKeyRejected(_) => "own_key_rejected",
            Self::Untrusted(_) => "untrusted",
        }
    }

    /// True for 401/30 and 401/31: the token is invalid, expired, revoked or blocked (observed with clearml-server 2.3.0).
    pub(crate) fn is_bad_token(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: 401,
                subcode: 30 | 31,
                ..
            }
        )
    }

    /// True if the server understood the call and says no to it, not to the credential.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: 400 | 402..=428,
                ..
            }
        )
    }

    /// True if an answer came that cannot be read. What somebody wrote into one task may be the reason.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self, Self::BadAnswer { .. } | Self::TooLarge { .. })
    }

    /// True if a question that asks for less may be answered.
    pub(crate) fn is_divisible(&self) -> bool {
        self.is_unreadable() || matches!(self, Self::Timeout { .. })
    }

    /// True if the same call may succeed a moment later: the server is busy, restarts, or was not reached.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Refused {
                    code: 429 | 502 | 503 | 509,
                    ..
                }
        )
    }
}
