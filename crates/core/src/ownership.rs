//! Which of several gateways publishes an endpoint, leases its port and withdraws. Pure, and equal everywhere: every gateway
//! decides alone, and all come to the same answer.

use std::{sync::Arc, time::Duration};

use crate::clock::Timestamp;

/// A gateway that has not been heard of for so long loses its tasks.
pub const SILENCE: Duration = Duration::from_mins(1);

/// What a gateway says of itself to the others of its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its name, unique in the namespace.
    pub name: Arc<str>,
    /// Where visitors find it.
    pub url: Arc<str>,
    /// Where visitors find its streams, and on which ports; `None` if it has none.
    pub streams: Option<StreamPlace>,
    /// The queues that it serves; empty = all.
    pub queues: Vec<Arc<str>>,
    /// Whether it writes into tasks at all.
    pub publishes: bool,
    /// Since when there is a gateway of this name.
    pub since: Timestamp,
    /// When it was heard of last, by the clock of whoever asks.
    pub heard: Timestamp,
}

/// Where a gateway's streams are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPlace {
    /// The host or address.
    pub address: Arc<str>,
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl Gateway {
    /// True if tasks of this queue are its business.
    pub fn serves(&self, queue: Option<&str>) -> bool {
        self.queues.is_empty() || self.names(queue)
    }

    fn names(&self, queue: Option<&str>) -> bool {
        queue.is_some_and(|queue| self.queues.iter().any(|served| **served == *queue))
    }

    /// True if it was heard of lately.
    pub fn is_heard(&self, now: Timestamp) -> bool {
        now.since(self.heard) < SILENCE
    }
}

/// Which gateway owns a task's endpoints: (1) the one that the task names; (2) one whose queue filter names the queue before one
/// without a filter; (3) the older one, then the one whose name comes first. Gateways that are silent, do not publish or do not
/// serve the queue own nothing.
pub fn owner<'g>(
    gateways: &'g [Gateway],
    named: Option<&str>,
    queue: Option<&str>,
    now: Timestamp,
) -> Option<&'g Gateway> {
    let able = gateways
        .iter()
        .filter(|gateway| gateway.publishes && gateway.is_heard(now) && gateway.serves(queue));
    able.min_by_key(|gateway| {
        let is_named = named.is_some_and(|named| *named == *gateway.name);
        (!is_named, !gateway.names(queue), gateway.since, gateway.name.clone())
    })
}

/// True if an address that stands in a task belongs to one of these gateways: then the task is routed already.
pub fn is_anothers(gateways: &[Gateway], own: &str, address: &str) -> bool {
    let mut others = gateways.iter().filter(|gateway| *gateway.name != *own);
    others.any(|gateway| {
        let url = gateway.url.trim_end_matches('/');
        let is_url = address
            .strip_prefix(url)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let is_stream = gateway.streams.as_ref().is_some_and(|place| *place.address == *address);
        (is_url && !url.is_empty()) || is_stream
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gateway(name: &str, since: i64, queues: &[&str]) -> Gateway {
        Gateway {
            name: name.into(),
            url: format!("https://{name}.example").into(),
            streams: None,
            queues: queues.iter().map(|queue| Arc::from(*queue)).collect(),
            publishes: true,
            since: Timestamp::from_secs(since),
            heard: Timestamp::from_secs(1000),
        }
    }

    fn name(gateways: &[Gateway], named: Option<&str>, queue: Option<&str>) -> Option<String> {
        owner(gateways, named, queue, Timestamp::from_secs(1010)).map(|owner| owner.name.to_string())
    }

    #[test]
    fn the_older_gateway_owns_then_the_name_decides() {
        let two = [gateway("b", 1, &[]), gateway("a", 2, &[])];
        assert_eq!(name(&two, None, None).as_deref(), Some("b"));
        let same_age = [gateway("b", 1, &[]), gateway("a", 1, &[])];
        assert_eq!(name(&same_age, None, Some("q")).as_deref(), Some("a"));
    }

    #[test]
    fn a_filter_that_names_the_queue_comes_before_none() {
        let two = [gateway("old", 1, &[]), gateway("gpu", 2, &["gpu"])];
        assert_eq!(name(&two, None, Some("gpu")).as_deref(), Some("gpu"));
        assert_eq!(name(&two, None, Some("cpu")).as_deref(), Some("old"));
        assert_eq!(name(&two[1..], None, Some("cpu")), None, "nobody serves it");
        assert_eq!(name(&two[1..], None, None), None, "a filter serves no unknown queue");
    }

    #[test]
    fn the_task_may_name_its_gateway_if_it_serves_the_task() {
        let two = [
            gateway("old", 1, &[]),
            gateway("new", 2, &[]),
            gateway("gpu", 3, &["gpu"]),
        ];
        assert_eq!(name(&two, Some("new"), Some("gpu")).as_deref(), Some("new"));
        assert_eq!(name(&two, Some("gpu"), Some("cpu")).as_deref(), Some("old"));
        assert_eq!(name(&two, Some("nobody"), None).as_deref(), Some("old"));
    }

    #[test]
    fn silent_gateways_and_trials_own_nothing() {
        let mut trial = gateway("trial", 1, &[]);
        trial.publishes = false;
        let mut silent = gateway("silent", 2, &[]);
        silent.heard = Timestamp::from_secs(950);
        let young = gateway("young", 3, &[]);
        let all = [trial, silent, young];
        assert_eq!(name(&all, Some("trial"), None).as_deref(), Some("young"));
        assert_eq!(name(&all[..2], None, None), None);
    }

    #[test]
    fn a_gateway_is_silent_after_a_minute_not_before() {
        let one = gateway("a", 1, &[]);
        assert!(one.is_heard(Timestamp::from_secs(1059)));
        assert!(!one.is_heard(Timestamp::from_secs(1060)));
    }

    #[test]
    fn an_address_of_another_gateway_is_known() {
        let mut other = gateway("other", 1, &[]);
        other.streams = Some(StreamPlace {
            address: "streams.example".into(),
            first: 1,
            last: 2,
        });
        let all = [other, gateway("own", 2, &[])];
        assert!(is_anothers(&all, "own", "https://other.example/service/x/"));
        assert!(is_anothers(&all, "own", "https://other.example"));
        assert!(is_anothers(&all, "own", "streams.example"));
        assert!(!is_anothers(&all, "own", "https://other.example.evil/"));
        assert!(!is_anothers(&all, "own", "https://own.example/service/x/"));
        assert!(!is_anothers(&all, "other", "https://other.example/service/x/"));
    }

    proptest! {
        #[test]
        fn everybody_comes_to_the_same_owner_in_whatever_order_they_see_the_gateways(
            facts in proptest::collection::vec((0..3_i64, 0..3_usize, any::<bool>()), 0..6),
            rotation in 0..6_usize,
        ) {
            let mut gateways: Vec<Gateway> = facts
                .iter()
                .enumerate()
                .map(|(at, (since, filter, publishes))| {
                    let queues: &[&str] = [&[][..], &["q"], &["other"]][*filter];
                    Gateway { publishes: *publishes, ..gateway(&format!("g{at}"), *since, queues) }
                })
                .collect();
            let one = name(&gateways, Some("g1"), Some("q"));
            if !gateways.is_empty() {
                let by = rotation % gateways.len();
                gateways.rotate_left(by);
            }
            prop_assert_eq!(one, name(&gateways, Some("g1"), Some("q")));
        }
    }
}
