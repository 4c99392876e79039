//! How many connections there may be: of all visitors, and of one address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Shared by all threads.
#[derive(Debug)]
pub(crate) struct Permits {
    all: Arc<Semaphore>,
    /// Of IPv6 by network.
    by_address: Mutex<HashMap<IpAddr, usize>>,
    per_address: usize,
}

/// One connection's permit.
#[derive(Debug)]
pub(crate) struct Permit {
    _one: OwnedSemaphorePermit,
    counted: Option<(Arc<Permits>, IpAddr)>,
}

impl Permits {
    pub(crate) fn new(all: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS))),
            by_address: Mutex::default(),
            per_address,
        })
    }

    /// Waits until there is room for one more; taken before a connection is accepted, so that the rest waits in the kernel.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.all.clone().acquire_owned().await.ok()
    }

    /// Room for one more, if there is any now.
    pub(crate) fn try_room(&self) -> Option<OwnedSemaphorePermit> {
        self.all.clone().try_acquire_owned().ok()
    }

    /// Counts a connection under its address, of IPv6 under its /64; `None`: there are too many from there.
    pub(crate) fn permit(
        self: &Arc<Self>,
        one: OwnedSemaphorePermit,
        address: IpAddr,
        is_exempt: bool,
    ) -> Option<Permit> {
        if is_exempt {
            return Some(Permit {
                _one: one,
                counted: None,
            });
        }
        let address = network(address);
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Permit {
            _one: one,
            counted: Some((self.clone(), address)),
        })
    }
}

/// Whoever has one IPv6 address has 2⁶⁴ of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some((permits, address)) = &self.counted else {
            return;
        };
        let mut counts = permits.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_cannot_take_all() {
        let permits = Permits::new(10, 2);
        let (greedy, other) = (
            "192.0.2.1".parse().expect("an address"),
            "192.0.2.2".parse().expect("an address"),
        );
        let mut held = Vec::new();
        for _ in 0..2 {
            let room = permits.room().await.expect("room");
            held.push(permits.permit(room, greedy, false).expect("within the limit"));
        }
        let room = permits.room().await.expect("room");
        assert!(permits.permit(room, greedy, false).is_none());
        let room = permits.room().await.expect("room");
        assert!(
            permits.permit(room, greedy, true).is_some(),
            "a proxy that is trusted speaks for many"
        );
        let room = permits.room().await.expect("room");
        assert!(permits.permit(room, other, false).is_some());
        held.pop();
        let room = permits.room().await.expect("room");
        assert!(permits.permit(room, greedy, false).is_some());
        drop(held);
        assert!(permits.by_address.lock().expect("free").is_empty());
        assert_eq!(permits.all.available_permits(), 10);
    }
    #[tokio::test]
    async fn a_network_of_ipv6_counts_as_one_address() {
        let permits = Permits::new(10, 2);
        let from = async |address: &str| {
            let room = permits.room().await.expect("room");
            permits.permit(room, address.parse().expect("an address"), false)
        };
        let first = from("2001:db8:1:2::1").await;
        let second = from("2001:db8:1:2:ffff::2").await;
        assert!(first.is_some() && second.is_some());
        assert!(from("2001:db8:1:2:3:4:5:6").await.is_none());
        assert!(from("2001:db8:1:3::1").await.is_some(), "another network");
        drop(first);
        assert!(from("2001:db8:1:2::7").await.is_some());
        // IPv4 counts by itself, however it is written.
        let held = (from("192.0.2.1").await, from("::ffff:192.0.2.1").await);
        assert!(from("192.0.2.1").await.is_none());
        assert!(from("::ffff:192.0.2.2").await.is_some());
        drop((second, held));
        assert!(permits.by_address.lock().expect("free").is_empty());
    }
}
