//! Who may reach an endpoint, and who said so.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::principal::UserId;

/// Whom an access rule lets in. Everybody but [`Who::Public`]'s visitors must also be somebody whom ClearML shows the task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The task's owner.
    Owner,
    /// The task's owner and these users (by ClearML id).
    Users(Arc<[UserId]>),
    /// Everybody whom ClearML shows the task.
    Visible,
    /// Everybody, without log-in.
    Public,
}

impl Who {
    /// Grows with the number of people let in.
    fn openness(&self) -> u8 {
        match self {
            Self::Owner => 0,
            Self::Users(_) => 1,
            Self::Visible => 2,
            Self::Public => 3,
        }
    }

    /// Whom both let in.
    pub(crate) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Users(ours), Self::Users(theirs)) => {
                Self::Users(ours.iter().filter(|user| theirs.contains(user)).cloned().collect())
            }
            _ if self.openness() <= other.openness() => self.clone(),
            _ => other.clone(),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner => out.write_str("owner"),
            Self::Users(users) => write!(out, "owner and {} named users", users.len()),
            Self::Visible => out.write_str("visible"),
            Self::Public => out.write_str("public"),
        }
    }
}

/// Where a rule was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleSource {
    /// Nobody said anything: the default for this kind of server.
    Default,
    /// The configuration, at this path.
    Configuration(Arc<str>),
    /// The task's own user property.
    Task,
}

impl fmt::Display for RuleSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::Configuration(path) => write!(out, "configuration {path}"),
            Self::Task => out.write_str("task"),
        }
    }
}

/// Who may reach an endpoint, and who said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessRule {
    /// Whom it lets in.
    pub who: Who,
    /// Where it was said.
    pub source: RuleSource,
}
