//! Events on pods that are not dialed, where their owner looks first.

use std::{collections::HashSet, sync::Arc, time::Duration};

use portico_core::{
    clock::Clock,
    live::Live,
    pods::{Pod, PodFault, PodRules, Pods},
};
use serde::de::IgnoredAny;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::api::{ApiError, Kube};

/// After an event could not be written.
const AGAIN: Duration = Duration::from_mins(1);

/// Tells the owners of pods that are not dialed why, once for each pod and reason, until `shutdown`. `gateway` is the gateway's
/// name.
pub async fn announce(
    kube: Kube,
    namespace: String,
    gateway: String,
    rules: PodRules,
    clock: Arc<dyn Clock>,
    mut pods: Live<Pods>,
    shutdown: CancellationToken,
) {
    let mut told: HashSet<String> = HashSet::new();
    loop {
        let seen = pods.get();
        let faults: Vec<(String, &Arc<Pod>, PodFault)> = seen
            .faults(rules)
            .into_iter()
            .map(|(pod, fault)| (name(&gateway, pod, &fault), pod, fault))
            .collect();
        // What is over may be told again when it comes back.
        told.retain(|name| faults.iter().any(|(current, ..)| current == name));
        let mut is_refused = false;
        let news = faults.into_iter().filter(|(name, ..)| !told.contains(name));
        for (name, pod, fault) in news.collect::<Vec<_>>() {
            let now = format!("{:.0}", clock.now());
            let event = json!({
                "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": "NotRouted",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": pod.name, "uid": pod.uid},
                "message": format!("the gateway {gateway} does not lead to this pod: {fault}"),
                "source": {"component": "portico"}, "firstTimestamp": now, "lastTimestamp": now, "count": 1,
            });
            let path = format!("/api/v1/namespaces/{namespace}/events");
            match kube.post::<IgnoredAny>(&path, &event).await {
                Err(error) if !is_there(&error) => {
                    tracing::warn!(pod = %pod.name, %error, "an event was not written");
                    is_refused = true;
                    break;
                }
                _ => {
                    told.insert(name);
                }
            }
        }
        // Pods change all the time; who may not write events, or cannot, is not to try with each change.
        if is_refused {
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => continue,
                () = shutdown.cancelled() => return,
            }
        }
        tokio::select! {
            changed = pods.changed() => if changed.is_none() { return },
            () = shutdown.cancelled() => return,
        }
    }
}

fn is_there(error: &ApiError) -> bool {
    error.code() == Some(409)
}

/// The same for the same matter, so that a gateway that starts anew does not tell everything twice.
fn name(gateway: &str, pod: &Pod, fault: &PodFault) -> String {
    let matter = format!("{gateway}/{}/{fault}", pod.uid);
    let digest = Sha256::digest(matter);
    let short = u64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default());
    format!("{}.{short:016x}", pod.name)
}
