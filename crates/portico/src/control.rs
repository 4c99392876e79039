//! The control socket: how `portico status` and the other commands ask the running gateway.
//!
//! A Unix socket for the gateway's own user (and root): one JSON object in a line each way. Whoever can open it can see everything,
//! so its mode is 0600, and the kernel's word on who connects is checked besides.

mod answers;
mod client;
mod socket;
mod status;

use portico_core::{Answer, secret::Secret};
use serde::{Deserialize, Serialize};

pub use client::{AskError, ask};
pub use socket::Control;

/// A question of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Is it ready?
    Health,
    /// How is it?
    Status,
    /// Why does this not open?
    Explain {
        /// A task's id, a path or a URL.
        asked: String,
        /// For whom: a ClearML user's id or name.
        user: Option<String>,
        /// For whom: a visitor's `Cookie` header.
        cookies: Option<Secret>,
    },
    /// End all sessions that a user has now.
    RevokeUser {
        /// The user's id.
        user: String,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// True if all is well: the command's exit code.
    pub is_good: bool,
    /// For programs.
    pub report: serde_json::Value,
    /// For people.
    pub text: String,
}

/// What goes back over the socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The answer.
    Ok(Reply),
    /// Why there is none.
    Error(String),
}

/// Whoever answers.
pub trait Answers: Send + Sync {
    /// The answer, or why there is none.
    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a, Result<Reply, String>>;
}

#[cfg(test)]
mod tests;
