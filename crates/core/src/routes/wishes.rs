//! Which endpoints should have a public port.

use super::{Policy, RouteTable, derive::portless};
use crate::{
    endpoint::Protocol,
    observe::Observation,
    ports::{Leases, Wish},
};

impl RouteTable {
    /// The stream endpoints that could be reached if they had a public port, sorted: the question to
    /// [`allocate`](crate::ports::allocate). `leases` are those so far.
    pub fn wishes(observation: &Observation, policy: &Policy, leases: &Leases) -> Vec<Wish> {
        if policy.streams.is_none() {
            return Vec::new();
        }
        let asks = |protocol| move |request: &crate::observe::Request| request.protocol == protocol;
        let tasks = observation
            .tasks()
            .iter()
            .filter(|task| task.requests.iter().any(asks(Protocol::Tcp)));
        let candidates = tasks.flat_map(|task| portless(task, policy, leases));
        let wish = |candidate: super::derive::Candidate<'_>| {
            let way = candidate.outcome.ok()?;
            let target = way.target?;
            Some(Wish {
                key: candidate.key,
                hint: target.hint,
                rests_on_hint: target.rests_on_hint,
                fixed: way.ask.stream.fixed,
                upstream: target.upstream,
            })
        };
        candidates.filter_map(wish).collect()
    }
}
