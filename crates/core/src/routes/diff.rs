//! What differs between two tables.

use std::sync::Arc;

use super::RouteTable;
use crate::endpoint::Endpoint;

/// The endpoints that came, went, or are another now (moved, or under another rule).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diff {
    /// In the new table only.
    pub added: Vec<Arc<Endpoint>>,
    /// In the old table only.
    pub removed: Vec<Arc<Endpoint>>,
    /// In both, but not the same; as they are now.
    pub changed: Vec<Arc<Endpoint>>,
}

impl Diff {
    /// True if both tables have the same endpoints.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl RouteTable {
    /// What differs from `older`. Costs little where the tables share shards.
    pub fn diff(&self, older: &Self) -> Diff {
        let mut diff = Diff::default();
        for (new, old) in self.shards.iter().zip(&older.shards) {
            if Arc::ptr_eq(new, old) {
                continue;
            }
            let reachable = |shard: &super::Shard| -> Vec<Arc<Endpoint>> {
                let routes = shard.values().flat_map(|task| &task.routes);
                let mut endpoints: Vec<_> = routes
                    .filter_map(|route| route.outcome.as_ref().ok().cloned())
                    .collect();
                endpoints.sort_by(|one, two| one.key.cmp(&two.key));
                endpoints
            };
            let (new, old) = (reachable(new), reachable(old));
            let find = |list: &[Arc<Endpoint>], endpoint: &Endpoint| {
                list.binary_search_by(|other| other.key.cmp(&endpoint.key))
                    .ok()
                    .and_then(|at| list.get(at).cloned())
            };
            for endpoint in &new {
                match find(&old, endpoint) {
                    None => diff.added.push(endpoint.clone()),
                    Some(before) if before != *endpoint => diff.changed.push(endpoint.clone()),
                    Some(_) => {}
                }
            }
            diff.removed
                .extend(old.into_iter().filter(|endpoint| find(&new, endpoint).is_none()));
        }
        diff
    }
}
