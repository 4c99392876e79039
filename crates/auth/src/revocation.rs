//! Sessions that ended before their time: by session, or all of a user's that were opened before a moment.

mod register;

use std::{collections::BTreeMap, time::Duration};

use portico_core::{
    clock::Timestamp,
    principal::{SessionId, UserId},
};
use serde::{Deserialize, Serialize};

use crate::session;

pub use register::Register;

/// The store's key of the document that holds the revocations.
pub const DOCUMENT: &str = "revocations";

/// A revocation is kept for as long as a session can live.
const KEPT: Duration = session::LONGEST;

/// All revocations that still matter. Two of these merge into one whatever their order, so that replicas never
/// conflict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    sessions: BTreeMap<SessionId, Timestamp>,
    users: BTreeMap<UserId, Timestamp>,
}

impl Revocations {
    /// True if the session, or all sessions of its user from its time, were revoked.
    pub fn is_revoked(&self, session: &SessionId, user: &UserId) -> bool {
        if self.sessions.contains_key(session) {
            return true;
        }
        let Some(not_before) = self.users.get(user) else {
            return false;
        };
        session::issued(session).is_none_or(|issued| issued <= *not_before)
    }

    /// Adds a session.
    pub fn add_session(&mut self, session: SessionId, now: Timestamp) {
        let at = self.sessions.entry(session).or_insert(now);
        *at = now.max(*at);
    }

    /// Adds all sessions of a user that were opened until `not_before`.
    pub fn add_user(&mut self, user: UserId, not_before: Timestamp) {
        let at = self.users.entry(user).or_insert(not_before);
        *at = not_before.max(*at);
    }

    /// What either of the two holds.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        for (session, at) in &other.sessions {
            self.add_session(session.clone(), *at);
        }
        for (user, at) in &other.users {
            self.add_user(user.clone(), *at);
        }
        self
    }

    /// Without those whose sessions are over anyway.
    #[must_use]
    pub fn pruned(mut self, now: Timestamp) -> Self {
        self.sessions.retain(|_, at| now.since(*at) < KEPT);
        self.users.retain(|_, at| now.since(*at) < KEPT);
        self
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.sessions.len() + self.users.len()
    }

    /// True if nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests;
