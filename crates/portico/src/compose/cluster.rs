//! Kubernetes: the connection, state in Secrets, and what is seen of the pods and of other gateways.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use portico_core::{
    endpoint::TaskId,
    live::{Live, Nudge, live},
    observe::{Observation, SourceHealth},
    ownership::{Assigned, Gateway, StreamPlace},
    pods::{Joined, PodRules, Pods},
    state::StateStore,
};
use portico_kubernetes::{
    ACCOUNT, Accounts, GatewayLease, GatewaySettings, Gateways, Kube, PodSettings, PodSource, ReviewSettings,
    SecretNames, SecretStore, Settings, StateReaders, announce, connect, review,
};

use super::{Ground, joining::Joining, run};
use crate::{
    config::{Config, PodDiscovery, Publish, SecretPlace},
    inside::ClusterSight,
    supervise::Supervisor,
};

/// How long the first list of gateways is waited for. Without it, tasks are served as if there were no others.
const GATEWAYS: Duration = Duration::from_secs(30);

/// A connection to the cluster that this process runs in.
#[derive(Clone)]
pub(super) struct Cluster {
    kube: Kube,
    /// The gateway's own namespace.
    namespace: String,
    /// The gateway's pod.
    pod: String,
}

impl Cluster {
    /// `None` if nothing of the configuration needs one. Nothing is asked yet.
    pub(super) fn connect(config: &Config) -> anyhow::Result<Option<Self>> {
        if config.discovery.kubernetes.is_none() && config.state.kubernetes.is_none() {
            return Ok(None);
        }
        let place = &config.cluster;
        let (Some(host), Some(port)) = (&place.host, &place.port) else {
            anyhow::bail!(
                "the configuration asks for Kubernetes, but KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this \
                 is no pod"
            );
        };
        let file = Path::new(ACCOUNT).join("namespace");
        let namespace = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        Ok(Some(Self {
            kube: connect(&Settings::in_cluster(host, port))?,
            namespace: namespace.trim().to_owned(),
            pod: place.pod.clone().unwrap_or_else(|| config.site.name.clone()),
        }))
    }

    /// State in four Secrets: neither the keys of all sessions nor the large observation is read with the rest, and leases, which
    /// tasks cause, cannot fill the place of revocations.
    pub(super) fn store(&self, place: &SecretPlace) -> Arc<dyn StateStore> {
        let own = [
            portico_auth::keys::DOCUMENT,
            super::kept_observation::DOCUMENT,
            crate::reconcile::DOCUMENT,
        ];
        let names = SecretNames {
            own: own
                .map(|document| (document.to_owned(), secret(place, document)))
                .into(),
            others: secret(place, "state"),
        };
        Arc::new(SecretStore::new(self.kube.clone(), self.namespace_of(place), names))
    }

    fn namespace_of<'a>(&'a self, place: &'a SecretPlace) -> &'a str {
        place.namespace.as_ref().unwrap_or(&self.namespace)
    }

    /// Which of these accounts of tasks' pods may read the keys of all sessions. `None` where they are in no Secret.
    fn review(
        &self,
        ground: &Ground,
        workloads: &str,
        accounts: Live<Accounts>,
        supervisor: &mut Supervisor,
    ) -> Option<Live<StateReaders>> {
        let place = ground.config.state.kubernetes.as_ref()?;
        let settings = ReviewSettings {
            workloads: workloads.to_owned(),
            namespace: self.namespace_of(place).to_owned(),
            secret: secret(place, portico_auth::keys::DOCUMENT),
        };
        let (publish, readers) = live(StateReaders::default());
        supervisor.control(
            "who may read the keys",
            run(review(
                self.kube.clone(),
                settings,
                accounts,
                publish,
                ground.stop.clone(),
            )),
        );
        Some(readers)
    }

    /// The tasks as their pods show them. `ours` had pods here before a restart.
    pub(super) fn observe(
        &self,
        ground: &Ground,
        discovery: &PodDiscovery,
        (tasks, task_health): (Live<Observation>, Live<SourceHealth>),
        ours: Vec<TaskId>,
        nudge: &Nudge,
        supervisor: &mut Supervisor,
    ) -> (Live<Observation>, Live<SourceHealth>, ClusterSight) {
        let Ground {
            config, clock, stop, ..
        } = ground;
        let namespace = discovery.namespace.as_ref().unwrap_or(&self.namespace);
        let rules = PodRules {
            allows_host_network: discovery.allow_host_network,
        };
        let (publish_pods, pods) = live(Pods::default());
        let (publish_pod_health, pod_health) = live(SourceHealth::default());
        let (publish_accounts, accounts) = live(Accounts::new());
        let state_readers = self.review(ground, namespace, accounts, supervisor);
        let source = PodSource::new(self.kube.clone(), PodSettings::of(namespace), clock.clone(), ours);
        let source = source.telling(publish_accounts);
        supervisor.control(
            "pods",
            run(source.run(publish_pods, publish_pod_health, nudge.clone(), stop.clone())),
        );
        supervisor.control(
            "events on pods",
            run(announce(
                self.kube.clone(),
                namespace.clone(),
                config.site.name.clone(),
                rules,
                clock.clone(),
                pods.clone(),
                // By other settings, another pod may be at fault.
                supervisor.drain(),
            )),
        );
        let (publish_gateways, gateways) = live(Gateways::new());
        let (publish_gateway_health, gateway_health) = live(SourceHealth::default());
        if let Some(lease) = &discovery.lease {
            let settings = GatewaySettings {
                namespace: namespace.clone(),
                lease: lease.clone(),
                holder: self.pod.clone(),
                own: own(config),
            };
            let lease = GatewayLease::new(self.kube.clone(), settings, clock.clone()).telling(publish_gateway_health);
            // Whoever drains has a successor, which speaks for the gateway from now on – or nobody, and others take its tasks.
            supervisor.control("gateways", run(lease.run(publish_gateways, supervisor.drain())));
        }
        let sight = ClusterSight {
            namespace: namespace.as_str().into(),
            pods: pods.clone(),
            health: pod_health.clone(),
            gateways: gateways.clone(),
            gateway_health: gateway_health.clone(),
            tasks: tasks.clone(),
            state_readers,
        };
        let (observation, seen) = live(Observation::default());
        let (health, known) = live(SourceHealth::default());
        let joining = Joining {
            tasks,
            task_health,
            pods,
            pod_health,
            gateways,
            gateway_health,
            waits_until: discovery.lease.as_ref().map(|_| clock.now().plus(GATEWAYS)),
            name: config.site.name.as_str().into(),
            rules,
            stale: discovery.stale,
            was_stale: false,
            joined: Joined::default(),
            assigned: Assigned::default(),
            clock: clock.clone(),
            observation,
            health,
        };
        supervisor.control("tasks and pods", run(joining.run(stop.clone())));
        (seen, known, sight)
    }
}

/// The name of the Secret that holds a document.
fn secret(place: &SecretPlace, document: &str) -> String {
    format!("{}-{document}", place.secret)
}

/// What we say of ourselves.
fn own(config: &Config) -> Gateway {
    Gateway {
        name: config.site.name.as_str().into(),
        url: config.site.router.as_str().into(),
        streams: config.streams.as_ref().map(|streams| StreamPlace {
            address: streams.external.clone(),
            first: streams.range.start(),
            last: streams.range.end(),
        }),
        queues: config
            .discovery
            .queues
            .iter()
            .map(|queue| queue.as_str().into())
            .collect(),
        publishes: config.publish == Publish::Always,
        since: portico_core::clock::Timestamp::default(),
        heard: portico_core::clock::Timestamp::default(),
    }
}
