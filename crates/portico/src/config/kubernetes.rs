//! What is said of Kubernetes: where pods are, where state is kept, and where this process is itself.

use std::time::Duration;

use super::{
    Config,
    forms::{DiscoveryKind, StateKind},
    reader::Reader,
    rules::{mistake, notice},
};

/// Where this process is, if it is a pod: from the variables that Kubernetes and the chart set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// `KUBERNETES_SERVICE_HOST`.
    pub host: Option<String>,
    /// `KUBERNETES_SERVICE_PORT`.
    pub port: Option<String>,
    /// `POD_NAME`.
    pub pod: Option<String>,
}

/// `discovery.kubernetes`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' documentation is the fields'")]
pub struct PodDiscovery {
    /// `None`: the gateway's own.
    pub namespace: Option<String>,
    pub lease: Option<String>,
    pub allow_host_network: bool,
    pub stale: Duration,
}

/// `state.kubernetes`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' documentation is the fields'")]
pub struct SecretPlace {
    /// `None`: the gateway's own.
    pub namespace: Option<String>,
    pub secret: String,
}

pub(super) fn discovery(read: &mut Reader, kind: DiscoveryKind) -> Option<PodDiscovery> {
    let pods = PodDiscovery {
        namespace: read.optional("discovery.kubernetes.namespace"),
        lease: read.optional("discovery.kubernetes.lease"),
        allow_host_network: read.value("discovery.kubernetes.allow_host_network"),
        stale: read.positive("discovery.kubernetes.stale"),
    };
    (kind == DiscoveryKind::Kubernetes).then_some(pods)
}

pub(super) fn state(read: &mut Reader) -> Option<SecretPlace> {
    let kind: StateKind = read.value("state.kind");
    let namespace = read.optional("state.kubernetes.namespace");
    let secret: Option<String> = match kind {
        StateKind::Kubernetes => read.required("state.kubernetes.secret"),
        StateKind::File => read.optional("state.kubernetes.secret"),
    };
    (kind == StateKind::Kubernetes).then(|| SecretPlace {
        namespace,
        secret: secret.unwrap_or_default(),
    })
}

/// Names of objects and namespaces that Kubernetes would refuse, and what has no effect.
pub(super) fn judge(config: &Config, read: &mut Reader) {
    for key in [
        "discovery.kubernetes.namespace",
        "discovery.kubernetes.lease",
        "state.kubernetes.namespace",
        "state.kubernetes.secret",
    ] {
        let name: Option<String> = read.optional(key);
        if name.is_some_and(|name| !is_name(&name)) {
            mistake(
                read,
                key,
                "is no name of an object in Kubernetes",
                "write lower-case letters, digits, hyphens and points, at most 200",
            );
        }
    }
    label(config, read);
    let (has_pods, has_secrets) = (config.discovery.kubernetes.is_some(), config.state.kubernetes.is_some());
    for (key, is_used) in [
        ("discovery.kubernetes.namespace", has_pods),
        ("discovery.kubernetes.lease", has_pods),
        ("discovery.kubernetes.allow_host_network", has_pods),
        ("discovery.kubernetes.stale", has_pods),
        ("state.kubernetes.namespace", has_secrets),
        ("state.kubernetes.secret", has_secrets),
    ] {
        if read.is_said(key) && !is_used {
            let section = key.split('.').next().unwrap_or_default();
            notice(read, key, format!("has no effect: {section}.kind is not kubernetes"));
        }
    }
    if has_pods && read.is_said("discovery.allow_server_ports") {
        notice(
            read,
            "discovery.allow_server_ports",
            "has no effect: with discovery.kind kubernetes only pods' own addresses are dialed",
        );
    }
    if has_pods && read.is_said("discovery.networks") {
        notice(
            read,
            "discovery.networks",
            "has no effect: with discovery.kind kubernetes only pods' own addresses are dialed",
        );
    }
    if has_secrets && read.is_said("state.path") {
        notice(read, "state.path", "has no effect: state.kind is kubernetes");
    }
}

/// The name stands in the Lease as a label. Names that are too short or too long are refused in any case.
fn label(config: &Config, read: &mut Reader) {
    let (name, pods) = (config.site.name.as_bytes(), &config.discovery.kubernetes);
    let has_lease = pods.as_ref().is_some_and(|pods| pods.lease.is_some());
    let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let is_end = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let is_label = name.iter().all(is_inner) && is_end(name.first()) && is_end(name.last());
    if has_lease && !is_label {
        mistake(
            read,
            "gateway.name",
            "cannot stand in the gateway's Lease as a label, by which the gateways of a namespace find each other",
            "write letters and digits, with hyphens, underscores and points between them",
        );
    }
}

