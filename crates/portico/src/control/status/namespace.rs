//! Kubernetes in the status: the pods that are seen, and the gateways beside this one.

use portico_core::{clock::Timestamp, observe::SourceHealth, ownership::Gateway};
use serde::Serialize;

use crate::inside::ClusterSight;

/// So many gateways are shown to people; programs get all.
const SHOWN: usize = 20;

/// The namespace whose tasks are served.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Namespace {
    pub(crate) name: String,
    /// Pods of tasks that live.
    pub(crate) pods: usize,
    pub(crate) proven_seconds_ago: Option<u64>,
    /// Since when the pods cannot be watched, and why.
    pub(crate) failing: Option<String>,
    /// All that keep a Lease in the namespace, this one included.
    pub(crate) gateways: Vec<Beside>,
    /// Since when their Leases cannot be watched, and why.
    pub(crate) gateways_failing: Option<String>,
}

/// One gateway of the namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Beside {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) publishes: bool,
    /// The queues that it serves; empty = all.
    pub(crate) queues: Vec<String>,
    pub(crate) heard_seconds_ago: u64,
}

impl Namespace {
    pub(super) fn of(sight: &ClusterSight, now: Timestamp) -> Self {
        let (health, gateway_health) = (sight.health.get(), sight.gateway_health.get());
        let beside = |gateway: &Gateway| Beside {
            name: gateway.name.to_string(),
            url: gateway.url.to_string(),
            publishes: gateway.publishes,
            queues: gateway.queues.iter().map(ToString::to_string).collect(),
            heard_seconds_ago: now.since(gateway.heard).as_secs(),
        };
        Self {
            name: sight.namespace.to_string(),
            pods: sight.pods.get().live().len(),
            proven_seconds_ago: health.observed.map(|at| now.since(at).as_secs()),
            failing: failing(&health),
            gateways: sight.gateways.get().iter().map(beside).collect(),
            gateways_failing: failing(&gateway_health),
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.failing.is_none() && self.gateways_failing.is_none()
    }

    pub(super) fn lines(&self, line: &mut impl FnMut(&str, String)) {
        let seen = match (&self.failing, self.proven_seconds_ago) {
            (Some(why), _) => format!("cannot be watched {why}; those that were seen last count"),
            (None, Some(seconds)) => format!("seen {seconds} s ago"),
            (None, None) => "not seen yet".to_owned(),
        };
        let Self { name, pods, .. } = self;
        line("pods", format!("{pods} of tasks in the namespace {name}, {seen}"));
        if let Some(why) = &self.gateways_failing {
            line("gateways", format!("their Leases cannot be watched {why}"));
        }
        for (at, gateway) in self.gateways.iter().take(SHOWN).enumerate() {
            line(if at == 0 { "gateways" } else { "" }, gateway.words());
        }
        if self.gateways.len() > SHOWN {
            line("", format!("and {} more: see --json", self.gateways.len() - SHOWN));
        }
    }
}

impl Beside {
    fn words(&self) -> String {
        let queues = match &self.queues[..] {
            [] => "all queues".to_owned(),
            queues => format!("queues {}", queues.join(", ")),
        };
        let writes = if self.publishes { "" } else { ", writes nothing" };
        let Self { name, url, .. } = self;
        format!(
            "{name} at {url}, {queues}{writes}, heard of {} s ago",
            self.heard_seconds_ago
        )
    }
}

fn failing(health: &SourceHealth) -> Option<String> {
    let failing = health.failing.as_ref()?;
    Some(format!(
        "since {:.0} ({}: {})",
        failing.since, failing.reason, failing.detail
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_and_its_gateways_are_told() {
        let gateway = |name: &str, queues: &[&str], publishes| Beside {
            name: name.to_owned(),
            url: format!("https://{name}.example.com"),
            publishes,
            queues: queues.iter().map(|queue| (*queue).to_owned()).collect(),
            heard_seconds_ago: 3,
        };
        let mut namespace = Namespace {
            name: "workloads".to_owned(),
            pods: 7,
            proven_seconds_ago: Some(2),
            gateways: vec![gateway("main", &[], true), gateway("trial", &["gpu", "cpu"], false)],
            ..Namespace::default()
        };
        let told = |namespace: &Namespace| {
            let mut told = Vec::new();
            namespace.lines(&mut |what, words| told.push(format!("{what}: {words}")));
            told.join("\n")
        };
        assert!(namespace.is_good());
        assert_eq!(
            told(&namespace),
            "pods: 7 of tasks in the namespace workloads, seen 2 s ago\n\
             gateways: main at https://main.example.com, all queues, heard of 3 s ago\n\
             : trial at https://trial.example.com, queues gpu, cpu, writes nothing, heard of 3 s ago"
        );
        namespace.failing = Some("since 3 o'clock (timeout: late)".to_owned());
        assert!(!namespace.is_good());
        assert!(
            told(&namespace).contains("cannot be watched since 3 o'clock"),
            "{}",
            told(&namespace)
        );
    }
}
