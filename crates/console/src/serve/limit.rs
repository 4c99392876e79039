//! How many connections one address has.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Counts by address.
#[derive(Clone)]
pub(super) struct Limit {
    most: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection's place; free again when dropped.
pub(super) struct Place(Option<(Limit, IpAddr)>);

impl Limit {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    /// A place for a connection from `address`; `None` if it has too many.
    pub(super) fn take(&self, address: IpAddr, is_counted: bool) -> Option<Place> {
        if !is_counted {
            return Some(Place(None));
        }
        let address = address.to_canonical();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Place(Some((self.clone(), address))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((limit, address)) = &self.0 else { return };
        let mut open = limit.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                open.remove(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_address_has_its_number_of_places_and_gets_them_back() {
        let limit = Limit::new(2);
        let (one, two) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let first = limit.take(one, true);
        let second = limit.take(IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()), true);
        assert!(first.is_some() && second.is_some());
        assert!(limit.take(one, true).is_none());
        assert!(limit.take(two, true).is_some() && limit.take(one, false).is_some());
        drop(first);
        assert!(limit.take(one, true).is_some());
        drop(second);
        assert!(limit.open.lock().unwrap().is_empty());
    }
}