fn is_name(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    (1..=200).contains(&bytes.len())
        && bytes.iter().all(|byte| is_inner(*byte))
        && is_end(bytes.first())
        && is_end(bytes.last())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::{
        DiscoveryKind,
        tests::{good, notices, only_mistake},
    };

    #[test]
    fn pods_and_secrets_are_understood_without_a_cluster() {
        let loaded = good(&[
            ("PORTICO__DISCOVERY__KIND", "kubernetes"),
            ("PORTICO__DISCOVERY__KUBERNETES__NAMESPACE", "workloads"),
            ("PORTICO__DISCOVERY__KUBERNETES__LEASE", "main-portico"),
            ("PORTICO__STATE__KIND", "kubernetes"),
            ("PORTICO__STATE__KUBERNETES__SECRET", "main-portico"),
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("KUBERNETES_SERVICE_PORT", "443"),
            ("POD_NAME", "main-portico-0"),
        ]);
        let config = &loaded.config;
        assert_eq!(config.discovery.kind, DiscoveryKind::Kubernetes);
        let pods = config.discovery.kubernetes.as_ref().expect("pods");
        assert_eq!(
            (
                pods.namespace.as_deref(),
                pods.lease.as_deref(),
                pods.allow_host_network,
                pods.stale,
            ),
            (Some("workloads"), Some("main-portico"), false, Duration::from_mins(10))
        );
        let secrets = config.state.kubernetes.as_ref().expect("secrets");
        assert_eq!((&*secrets.secret, secrets.namespace.as_deref()), ("main-portico", None));
        assert_eq!(config.state.path, None);
        assert_eq!(config.cluster.host.as_deref(), Some("10.0.0.1"));
        assert_eq!(config.cluster.pod.as_deref(), Some("main-portico-0"));
        assert_eq!(config.control.socket.to_str(), Some("/run/portico/control.sock"));
        assert!(!notices(&loaded).contains("memory"), "{}", notices(&loaded));
    }

    #[test]
    fn what_is_missing_wrong_or_without_effect_is_told() {
        let told = only_mistake(&[("PORTICO__STATE__KIND", "kubernetes")]);
        assert!(told.starts_with("state.kubernetes.secret: is not set"), "{told}");
        let told = only_mistake(&[
            ("PORTICO__DISCOVERY__KIND", "kubernetes"),
            ("PORTICO__DISCOVERY__KUBERNETES__LEASE", "../secrets/x"),
        ]);
        assert!(told.contains("is no name of an object"), "{told}");
        let told = notices(&good(&[("PORTICO__DISCOVERY__KUBERNETES__LEASE", "main")]));
        assert!(
            told.contains("has no effect: discovery.kind is not kubernetes"),
            "{told}"
        );
        let told = notices(&good(&[
            ("PORTICO__DISCOVERY__KIND", "kubernetes"),
            ("PORTICO__DISCOVERY__NETWORKS", "10.0.0.0/8"),
        ]));
        assert!(told.contains("only pods' own addresses are dialed"), "{told}");
    }

    #[test]
    fn a_name_that_is_no_label_is_refused_where_there_is_a_lease() {
        let kubernetes = ("PORTICO__DISCOVERY__KIND", "kubernetes");
        let lease = ("PORTICO__DISCOVERY__KUBERNETES__LEASE", "main-portico");
        for name in ["my gateway", "münchen", "-main", "main.", "a/b"] {
            let named = ("ROUTER_NAME", name);
            let told = only_mistake(&[named, kubernetes, lease]);
            assert!(told.contains("gateway.name") || told.contains("ROUTER_NAME"), "{told}");
            assert!(told.contains("as a label"), "{told}");
            good(&[named, kubernetes]);
            good(&[named]);
        }
        let longest = "m".repeat(63);
        for name in ["main", "Main_1.b-c", "9", &longest] {
            good(&[("ROUTER_NAME", name), kubernetes, lease]);
        }
        let told = only_mistake(&[("ROUTER_NAME", &"m".repeat(64)), kubernetes, lease]);
        assert!(told.contains("64 characters"), "{told}");
    }
}
