//! Ports from one to another.

use std::fmt;

use serde::{Deserialize, Serialize};

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
