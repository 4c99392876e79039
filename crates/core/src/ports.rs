//! Public ports of stream endpoints: which exist, who holds them, which stand open.

mod allocate;
mod leases;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointId;

pub use allocate::{PortBook, Rules, Wish, allocate};
pub use leases::{Lease, Leases, Upstream};

/// A range of ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRange {
    /// The first port; at least 1.
    start: u16,
    /// The last port; not before the first.
    end: u16,
}

impl PortRange {
    /// `None` if the range would be empty or begin at 0.
    pub fn new(start: u16, end: u16) -> Option<Self> {
        (start > 0 && start <= end).then_some(Self { start, end })
    }

    /// The ports, in order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = u16> + ExactSizeIterator {
        let (start, count) = (self.start, self.end - self.start);
        (0..usize::from(count).saturating_add(1)).map(move |at| start + u16::try_from(at).unwrap_or(count))
    }

    /// True for a port of the range.
    pub fn contains(self, port: u16) -> bool {
        (self.start..=self.end).contains(&port)
    }

    /// The first port.
    pub fn start(self) -> u16 {
        self.start
    }

    /// The last port.
    pub fn end(self) -> u16 {
        self.end
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.start, self.end)
    }
}

/// What the data plane made of the ports that the route table names. An address is published only when its port stands open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenPorts {
    /// The ports that are listened on, and for whom.
    pub open: BTreeMap<u16, EndpointId>,
    /// The ports that could not be opened, and what the system said: somebody else has them.
    pub failed: BTreeMap<u16, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_both_of_its_ends() {
        let ports = |start, end| PortRange::new(start, end).map(|range| range.iter().collect::<Vec<_>>());
        assert_eq!(ports(5, 7), Some(vec![5, 6, 7]));
        assert_eq!(ports(65535, 65535), Some(vec![65535]));
        assert_eq!(ports(1, 65535).map(|all| all.len()), Some(65535));
        assert_eq!((ports(0, 3), ports(7, 5)), (None, None));
    }
}
