//! What is allowed, once it is known which kind of server answers.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use portico_clearml::{FeatureSet, ServerFacts};
use portico_core::{
    dial::DialRules,
    live::{Live, Publish},
    port_range::PortRange,
    routes::Policy,
    streams::StreamPolicy,
};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, DiscoveryKind};

/// What must never be dialed because it leads to this gateway.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Listeners, on each address under which they are reached.
    pub listeners: Vec<SocketAddr>,
    /// The public ports of TCP endpoints, likewise.
    pub streams: Vec<(IpAddr, PortRange)>,
    /// Addresses of the ClearML server's machine.
    pub server: Vec<IpAddr>,
}

/// The policy for a server of which `facts` are known. Until its kind is known the stricter default holds.
pub fn policy(config: &Config, facts: &ServerFacts, own: &Own, exempt: &[SocketAddr]) -> Policy {
    let is_enterprise = facts.feature_set == Some(FeatureSet::Advanced);
    Policy {
        queues: config.discovery.queues.clone(),
        dial: DialRules {
            // Where pods are the truth, a task's own word counts nowhere.
            networks: match config.discovery.kind {
                DiscoveryKind::Host => config.discovery.networks.clone(),
                DiscoveryKind::Kubernetes => Vec::new(),
            },
            own: own.listeners.clone(),
            own_streams: own.streams.clone(),
            server: match config.discovery.kind {
                DiscoveryKind::Host if !config.discovery.allow_server_ports => own.server.clone(),
                // Pods have addresses of their own.
                DiscoveryKind::Host | DiscoveryKind::Kubernetes => Vec::new(),
            },
            exempt: exempt.to_vec(),
        },
        access: config.access.policy(is_enterprise),
        streams: config.streams.as_ref().map(|streams| StreamPolicy {
            host: streams.external.clone(),
            range: streams.range,
            admission: streams.admission,
        }),
    }
}

/// Publishes a new policy whenever the server turns out to be of another kind, until `stop`.
pub async fn follow(
    build: impl Fn(&ServerFacts) -> Policy,
    mut facts: Live<ServerFacts>,
    policy: Publish<Policy>,
    stop: CancellationToken,
) {
    let next = |facts: &Arc<ServerFacts>| {
        let new = build(facts);
        if new != *policy.get() {
            policy.publish(new);
        }
    };
    next(&facts.get());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = facts.changed() => match changed {
                Some(facts) => next(&facts),
                None => return,
            },
        }
    }
}
