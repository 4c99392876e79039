//! From which addresses people who are logged in come: for connections that carry no credential themselves.

mod places;

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use portico_core::{
    clock::Timestamp,
    principal::{SessionId, User, UserId},
};

use places::Places;

const SHARDS: usize = 64;
/// How many addresses are remembered in one shard; in all some 16,000.
const ADDRESSES: usize = 256;
/// How many log-ins are remembered of one address, behind which many people may sit.
const VISITS: usize = 128;
/// And how many of one of these people, who shall not take the places of the others.
const VISITS_OF_ONE: usize = 4;
/// A visit that was noted is not noted again for this long.
const PAUSE: Duration = Duration::from_secs(10);

/// Somebody's log-in, as it was last used from an address.
#[derive(Clone)]
struct Visit {
    user: Arc<User>,
    /// When the log-in ends unless it is used before.
    idle_end: Timestamp,
    last: Timestamp,
}

impl Visit {
    fn is_of(&self, user: &User) -> bool {
        self.user.id == user.id && self.user.company == user.company
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.idle_end || self.user.expires.is_some_and(|expires| now >= expires)
    }
}

/// Bounded memory of who came from where.
pub(super) struct Addresses {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    /// Never locked by whoever has locked a shard.
    places: Mutex<Places>,
}

type Shard = HashMap<IpAddr, Vec<Visit>>;

impl Addresses {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            places: Mutex::default(),
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, address: IpAddr) -> MutexGuard<'_, Shard> {
        let at = usize::try_from(self.hasher.hash_one(address) % SHARDS as u64).unwrap_or(0);
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that this user's log-in, which ends at `idle_end` unless it is used again, was used from this address.
    pub(super) fn note(&self, address: IpAddr, user: &Arc<User>, idle_end: Timestamp, now: Timestamp) {
        let address = address.to_canonical();
        if !self.note_visit(address, user, idle_end, now) {
            return;
        }
        let gone = self.places().came(user, address, now);
        if let Some(gone) = gone {
            self.forget(gone, user);
        }
    }

    /// False if it was noted a moment ago.
    fn note_visit(&self, address: IpAddr, user: &Arc<User>, idle_end: Timestamp, now: Timestamp) -> bool {
        let mut shard = self.shard(address);
        if !shard.contains_key(&address) {
            make_room(&mut shard, now);
        }
        let visits = shard.entry(address).or_default();
        let known = visits
            .iter_mut()
            .find(|visit| visit.user.session == user.session && visit.is_of(user));
        if let Some(visit) = known {
            // Another clock's jump backwards must not keep a visit from being noted.
            let is_fresh = visit.last <= now && now.since(visit.last) < PAUSE;
            if is_fresh && visit.idle_end == idle_end && Arc::ptr_eq(&visit.user, user) {
                return false;
            }
            *visit = Visit {
                user: user.clone(),
                idle_end: idle_end.max(visit.idle_end),
                last: now,
            };
            return true;
        }
        visits.retain(|visit| !visit.is_over(now));
        if visits.iter().filter(|visit| visit.is_of(user)).count() >= VISITS_OF_ONE {
            remove_oldest(visits, |visit| visit.is_of(user));
        }
        if visits.len() >= VISITS {
            remove_oldest(visits, |_| true);
        }
        visits.push(Visit {
            user: user.clone(),
            idle_end,
            last: now,
        });
        true
    }

    /// Forgets this user's log-ins at an address.
    fn forget(&self, address: IpAddr, user: &User) {
        let mut shard = self.shard(address);
        if let Some(visits) = shard.get_mut(&address) {
            visits.retain(|visit| !visit.is_of(user));
            if visits.is_empty() {
                shard.remove(&address);
            }
        }
    }

    /// Whose log-ins were used from this address and are not over; the last used in front.
    pub(super) fn users(&self, address: IpAddr, now: Timestamp) -> Vec<Arc<User>> {
        let address = address.to_canonical();
        let mut visits = self.shard(address).get(&address).cloned().unwrap_or_default();
        visits.retain(|visit| !visit.is_over(now));
        visits.sort_by_key(|visit| std::cmp::Reverse(visit.last));
        visits.into_iter().map(|visit| visit.user).collect()
    }

    /// Forgets the log-ins that have ended.
    pub(super) fn forget_ended(&self, now: Timestamp, is_revoked: impl Fn(&SessionId, &UserId) -> bool) {
        let is_revoked = |user: &User| {
            let session = user.session.as_ref();
            session.is_some_and(|session| is_revoked(session, &user.id))
        };
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, visits| {
                visits.retain(|visit| !visit.is_over(now) && !is_revoked(&visit.user));
                !visits.is_empty()
            });
        }
        self.places().retain(|company, user, address| {
            let shard = self.shard(address);
            let mut visits = shard.get(&address).into_iter().flatten();
            visits.any(|visit| visit.user.id == *user && visit.user.company == *company)
        });
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.places().clear();
    }

    /// How many addresses are remembered.
    pub(super) fn len(&self) -> usize {
        let len = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.shards.iter().map(len).sum()
    }
}

/// The address from which nobody came for the longest time goes, if there are too many.
fn make_room(shard: &mut Shard, now: Timestamp) {
    if shard.len() < ADDRESSES {
        return;
    }
    shard.retain(|_, visits| visits.iter().any(|visit| !visit.is_over(now)));
    if shard.len() < ADDRESSES {
        return;
    }
    let victim = shard
        .iter()
        .min_by_key(|(_, visits)| visits.iter().map(|visit| visit.last).max())
        .map(|(address, _)| *address);
    if let Some(victim) = victim {
        shard.remove(&victim);
    }
}

fn remove_oldest(visits: &mut Vec<Visit>, is_meant: impl Fn(&Visit) -> bool) {
    let oldest = visits
        .iter()
        .enumerate()
        .filter(|(_, visit)| is_meant(visit))
        .min_by_key(|(_, visit)| visit.last)
        .map(|(at, _)| at);
    if let Some(oldest) = oldest {
        visits.swap_remove(oldest);
    }
}

#[cfg(test)]
mod tests;
