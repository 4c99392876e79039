//! From pods to the tasks for which they ask: workloads without the SDK ask nothing in ClearML, so that no list of its shows them.

use std::collections::BTreeSet;

use portico_core::{
    endpoint::TaskId,
    live::{Live, Publish},
    pods::Pods,
};
use tokio_util::sync::CancellationToken;

/// Keeps the ids of the tasks whose living pods ask for endpoints.
pub(super) async fn follow(mut pods: Live<Pods>, tasks: Publish<BTreeSet<TaskId>>, stop: CancellationToken) {
    loop {
        let asked = asked(&pods.get());
        if asked != *tasks.get() {
            tasks.publish(asked);
        }
        tokio::select! {
            changed = pods.changed() => if changed.is_none() { return },
            () = stop.cancelled() => return,
        }
    }
}

fn asked(pods: &Pods) -> BTreeSet<TaskId> {
    let asking = pods.live().iter().filter(|pod| !pod.requests.is_empty());
    asking.map(|pod| pod.task).collect()
}
