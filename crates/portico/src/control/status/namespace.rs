//! Kubernetes in the status: the pods that are seen, and the gateways beside this one.

use portico_core::{clock::Timestamp, observe::SourceHealth, ownership::Gateway};
use portico_kubernetes::StateReaders;
use serde::Serialize;

use crate::inside::ClusterSight;

/// So many gateways are shown to people; programs get all.
const SHOWN: usize = 20;
/// And so many accounts.
const SHOWN_ACCOUNTS: usize = 5;

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
    /// Who may read the gateway's keys; absent where they are in no Secret.
    pub(crate) state_readers: Option<Readers>,
}

/// The accounts of tasks' pods that may read the gateway's keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Readers {
    /// Absent while that is not known.
    pub(crate) accounts: Option<Vec<String>>,
    /// Of how many accounts the answer is known.
    pub(crate) asked: usize,
    /// How many are too many to be asked about.
    pub(crate) not_asked: usize,
    /// The gateway's own account may not ask.
    pub(crate) may_not_ask: bool,
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
            state_readers: sight.state_readers.as_ref().map(|readers| Readers::of(&readers.get())),
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
        if let Some(readers) = &self.state_readers {
            readers.lines(line);
        }
    }
}

impl Readers {
    fn of(told: &StateReaders) -> Self {
        let accounts = told.accounts.as_ref();
        Self {
            accounts: accounts.map(|accounts| accounts.iter().map(ToString::to_string).collect()),
            asked: told.asked,
            not_asked: told.not_asked,
            may_not_ask: told.may_not_ask,
        }
    }

    fn lines(&self, line: &mut impl FnMut(&str, String)) {
        let Self { asked, not_asked, .. } = self;
        let beyond = match not_asked {
            0 => String::new(),
            more => format!("; {more} more accounts were not asked about"),
        };
        match self.accounts.as_deref() {
            None if self.may_not_ask => line(
                "keys",
                "not known who may read them: the gateway's account may not create localsubjectaccessreviews".into(),
            ),
            None => line("keys", "not known yet who may read them".into()),
            Some([]) => line(
                "keys",
                format!("out of the reach of tasks' accounts, {asked} asked about{beyond}"),
            ),
            Some(accounts) => {
                let some = accounts.get(..SHOWN_ACCOUNTS).unwrap_or(accounts);
                let more = match accounts.len() - some.len() {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                line(
                    "warning",
                    format!(
                        "tasks' accounts may read the gateway's keys: {}{more}{beyond}; whoever runs a task with one can be anybody \
                         (docs/how-to/apart-from-the-workloads.md)",
                        some.join(", ")
                    ),
                );
            }
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

    fn told(namespace: &Namespace) -> String {
        let mut told = Vec::new();
        namespace.lines(&mut |what, words| told.push(format!("{what}: {words}")));
        told.join("\n")
    }

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

    #[test]
    fn who_may_read_the_gateways_keys_is_told() {
        let readers = |accounts: &[&str]| Readers {
            accounts: Some(accounts.iter().map(ToString::to_string).collect()),
            asked: 7,
            ..Readers::default()
        };
        let last = |readers| {
            let namespace = Namespace {
                state_readers: Some(readers),
                ..Namespace::default()
            };
            told(&namespace).lines().last().map(str::to_owned).unwrap_or_default()
        };
        assert_eq!(last(Readers::default()), "keys: not known yet who may read them");
        let may_not_ask = Readers {
            may_not_ask: true,
            ..Readers::default()
        };
        assert!(last(may_not_ask).contains("may not create localsubjectaccessreviews"));
        assert_eq!(
            last(readers(&[])),
            "keys: out of the reach of tasks' accounts, 7 asked about"
        );
        let many = Readers {
            not_asked: 3,
            ..readers(&["a", "b", "c", "d", "e", "f"])
        };
        assert_eq!(
            last(many),
            "warning: tasks' accounts may read the gateway's keys: a, b, c, d, e and 1 more; 3 more accounts were not asked about; \
             whoever runs a task with one can be anybody (docs/how-to/apart-from-the-workloads.md)"
        );
    }
}
