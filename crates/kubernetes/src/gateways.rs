//! The gateways of a namespace: each keeps a Lease that says who and where it is, and sees those of the others.

mod heard;
mod lease;
mod sight;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use portico_core::{
    clock::Clock,
    live::{Publish, live},
    observe::SourceHealth,
    ownership::Gateway,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{ApiError, Kube},
    watch::{Place, follow},
};
use heard::Heard;
use lease::write;
use sight::Sight;

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
    health: Publish<SourceHealth>,
}

impl GatewayLease {
    /// Nothing is asked yet.
    pub fn new(kube: Kube, settings: GatewaySettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            kube,
            settings,
            clock,
            health: live(SourceHealth::default()).0,
        }
    }

    /// `health` tells when the list of gateways was proven last – at least every 10 s while all is well –, and why it cannot be
    /// read. It says nothing of our own Lease's renewal.
    #[must_use]
    pub fn telling(self, health: Publish<SourceHealth>) -> Self {
        Self { health, ..self }
    }

    /// Renews our Lease and publishes all gateways, until `shutdown`. Silence is not published: ask [`Gateway::is_heard`].
    pub async fn run(self, gateways: Publish<Gateways>, shutdown: CancellationToken) {
        tokio::join!(self.renew(shutdown.clone()), self.watch(gateways, shutdown));
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

    async fn watch(&self, gateways: Publish<Gateways>, shutdown: CancellationToken) {
        let place = Place {
            path: self.path(),
            selector: "labelSelector=portico/gateway".to_owned(),
        };
        let mut sight = Sight {
            own_lease: &self.settings.lease,
            own: &self.settings.own,
            clock: &self.clock,
            gateways,
            health: &self.health,
            heard: Heard::default(),
            namesakes: BTreeSet::new(),
        };
        follow(&self.kube, &place, lease::read, |step| sight.take(&step), shutdown).await;
    }

    fn path(&self) -> String {
        format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
            self.settings.namespace
        )
    }
}
