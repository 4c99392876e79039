//! How many addresses are one user's: whoever has an IPv6 network has more than there is room for.

use std::{collections::HashMap, net::IpAddr};

use portico_core::{
    clock::Timestamp,
    principal::{CompanyId, User, UserId},
};

/// How many addresses are remembered of one user.
pub(super) const ADDRESSES_OF_ONE: usize = 64;
/// How many users' addresses are counted.
const USERS: usize = 16 * 1024;

/// The addresses of each user, and when somebody last came from there.
#[derive(Default)]
pub(super) struct Places(HashMap<(CompanyId, UserId), Vec<(IpAddr, Timestamp)>>);

impl Places {
    /// A user came from this address. Returns the one to be forgotten for it, if there are too many.
    pub(super) fn came(&mut self, user: &User, address: IpAddr, now: Timestamp) -> Option<IpAddr> {
        let key = (user.company.clone(), user.id.clone());
        if self.0.len() >= USERS && !self.0.contains_key(&key) {
            self.forget_half();
        }
        let places = self.0.entry(key).or_default();
        if let Some((_, last)) = places.iter_mut().find(|(known, _)| *known == address) {
            *last = now;
            return None;
        }
        let oldest = (places.len() >= ADDRESSES_OF_ONE)
            .then(|| places.iter().enumerate().min_by_key(|(_, (_, last))| *last))
            .flatten()
            .map(|(at, _)| at);
        let gone = oldest.map(|at| places.swap_remove(at).0);
        places.push((address, now));
        gone
    }

    /// Keeps what is known of.
    pub(super) fn retain(&mut self, is_known: impl Fn(&CompanyId, &UserId, IpAddr) -> bool) {
        self.0.retain(|(company, user), places| {
            places.retain(|(address, _)| is_known(company, user, *address));
            !places.is_empty()
        });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Those who came last are counted on.
    fn forget_half(&mut self) {
        let newest = |places: &[(IpAddr, Timestamp)]| places.iter().map(|(_, last)| *last).max();
        let mut times: Vec<_> = self.0.values().map(|places| newest(places)).collect();
        let middle = times.len() / 2;
        let (_, middle, _) = times.select_nth_unstable(middle);
        let middle = *middle;
        let mut spare = USERS / 2;
        self.0.retain(|_, places| {
            let is_kept = newest(places) >= middle && spare > 0;
            spare -= usize::from(is_kept);
            is_kept
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panic")]

    use portico_core::{principal::Method, secret::Secret};

    use super::*;

    #[test]
    fn users_without_number_are_not_counted_for_ever() {
        let mut places = Places::default();
        for number in 0..USERS * 3 {
            let user = User {
                id: UserId::new(format!("u{number}")),
                company: CompanyId::new("c"),
                name: "u".into(),
                is_administrator: false,
                method: Method::Session,
                session: None,
                expires: None,
                token: Secret::default(),
            };
            let at = Timestamp::from_secs(i64::try_from(number / 100).unwrap());
            places.came(&user, "192.0.2.1".parse().unwrap(), at);
        }
        assert!(places.0.len() <= USERS);
        assert!(places.0.len() >= USERS / 2);
        let newest = UserId::new(format!("u{}", USERS * 3 - 1));
        assert!(places.0.contains_key(&(CompanyId::new("c"), newest)));
    }
}
