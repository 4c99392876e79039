//! Which accounts of tasks' pods may read the gateway's keys, as the API server says. None should: whoever runs a task with such an
//! account can act as any visitor.

mod known;

use std::sync::Arc;

use portico_core::live::{Live, Publish};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{ApiError, Kube},
    pods::Accounts,
};
use known::Known;

/// Each of these hands out what a Secret holds.
const READING: [&str; 3] = ["get", "list", "watch"];

/// Whose rights are asked about, and to what.
#[derive(Clone, Debug)]
pub struct ReviewSettings {
    /// The namespace of the tasks' pods, and so of their accounts.
    pub workloads: String,
    /// The namespace of the gateway's state.
    pub namespace: String,
    /// The Secret there that holds its keys.
    pub secret: String,
}

/// What is known of who may read the gateway's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateReaders {
    /// The accounts of tasks' pods that may, sorted. `None` while that is not known; nobody is named only when all were asked about.
    pub accounts: Option<Vec<Arc<str>>>,
    /// Of how many accounts the answer is known.
    pub asked: usize,
    /// How many accounts are too many to be asked about.
    pub not_asked: usize,
    /// The gateway's own account may not ask.
    pub may_not_ask: bool,
}

/// Asks about each of these accounts when it appears and every 10 minutes, one after the other, until `shutdown`. An answer stays
/// while the server cannot be asked. An account that may read the keys is told in the log, once.
pub async fn review(
    kube: Kube,
    settings: ReviewSettings,
    mut accounts: Live<Accounts>,
    readers: Publish<StateReaders>,
    shutdown: CancellationToken,
) {
    let path = format!(
        "/apis/authorization.k8s.io/v1/namespaces/{}/localsubjectaccessreviews",
        settings.namespace
    );
    let mut known = Known::new(Instant::now());
    loop {
        known.see(&accounts.get(), Instant::now());
        let told = known.readers();
        if *readers.get() != told {
            readers.publish(told);
        }
        let next = known.next();
        let due = next.as_ref().map_or_else(Instant::now, |(due, _)| *due);
        tokio::select! {
            changed = accounts.changed() => match changed {
                Some(_) => continue,
                None => return,
            },
            () = tokio::time::sleep_until(due), if next.is_some() => {}
            () = shutdown.cancelled() => return,
        }
        let Some((_, account)) = next else { continue };
        let answer = tokio::select! {
            answer = may_read(&kube, &path, &settings, &account) => answer,
            () = shutdown.cancelled() => return,
        };
        settings.note(&mut known, &account, answer);
    }
}

async fn may_read(kube: &Kube, path: &str, settings: &ReviewSettings, account: &str) -> Result<bool, ApiError> {
    for verb in READING {
        let answer: Answer = kube.post(path, &settings.question(account, verb)).await?;
        if answer.status.allowed {
            return Ok(true);
        }
    }
    Ok(false)
}

#[derive(Deserialize)]
struct Answer {
    status: Verdict,
}

#[derive(Deserialize)]
struct Verdict {
    allowed: bool,
}

impl ReviewSettings {
    fn question(&self, account: &str, verb: &str) -> Value {
        let Self {
            workloads,
            namespace,
            secret,
        } = self;
        json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "LocalSubjectAccessReview", "metadata": {"namespace": namespace},
            "spec": {
                "user": format!("system:serviceaccount:{workloads}:{account}"),
                // As the server sees such an account: rights may be given to all of a namespace.
                "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{workloads}"), "system:authenticated"],
                "resourceAttributes": {
                    "namespace": namespace, "verb": verb, "version": "v1", "resource": "secrets", "name": secret,
                },
            },
        })
    }

    fn note(&self, known: &mut Known, account: &Arc<str>, answer: Result<bool, ApiError>) {
        let now = Instant::now();
        let Self {
            workloads,
            namespace,
            secret,
        } = self;
        match answer {
            Ok(may_read) => match (known.answered(account, may_read, now), may_read) {
                (true, true) => tracing::warn!(
                    account = &**account,
                    account_namespace = workloads,
                    secret,
                    secret_namespace = namespace,
                    "whoever runs a task with this account can read the gateway's keys and act as any visitor: somebody lets the account \
                     read Secrets, as ClearML's agent chart does; install the gateway in a namespace of its own (workloadNamespace), or \
                     take the right away from the account (docs/how-to/apart-from-the-workloads.md)"
                ),
                (true, false) => tracing::info!(
                    account = &**account,
                    account_namespace = workloads,
                    "the account can no longer read the gateway's keys"
                ),
                (false, _) => {}
            },
            Err(error) if error.code() == Some(403) => {
                if known.refused(account, now) {
                    tracing::info!(
                        namespace,
                        "it is not known whether tasks can read the gateway's keys: the gateway's account may not create \
                         localsubjectaccessreviews (docs/how-to/apart-from-the-workloads.md)"
                    );
                }
            }
            Err(error) => {
                tracing::debug!(account = &**account, %error, "an account's rights cannot be asked for");
                known.failed(account, now);
            }
        }
    }
}
