//! The questions as calls, and what of their answers is believed.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use portico_core::{
    clock::Timestamp,
    endpoint::TaskId,
    principal::{CompanyId, UserId},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    joins::WorkerReport,
    memory::Brief,
    row::{FIELDS, PROPERTIES, Row, TAG, moment},
};
use crate::{
    client::{CallError, Clearml},
    reference::Reference,
};

/// The most tasks in one answer (observed with clearml-server 2.3.0), and the most ids in one question.
pub(super) const PAGE: usize = 500;
/// Workers that reported within so many seconds.
const WORKER_SECONDS: u32 = 600;

#[derive(Deserialize)]
struct Tasks<T> {
    tasks: Vec<T>,
}

/// Which tasks are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum List<'a> {
    /// Tagged tasks that changed at or after that time, whatever their status, the newest changes first; without it, those that run.
    Changes(Option<Timestamp>),
    /// A page of the tagged tasks that run.
    Running(usize),
    /// A page of the running tasks with the property `portico`.
    ByProperty(usize),
    /// These.
    Ids(&'a [TaskId]),
}

impl List<'_> {
    /// The question, and its page.
    fn question(self) -> (Value, usize) {
        match self {
            Self::Changes(since) => {
                let mut body = json!({"system_tags": [TAG], "order_by": ["-last_change"]});
                match since {
                    Some(since) => body["last_change"] = json!([format!(">={}", stamp(since))]),
                    None => body["status"] = json!(["in_progress"]),
                }
                (body, 0)
            }
            Self::Running(page) => (
                json!({"system_tags": [TAG], "status": ["in_progress"], "order_by": ["id"]}),
                page,
            ),
            // The filter is on the stored name of the property: the server filters on the fields of parameters by equality.
            Self::ByProperty(page) => (
                json!({
                    "hyperparams.properties.portico.name": ["portico"], "status": ["in_progress"], "order_by": ["id"],
                }),
                page,
            ),
            Self::Ids(ids) => (json!({"id": texts(ids)}), 0),
        }
    }
}

/// What nobody but the server writes: a question for no more than this is answered whatever stands in a task.
const PLAIN_FIELDS: [&str; 5] = ["id", "status", "status_changed", "last_change", "company"];

/// Asks, with the gateway's own key, and believes only answers about its own company.
pub(super) struct Questions {
    clearml: Clearml,
    /// How many calls were made.
    calls: AtomicU32,
}

impl Questions {
    pub(super) fn new(clearml: Clearml) -> Self {
        Self {
            clearml,
            calls: AtomicU32::new(0),
        }
    }

    /// The company of the gateway's own key, once the server was asked anything.
    pub(super) fn company(&self) -> Option<CompanyId> {
        self.clearml.facts().get().company.clone()
    }

    /// How many calls were made since this was asked last.
    pub(super) fn take_calls(&self) -> u32 {
        self.calls.swap(0, Ordering::Relaxed)
    }

    /// The longest answer that is read, in bytes.
    pub(super) fn answer_limit(&self) -> usize {
        self.clearml.answer_limit()
    }

    /// Tasks, whole. An answer of more than `limit` bytes is not read.
    pub(super) async fn whole(&self, list: List<'_>, limit: usize) -> Result<Vec<Row>, CallError> {
        let mut fields: Vec<&str> = FIELDS.to_vec();
        fields.push(PROPERTIES);
        self.tasks(list, &fields, limit).await
    }

    /// Tasks by their ids, whole.
    pub(super) async fn by_id(&self, ids: &[TaskId]) -> Result<Vec<Row>, CallError> {
        self.whole(List::Ids(ids), self.answer_limit()).await
    }

    /// Tasks without anything that somebody else than the server wrote.
    pub(super) async fn plain(&self, list: List<'_>) -> Result<Vec<Row>, CallError> {
        self.tasks(list, &PLAIN_FIELDS, self.answer_limit()).await
    }

    /// What became of tasks, by their ids.
    pub(super) async fn brief(&self, ids: &[TaskId]) -> Result<Vec<Brief>, CallError> {
        let list = List::Ids(ids);
        let mut fields: Vec<&str> = PLAIN_FIELDS.to_vec();
        fields.push("system_tags");
        let (rows, has_tags) = match self.tasks(list, &fields, self.answer_limit()).await {
            // Tags are written by everybody, and to any length.
            Err(error) if error.is_unreadable() => (self.plain(list).await?, false),
            rows => (rows?, true),
        };
        let brief = |row: &Row| {
            Some(Brief {
                id: row.id()?,
                status: row.status(),
                status_since: moment(row.status_changed.as_deref()),
                changed: row.changed(),
                is_tagged: has_tags.then(|| row.is_tagged()),
            })
        };
        Ok(rows.iter().filter_map(brief).collect())
    }

