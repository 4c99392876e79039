//! The gateways of a namespace: each keeps a Lease that says who and where it is, and sees those of the others.

mod lease;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use portico_core::{
    clock::{Clock, Timestamp},
    live::Publish,
    ownership::Gateway,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{ApiError, Kube},
    watch::{Place, Step, follow},
};
use lease::{Told, write};

/// How often a gateway says that it is there: a quarter of the silence that makes it lose its tasks.
const EVERY: Duration = Duration::from_secs(15);
/// After a failure.
const AGAIN: Duration = Duration::from_secs(3);

/// Which Lease is ours, and what it says.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// The namespace of the workloads, where the gateways meet.
    pub namespace: String,
    /// The Lease's name. It must be there: the chart creates it.
    pub lease: String,
    /// Who holds it: the pod's name.
    pub holder: String,
    /// What we say of ourselves; `since` and `heard` are not ours to say.
    pub own: Gateway,
}

/// All gateways of the namespace, sorted by name; what [`portico_core::ownership::owner`] decides from.
pub type Gateways = Vec<Gateway>;

/// Keeps our Lease and watches all.
pub struct GatewayLease {
    kube: Kube,
    settings: GatewaySettings,
    clock: Arc<dyn Clock>,
}

impl GatewayLease {
    /// Nothing is asked yet.
    pub fn new(kube: Kube, settings: GatewaySettings, clock: Arc<dyn Clock>) -> Self {
        Self { kube, settings, clock }
    }

    /// Renews our Lease and publishes all gateways, until `shutdown`. Silence is not published: ask [`Gateway::is_heard`].
    pub async fn run(self, gateways: Publish<Gateways>, shutdown: CancellationToken) {
        tokio::join!(self.renew(shutdown.clone()), self.watch(&gateways, shutdown));
    }

    async fn renew(&self, shutdown: CancellationToken) {
        let mut is_failing = false;
        loop {
            let outcome = self.renew_once().await;
            match &outcome {
                Ok(()) => is_failing = false,
                Err(error) => {
                    if !is_failing {
                        let lease = &self.settings.lease;
                        tracing::warn!(lease, %error, "the gateway's lease cannot be renewed; others will take its tasks");
                    }
                    is_failing = true;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(if outcome.is_ok() { EVERY } else { AGAIN }) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn renew_once(&self) -> Result<(), ApiError> {
        let path = format!("{}/{}", self.path(), self.settings.lease);
        let mut lease: Value = self.kube.get(&path).await?;
        write(&mut lease, &self.settings, self.clock.now());
        self.kube.put::<serde::de::IgnoredAny>(&path, &lease).await.map(drop)
    }

    async fn watch(&self, gateways: &Publish<Gateways>, shutdown: CancellationToken) {
        let place = Place {
            path: self.path(),
            selector: "labelSelector=portico/gateway".to_owned(),
        };
        let mut heard: BTreeMap<String, (String, Timestamp)> = BTreeMap::new();
        let tell = |step: Step<'_, (Told, String)>| {
            let Step::Complete(known) = step else { return };
            let now = self.clock.now();
            // By the Lease: two may give themselves one name.
            heard.retain(|lease, _| known.contains_key(lease));
            let all = known.iter().map(|(lease, (told, renewed))| {
                let entry = heard
                    .entry(lease.clone())
                    .or_insert_with(|| (renewed.clone(), told.first_heard(now)));
                if entry.0 != *renewed {
                    *entry = (renewed.clone(), now);
                }
                let heard = entry.1;
                (
                    lease.as_str(),
                    Gateway {
                        heard,
                        ..told.gateway.clone()
                    },
                )
            });
            let all = one_of_each_name(all.collect(), &self.settings.lease);
            if *gateways.get() != all {
                gateways.publish(all);
            }
        };
        follow(&self.kube, &place, lease::read, tell, shutdown).await;
    }

    fn path(&self) -> String {
        format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
            self.settings.namespace
        )
    }
}

/// The gateways, sorted by name. Of two with one name the one counts that is ours; otherwise the older, so that a copy takes nothing.
fn one_of_each_name(mut all: Vec<(&str, Gateway)>, own_lease: &str) -> Gateways {
    all.sort_by(|(one_lease, one), (other_lease, other)| {
        let place = |lease: &str, gateway: &Gateway| {
            (
                gateway.name.clone(),
                lease != own_lease,
                gateway.since,
                lease.to_owned(),
            )
        };
        place(one_lease, one).cmp(&place(other_lease, other))
    });
    all.dedup_by(|(_, later), (_, kept)| later.name == kept.name);
    all.into_iter().map(|(_, gateway)| gateway).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_gateways_of_one_name_our_own_counts_and_then_the_older() {
        let gateway = |name: &str, since: i64, url: &str| Gateway {
            name: name.into(),
            url: url.into(),
            streams: None,
            queues: Vec::new(),
            publishes: true,
            since: Timestamp::from_secs(since),
            heard: Timestamp::from_secs(100),
        };
        let all = vec![
            ("copy", gateway("main", 1, "theirs")),
            ("lease-of-main", gateway("main", 5, "ours")),
            ("x", gateway("other", 9, "young")),
            ("y", gateway("other", 2, "old")),
        ];
        let seen = one_of_each_name(all, "lease-of-main");
        let urls: Vec<&str> = seen.iter().map(|gateway| &*gateway.url).collect();
        assert_eq!(urls, ["ours", "old"]);
    }
}
