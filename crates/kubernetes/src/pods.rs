//! Which pods run tasks, seen by watching one namespace.

mod identity;
mod manifest;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use portico_core::{
    clock::{Clock, Timestamp},
    endpoint::TaskId,
    live::{Nudge, Publish, live},
    observe::SourceHealth,
    pods::{Pod, Pods},
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::Kube,
    health,
    watch::{Place, Step, follow},
};
use manifest::Manifest;

/// How long it is remembered that a task had a pod here.
const KEEPS_GONE: Duration = Duration::from_hours(24);
/// The most tasks of which that is remembered.
const MOST_GONE: usize = 10_000;

/// Which pods are watched.
#[derive(Clone, Debug)]
pub struct PodSettings {
    /// Their namespace.
    pub namespace: String,
    /// What the agent puts in front of the task's id to make a pod's name.
    pub prefix: String,
}

impl PodSettings {
    /// The agent's own prefix.
    pub const PREFIX: &str = "clearml-id-";

    /// The pods of this namespace, named as the agent does by default.
    pub fn of(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            prefix: Self::PREFIX.to_owned(),
        }
    }
}

/// The service accounts as which living pods of tasks run, by name.
pub type Accounts = BTreeSet<Arc<str>>;

/// Watches the pods of a namespace that carry the agent's label, and publishes those that live.
pub struct PodSource {
    kube: Kube,
    settings: PodSettings,
    clock: Arc<dyn Clock>,
    seen: Seen,
    accounts: Publish<Accounts>,
}

/// A living pod, and as which account it runs.
#[derive(PartialEq)]
struct Living {
    pod: Arc<Pod>,
    account: Arc<str>,
}

#[derive(Default)]
struct Seen {
    live: BTreeSet<TaskId>,
    gone: BTreeMap<TaskId, Timestamp>,
}

impl PodSource {
    /// `ours` are tasks that are known to have had a pod here, from before a restart.
    pub fn new(
        kube: Kube,
        settings: PodSettings,
        clock: Arc<dyn Clock>,
        ours: impl IntoIterator<Item = TaskId>,
    ) -> Self {
        let now = clock.now();
        let seen = Seen {
            gone: ours.into_iter().map(|task| (task, now)).collect(),
            ..Seen::default()
        };
        Self {
            kube,
            settings,
            clock,
            seen,
            accounts: live(Accounts::new()).0,
        }
    }

    /// `accounts` tells as which accounts the pods run.
    #[must_use]
    pub fn telling(self, accounts: Publish<Accounts>) -> Self {
        Self { accounts, ..self }
    }

    /// Watches until `shutdown`. Only complete lists are published; while the server cannot be asked, the last one stays.
    /// `health` tells when the list was proven last: at least every 10 s while all is well. `nudge` asks for a look at the tasks
    /// when pods have come or gone.
    pub async fn run(
        self,
        pods: Publish<Pods>,
        health: Publish<SourceHealth>,
        nudge: Nudge,
        shutdown: CancellationToken,
    ) {
        let Self {
            kube,
            settings,
            clock,
            mut seen,
            accounts,
        } = self;
        let place = Place {
            path: format!("/api/v1/namespaces/{}/pods", settings.namespace),
            selector: "labelSelector=CLEARML".to_owned(),
        };
        let living = |manifest: Manifest| {
            let account = manifest.account();
            let pod = manifest.living(&settings.prefix).map(Arc::new)?;
            Some(Living { pod, account })
        };
        let tell = |step: Step<'_, Living>| match step {
            Step::Complete(known) => {
                let used: Accounts = known.values().map(|living| living.account.clone()).collect();
                if *accounts.get() != used {
                    accounts.publish(used);
                }
                let now = seen.take(known, clock.now());
                if *pods.get() != now {
                    pods.publish(now);
                    nudge.nudge();
                }
            }
            Step::Proof => health::well(&health, "pods", clock.now()),
            Step::Failed(error) => health::failed(&health, "pods", error, clock.now()),
        };
        follow(&kube, &place, living, tell, shutdown).await;
    }
}

impl Seen {
    fn take(&mut self, known: &BTreeMap<String, Living>, now: Timestamp) -> Pods {
        let live: BTreeSet<TaskId> = known.values().map(|living| living.pod.task).collect();
        self.gone.extend(self.live.difference(&live).map(|task| (*task, now)));
        self.gone
            .retain(|task, since| !live.contains(task) && now.since(*since) < KEEPS_GONE);
        if self.gone.len() > MOST_GONE {
            let mut oldest: Vec<(Timestamp, TaskId)> = self.gone.iter().map(|(task, since)| (*since, *task)).collect();
            oldest.sort_unstable();
            for (_, task) in oldest.iter().take(self.gone.len() - MOST_GONE) {
                self.gone.remove(task);
            }
        }
        self.live = live;
        let pods = known.values().map(|living| living.pod.clone());
        Pods::new(pods.collect(), self.gone.keys().copied().collect())
    }
}
