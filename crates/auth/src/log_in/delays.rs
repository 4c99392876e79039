//! Whoever fails too often waits: longer each time, but only this account from this address. No account is ever locked.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use portico_core::clock::Timestamp;

use crate::digest::{self, Digest};

/// So many failures cost nothing.
const FREE: u32 = 5;
/// The longest wait.
const LONGEST: Duration = Duration::from_mins(1);
/// The longest wait where an address stands for many visitors: enough to stop guessing, too short to keep anybody out.
const LONGEST_SHARED: Duration = Duration::from_secs(2);
/// Failures are forgotten after this time.
const FORGOTTEN: Duration = Duration::from_mins(30);
/// So many pairs of account and address are remembered.
const ROOM: usize = 20_000;

/// The failures that count.
#[derive(Default)]
pub(super) struct Delays(Mutex<HashMap<Digest, Failures>>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Timestamp,
    not_before: Timestamp,
}

/// A try that has begun. It counts as a failure until it is told otherwise, so that many at once gain nothing.
#[derive(Clone, Copy)]
pub(super) struct Trial {
    key: Digest,
    before: Option<Failures>,
}

impl Delays {
    /// Begins a try, or says how many seconds are left until it may begin. `is_shared`: the address is a proxy's.
    pub(super) fn begin(&self, account: &str, address: IpAddr, is_shared: bool, now: Timestamp) -> Result<Trial, u64> {
        let key = key(account, address);
        let mut all = self.all();
        let before = all
            .get(&key)
            .copied()
            .filter(|failures| now.since(failures.last) < FORGOTTEN);
        if let Some(failures) = before {
            let left = failures.not_before.since(now);
            if !left.is_zero() {
                return Err(left.as_secs() + u64::from(left.subsec_nanos() > 0));
            }
        }
        make_room(&mut all, now);
        let count = before.map_or(0, |failures| failures.count).saturating_add(1);
        let failures = Failures {
            count,
            last: now,
            not_before: now.plus(delay(count, is_shared)),
        };
        all.insert(key, failures);
        Ok(Trial { key, before })
    }

    /// The try was right: everything is forgotten.
    pub(super) fn succeeded(&self, trial: &Trial) {
        self.all().remove(&trial.key);
    }

    /// Nobody knows whether the try was right: it did not happen.
    pub(super) fn undone(&self, trial: &Trial) {
        let mut all = self.all();
        match trial.before {
            Some(before) => all.insert(trial.key, before),
            None => all.remove(&trial.key),
        };
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Digest, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After `count` failures: nothing for the free ones, then 1, 2, 4 … seconds.
fn delay(count: u32, is_shared: bool) -> Duration {
    let longest = if is_shared { LONGEST_SHARED } else { LONGEST };
    match count.checked_sub(FREE) {
        None | Some(0) => Duration::ZERO,
        Some(beyond) => Duration::from_secs(1_u64.checked_shl(beyond - 1).unwrap_or(u64::MAX)).min(longest),
    }
}

/// Whoever has one IPv6 address has 2⁶⁴ of them. Upper and lower case are one account.
fn key(account: &str, address: IpAddr) -> Digest {
    let network = match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    };
    digest::of(&[account.to_lowercase().as_bytes(), network.to_string().as_bytes()])
}

fn make_room(all: &mut HashMap<Digest, Failures>, now: Timestamp) {
    if all.len() < ROOM {
        return;
    }
    all.retain(|_, failures| now.since(failures.last) < FORGOTTEN);
    if all.len() < ROOM {
        return;
    }
    // Those who failed least matter least: filling the memory does not buy a fresh start.
    if let Some(victim) = all
        .iter()
        .min_by_key(|(_, failures)| (failures.count, failures.last))
        .map(|(key, _)| *key)
    {
        all.remove(&victim);
    }
}

#[cfg(test)]
mod tests;
