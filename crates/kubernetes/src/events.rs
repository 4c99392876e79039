//! Events on pods that are not dialed, where their owner looks first.

mod told;

use std::{sync::Arc, time::Duration};

use portico_core::{
    clock::Clock,
    live::Live,
    pods::{Pod, PodFault, PodRules, Pods},
};
use serde::de::IgnoredAny;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::{ApiError, Kube};
use told::{Outcome, Told};

/// After the server wrote no event at all.
const AGAIN: Duration = Duration::from_mins(1);
/// After a look at all pods. Pods change all the time, and nobody waits for an event.
const LOOK: Duration = Duration::from_secs(2);
/// The longest name of an object.
const LONGEST: usize = 253;

/// Tells the owners of pods that are not dialed why, until `shutdown`: one Event for each pod and reason, written again when
/// Kubernetes has forgotten it. `gateway` is the gateway's name.
pub async fn announce(
    kube: Kube,
    namespace: String,
    gateway: String,
    rules: PodRules,
    clock: Arc<dyn Clock>,
    mut pods: Live<Pods>,
    shutdown: CancellationToken,
) {
    let mut told = Told::default();
    let path = format!("/api/v1/namespaces/{namespace}/events");
    loop {
        let seen = pods.get();
        let faults: Vec<(String, &Arc<Pod>, PodFault)> = seen
            .faults(rules)
            .into_iter()
            .map(|(pod, fault)| (name(&gateway, pod, &fault), pod, fault))
            .collect();
        // What is over may be told again when it comes back.
        told.retain(faults.iter().map(|(name, ..)| name.as_str()));
        let mut is_refused = false;
        for (name, pod, fault) in &faults {
            if !told.is_due(name, Instant::now()) {
                continue;
            }
            let now = format!("{:.0}", clock.now());
            let event = json!({
                "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": "NotRouted",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": pod.name, "uid": pod.uid},
                "message": format!("the gateway {gateway} does not lead to this pod: {fault}"),
                "source": {"component": "portico"}, "firstTimestamp": now, "lastTimestamp": now, "count": 1,
            });
            let answer = tokio::select! {
                answer = kube.post::<IgnoredAny>(&path, &event) => answer,
                () = shutdown.cancelled() => return,
            };
            let outcome = match answer {
                Ok(_) => Outcome::Written,
                Err(error) if error.code() == Some(409) => Outcome::StandsThere,
                Err(error) => {
                    tracing::warn!(pod = %pod.name, %error, "an event was not written");
                    is_refused = is_about_all(&error);
                    Outcome::Refused
                }
            };
            if is_refused {
                break;
            }
            told.note(name, outcome, Instant::now());
        }
        // Who may not write events, or cannot, is not to try with each change.
        tokio::select! {
            () = tokio::time::sleep(if is_refused { AGAIN } else { LOOK }) => {}
            () = shutdown.cancelled() => return,
        }
        if is_refused {
            continue;
        }
        let next = told.next();
        tokio::select! {
            changed = pods.changed() => if changed.is_none() { return },
            () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// True if the next event would fare no better.
fn is_about_all(error: &ApiError) -> bool {
    match error {
        ApiError::Away(_) | ApiError::Timeout => true,
        ApiError::Refused { code, .. } => matches!(code, 401 | 403 | 429),
        ApiError::BadAnswer(_) => false,
    }
}

/// The same for the same matter, so that a gateway that starts anew does not tell everything twice.
fn name(gateway: &str, pod: &Pod, fault: &PodFault) -> String {
    let matter = format!("{gateway}/{}/{fault}", pod.uid);
    let digest = Sha256::digest(matter);
    let short = format!(
        "{:016x}",
        u64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default())
    );
    let named: String = pod.name.chars().take(LONGEST - 1 - short.len()).collect();
    // A name's parts end with a letter or digit.
    format!("{}.{short}", named.trim_end_matches(['-', '.']))
}

#[cfg(test)]
mod tests;
