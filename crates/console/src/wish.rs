//! What a visitor wants who comes to log in.

use serde::Deserialize;

/// What the log-in is for.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Wish {
    /// Path and query on the applications' origin, or on this one if there is no challenge.
    pub(crate) return_to: Option<String>,
    /// What the applications' origin asks to be answered: see [`crate::hand_over`].
    challenge: Option<String>,
    /// Not empty on the second attempt.
    again: Option<String>,
}

impl Wish {
    pub(crate) fn challenge(&self) -> Option<&str> {
        self.challenge.as_deref().filter(|challenge| !challenge.is_empty())
    }

    /// True if an attempt failed already.
    pub(crate) fn is_again(&self) -> bool {
        self.again.as_ref().is_some_and(|again| !again.is_empty())
    }
}
