//! Sessions that ended before their time: by session, or all of a user's that were opened before a moment.

mod register;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

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

/// So many of one user's sessions are known one by one. Who logs in and out all day fills no store with it.
const OF_USER_MAX: usize = 200;

/// All revocations that still matter. Two of these merge into one whatever their order, so that replicas never
/// conflict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    sessions: BTreeMap<SessionId, Timestamp>,
    users: BTreeMap<UserId, Timestamp>,
    /// Whose the sessions are; earlier versions did not write that down.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    owned: BTreeMap<UserId, BTreeSet<SessionId>>,
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

    /// Adds a session of this user.
    pub fn add_session(&mut self, session: SessionId, user: &UserId, now: Timestamp) {
        self.note(session.clone(), now);
        self.own(session, user);
        self.fold(user);
    }

    /// Adds all sessions of a user that were opened until `not_before`.
    pub fn add_user(&mut self, user: &UserId, not_before: Timestamp) {
        let at = self.users.entry(user.clone()).or_insert(not_before);
        *at = not_before.max(*at);
        self.fold(user);
    }

    fn note(&mut self, session: SessionId, now: Timestamp) {
        let at = self.sessions.entry(session).or_insert(now);
        *at = now.max(*at);
    }

    fn own(&mut self, session: SessionId, user: &UserId) {
        // One that does not tell when it was opened, which we never make, would be older and newer than all others.
        if session::issued(&session).is_some() {
            self.owned.entry(user.clone()).or_default().insert(session);
        }
    }

    /// Replaces a user's oldest sessions by the time at which the newest of them was opened, if there are too many, and forgets
    /// those that the user's time covers.
    ///
    /// With them ends what the same user opened before that time and has never closed. Sessions opened later stay, so nobody who
    /// has just logged in is out again; and nobody but the user himself can close that many of his sessions. What comes of it does
    /// not depend on the order in which sessions become known: the time is that of the 201st newest, however many were folded
    /// before.
    fn fold(&mut self, user: &UserId) {
        let Some(owned) = self.owned.get_mut(user) else {
            return;
        };
        let covered = self.users.get(user).copied();
        let mut opened: Vec<Timestamp> = owned.iter().filter_map(session::issued).collect();
        opened.retain(|opened| covered.is_none_or(|covered| *opened > covered));
        let surplus = opened.len().checked_sub(OF_USER_MAX + 1);
        let newest_folded = surplus.map(|at| *opened.select_nth_unstable(at).1);
        let Some(until) = newest_folded.max(covered) else {
            return;
        };
        self.users.insert(user.clone(), until);
        let sessions = &mut self.sessions;
        owned.retain(|session| {
            let is_covered = session::issued(session).is_none_or(|opened| opened <= until);
            if is_covered {
                sessions.remove(session);
            }
            !is_covered
        });
        if owned.is_empty() {
            self.owned.remove(user);
        }
    }

    /// What either of the two holds.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        for (session, at) in &other.sessions {
            self.note(session.clone(), *at);
        }
        for (user, sessions) in &other.owned {
            for session in sessions {
                self.own(session.clone(), user);
            }
        }
        for (user, at) in &other.users {
            self.add_user(user, *at);
        }
        for user in other.owned.keys() {
            self.fold(user);
        }
        self
    }

    /// Without those whose sessions are over anyway.
    #[must_use]
    pub fn pruned(mut self, now: Timestamp) -> Self {
        self.sessions.retain(|_, at| now.since(*at) < KEPT);
        self.users.retain(|_, at| now.since(*at) < KEPT);
        self.owned.retain(|_, sessions| {
            sessions.retain(|session| self.sessions.contains_key(session));
            !sessions.is_empty()
        });
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
