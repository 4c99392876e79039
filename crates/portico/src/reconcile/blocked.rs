//! Ports that the data plane cannot open, because another program has them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use portico_core::{clock::Timestamp, ports::OpenPorts};

/// A port that once stood open gets this long to do so again, before its endpoint is moved: its clients know it.
const PATIENCE: Duration = Duration::from_secs(10);
/// A port that was given up is not tried again before this. Without it, a port that only one endpoint wants would be tried without end.
const REST: Duration = Duration::from_secs(30);

/// Which ports are not to be given to anybody.
#[derive(Debug, Default)]
pub(super) struct Blocked {
    /// Ports that stood open, in this run or an earlier one.
    proven: BTreeSet<u16>,
    /// Since when a port fails.
    failing: BTreeMap<u16, Timestamp>,
    /// Until when a port is not tried again.
    resting: BTreeMap<u16, Timestamp>,
}

impl Blocked {
    /// `proven`: ports of an earlier run's leases.
    pub(super) fn new(proven: impl IntoIterator<Item = u16>) -> Self {
        Self {
            proven: proven.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The ports that are blocked now.
    pub(super) fn now(&mut self, ports: &OpenPorts, now: Timestamp) -> BTreeSet<u16> {
        self.proven.extend(ports.open.keys());
        self.failing.retain(|port, _| ports.failed.contains_key(port));
        self.resting
            .retain(|port, until| *until > now && !ports.open.contains_key(port));
        for port in ports.failed.keys() {
            let since = *self.failing.entry(*port).or_insert(now);
            if !self.proven.contains(port) || now.since(since) >= PATIENCE {
                self.proven.remove(port);
                self.resting.insert(*port, now.plus(REST));
            }
        }
        self.resting.keys().copied().collect()
    }

    /// Whether time alone may change the answer.
    pub(super) fn is_waiting(&self) -> bool {
        !self.failing.is_empty() || !self.resting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(open: &[u16], failed: &[u16]) -> OpenPorts {
        OpenPorts {
            open: open
                .iter()
                .map(|port| (*port, portico_core::endpoint::EndpointId(1)))
                .collect(),
            failed: failed.iter().map(|port| (*port, "address in use".to_owned())).collect(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    #[test]
    fn a_port_that_never_stood_open_is_given_up_at_once_and_tried_again_later() {
        let mut blocked = Blocked::default();
        assert_eq!(blocked.now(&ports(&[], &[9000]), at(0)), [9000].into());
        // Its endpoint has moved on: nobody tries the port any more.
        assert_eq!(blocked.now(&ports(&[9001], &[]), at(1)), [9000].into());
        assert!(blocked.is_waiting());
        assert_eq!(blocked.now(&ports(&[9001], &[]), at(30)), [].into());
        assert!(!blocked.is_waiting());
    }

    #[test]
    fn a_port_that_its_clients_know_gets_some_time() {
        for mut blocked in [Blocked::new([9000]), {
            let mut seen = Blocked::default();
            seen.now(&ports(&[9000], &[]), at(-1));
            seen
        }] {
            assert_eq!(blocked.now(&ports(&[], &[9000]), at(0)), [].into());
            assert!(blocked.is_waiting());
            assert_eq!(blocked.now(&ports(&[], &[9000]), at(9)), [].into());
            assert_eq!(blocked.now(&ports(&[], &[9000]), at(10)), [9000].into());
            // It counts as any other port then.
            assert_eq!(blocked.now(&ports(&[], &[]), at(40)), [].into());
            assert_eq!(blocked.now(&ports(&[], &[9000]), at(41)), [9000].into());
        }
    }

    #[test]
    fn a_port_that_opens_after_all_is_not_blocked() {
        let mut blocked = Blocked::new([9000]);
        blocked.now(&ports(&[], &[9000]), at(0));
        blocked.now(&ports(&[9000], &[]), at(5));
        assert_eq!(
            blocked.now(&ports(&[], &[9000]), at(11)),
            [].into(),
            "its time begins anew"
        );
    }
}
