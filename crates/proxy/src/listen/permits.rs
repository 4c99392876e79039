//! How many connections there may be: of all visitors, and of one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Shared by all threads.
#[derive(Debug)]
pub(crate) struct Permits {
    all: Arc<Semaphore>,
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

    /// Counts a connection under its address; `None`: there are too many from there.
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
}