    /// True if any task of the company runs.
    pub(super) async fn anything(&self) -> Result<bool, CallError> {
        let body = json!({
            "status": ["in_progress"], "only_fields": ["id", "company", "status"], "search_hidden": true,
            "allow_public": false, "page": 0, "page_size": 1,
        });
        self.count();
        let answer: Tasks<Row> = self.clearml.call("tasks.get_all_ex", &body).await?;
        self.believe(&answer.tasks)?;
        Ok(!answer.tasks.is_empty())
    }

    /// The workers with the addresses from which they report.
    pub(super) async fn workers(&self) -> Result<Vec<WorkerReport>, CallError> {
        #[derive(Deserialize)]
        struct Workers {
            workers: Vec<Worker>,
        }
        #[derive(Deserialize)]
        struct Worker {
            id: String,
            #[serde(default)]
            ip: Option<String>,
            #[serde(default)]
            company: Option<Reference>,
            #[serde(default)]
            user: Option<Reference>,
        }
        let body = json!({"last_seen": WORKER_SECONDS});
        self.count();
        let answer: Workers = self.clearml.call("workers.get_all", &body).await?;
        let companies = answer
            .workers
            .iter()
            .map(|worker| worker.company.as_ref().and_then(Reference::id));
        self.believe_companies(companies)?;
        let known = |worker: Worker| {
            let user = worker.user.as_ref().and_then(Reference::id).unwrap_or_default();
            Some(WorkerReport {
                user: UserId::new(user),
                address: worker.ip?.parse().ok()?,
                worker: worker.id,
            })
        };
        Ok(answer.workers.into_iter().filter_map(known).collect())
    }

    /// The names of queues.
    pub(super) async fn queues(&self, ids: &[String]) -> Result<HashMap<String, Arc<str>>, CallError> {
        #[derive(Deserialize)]
        struct Queues {
            queues: Vec<Queue>,
        }
        #[derive(Deserialize)]
        struct Queue {
            id: String,
            name: String,
        }
        let body =
            json!({"id": ids, "only_fields": ["id", "name"], "search_hidden": true, "page": 0, "page_size": PAGE});
        self.count();
        let answer: Queues = self.clearml.call("queues.get_all", &body).await?;
        Ok(answer
            .queues
            .into_iter()
            .map(|queue| (queue.id, queue.name.into()))
            .collect())
    }

    async fn tasks(&self, list: List<'_>, fields: &[&str], limit: usize) -> Result<Vec<Row>, CallError> {
        let (mut body, page) = list.question();
        body["only_fields"] = json!(fields);
        body["search_hidden"] = json!(true);
        body["allow_public"] = json!(false);
        body["page"] = json!(page);
        body["page_size"] = json!(PAGE);
        self.count();
        let answer: Tasks<Row> = self.clearml.call_within(limit, "tasks.get_all_ex", &body).await?;
        self.believe(&answer.tasks)?;
        Ok(answer.tasks)
    }

    fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn believe(&self, rows: &[Row]) -> Result<(), CallError> {
        self.believe_companies(rows.iter().map(|row| row.company.id()))
    }

    /// An answer with anything of another company is not believed at all.
    fn believe_companies<'r>(&self, mut companies: impl Iterator<Item = Option<&'r str>>) -> Result<(), CallError> {
        let own = self.company();
        let own = own.as_ref().map(CompanyId::as_str);
        match companies.find(|company| company.is_none() || *company != own) {
            None => Ok(()),
            Some(_) => Err(CallError::Untrusted("it holds something of another company".to_owned())),
        }
    }
}

fn texts(ids: &[TaskId]) -> Vec<String> {
    ids.iter().map(TaskId::to_string).collect()
}

/// A time as the server's filters take it: UTC, without offset.
fn stamp(moment: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(moment.as_millis()).unwrap_or_default();
    moment.strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_take_times_in_utc_without_offset() {
        assert_eq!(
            stamp(Timestamp::from_millis(1_795_327_553_928)),
            "2026-11-22T06:05:53.928"
        );
        assert_eq!(
            stamp(Timestamp::from_millis(1_795_327_553_000)),
            "2026-11-22T06:05:53.000"
        );
    }
}
