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
        let mut heard: BTreeMap<Arc<str>, (String, Timestamp)> = BTreeMap::new();
        let tell = |step: Step<'_, (Told, String)>| {
            let Step::Complete(known) = step else { return };
            let now = self.clock.now();
            heard.retain(|name, _| known.values().any(|(told, _)| told.gateway.name == *name));
            let mut all: Gateways = known
                .values()
                .map(|(told, renewed)| {
                    let name = told.gateway.name.clone();
                    let entry = heard
                        .entry(name)
                        .or_insert_with(|| (renewed.clone(), told.first_heard(now)));
                    if entry.0 != *renewed {
                        *entry = (renewed.clone(), now);
                    }
                    Gateway {
                        heard: entry.1,
                        ..told.gateway.clone()
                    }
                })
                .collect();
            all.sort_by(|one, other| one.name.cmp(&other.name));
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
