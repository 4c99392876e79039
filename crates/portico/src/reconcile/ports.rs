//! Which endpoint gets which public port, and from when on. Pure.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use portico_core::{
    clock::Timestamp,
    observe::Observation,
    ports::{Leases, PortBook, Rules, allocate},
    refusal::Refusal,
    routes::{Policy, RouteTable},
};

/// The leases as they should be, from those that are recorded. Without a range nothing changes: it may come back.
pub(super) fn wanted(
    observation: &Observation,
    policy: &Policy,
    recorded: &Arc<Leases>,
    cooling: Duration,
    blocked: &BTreeSet<u16>,
    now: Timestamp,
) -> PortBook {
    let Some(streams) = &policy.streams else {
        return unchanged(recorded);
    };
    let wishes = RouteTable::wishes(observation, policy, recorded);
    let rules = Rules {
        range: streams.range,
        cooling,
    };
    allocate(&wishes, recorded, &rules, blocked, now)
}

/// Only what is recorded already.
pub(super) fn unchanged(recorded: &Arc<Leases>) -> PortBook {
    PortBook {
        leases: recorded.clone(),
        ..PortBook::default()
    }
}

/// What another process has recorded. Whom `before` refused a port stays without, unless that process has leased one since.
pub(super) fn followed(recorded: &Arc<Leases>, before: &PortBook) -> PortBook {
    let port = |leases: &Leases, key| leases.of(key).map(|lease| lease.port);
    let is_as_before = |key| port(recorded, key) == port(&before.leases, key);
    let refused = before.refused.iter().filter(|(key, _)| is_as_before(key));
    PortBook {
        leases: recorded.clone(),
        refused: refused.map(|(key, why)| (key.clone(), why.clone())).collect(),
    }
}

/// What may be used of `wanted` while only `recorded` is written down: a port that nobody would remember is given to nobody.
pub(super) fn usable(wanted: &PortBook, recorded: &Arc<Leases>) -> PortBook {
    let mut book = PortBook {
        leases: recorded.clone(),
        refused: wanted.refused.clone(),
    };
    for lease in wanted.leases.iter().filter(|lease| lease.cooling_until.is_none()) {
        let has_it = recorded.of(&lease.key).is_some_and(|held| held.port == lease.port);
        if !has_it {
            book.refused.insert(lease.key.clone(), Refusal::PortPending);
        }
    }
    book
}
