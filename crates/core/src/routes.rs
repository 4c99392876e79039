//! All routes at one instant. A table is immutable; a change makes a new table that shares what did not change.

mod build;
mod claims;
mod derive;
mod diff;
mod locate;
mod wishes;

use std::{collections::HashMap, sync::Arc};

use crate::{
    access_policy::AccessPolicy,
    dial::DialRules,
    endpoint::{Endpoint, EndpointKey, Protocol, Slug, TaskId},
    observe::ObservedTask,
    ports::PortBook,
    refusal::Refusal,
    streams::StreamPolicy,
};

pub use diff::Diff;
pub use locate::{Location, locate};

/// Tasks are spread over this many shards by the first byte of their ids, so that a change copies one shard and not the table.
const SHARDS: usize = 256;

/// Everything besides the observation that routes depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `LISTEN_QUEUE_NAME`: serve only tasks from these queues; empty = all.
    pub queues: Vec<String>,
    /// Which addresses may be dialed.
    pub dial: DialRules,
    /// Who may come in.
    pub access: AccessPolicy,
    /// What is offered to tasks that ask for TCP endpoints; `None`: nothing.
    pub streams: Option<StreamPolicy>,
}

/// All routes at one instant.
#[derive(Clone, Debug)]
pub struct RouteTable {
    policy: Arc<Policy>,
    ports: Arc<PortBook>,
    observed: Arc<[Arc<ObservedTask>]>,
    shards: Box<[Arc<Shard>]>,
    claims: claims::Claims,
    endpoints: usize,
}

type Shard = HashMap<TaskId, Arc<TaskRoutes>>;

/// The routes of one task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRoutes {
    /// The task.
    pub task: Arc<ObservedTask>,
    /// One for each endpoint that it asks for.
    pub routes: Vec<Route>,
}

/// How the outside reaches one endpoint, or why it does not.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Which endpoint.
    pub key: EndpointKey,
    /// Its name in URLs; `None` for the unnamed endpoint.
    pub slug: Option<Slug>,
    /// The endpoint, or the refusal that its visitors get.
    pub outcome: Result<Arc<Endpoint>, Refusal>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug)]
pub enum Resolved<'t> {
    /// An endpoint that can be reached.
    Endpoint(&'t Arc<Endpoint>),
    /// An endpoint that cannot, for this reason.
    Refused {
        /// The task.
        task: &'t Arc<ObservedTask>,
        /// Why.
        refusal: &'t Refusal,
    },
    /// A name that an endpoint could have, but none has.
    Nothing(TaskId),
    /// A path that belongs to no endpoint.
    Outside,
}

impl Resolved<'_> {
    /// The task that the path names, whether it exists or not.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::Endpoint(endpoint) => Some(endpoint.key.task),
            Self::Refused { task, .. } => Some(task.id),
            Self::Nothing(task) => Some(*task),
            Self::Outside => None,
        }
    }
}

impl RouteTable {
    /// What `path` (the raw path of a request, without query) leads to. Does not depend on the number of routes.
    pub fn resolve(&self, path: &str) -> Resolved<'_> {
        locate(path).map_or(Resolved::Outside, |location| self.at(location.task, location.slug))
    }

    /// What a task's endpoint with this slug is.
    pub fn at(&self, task: TaskId, slug: Option<&str>) -> Resolved<'_> {
        let Some(routes) = self.task(task) else {
            return Resolved::Nothing(task);
        };
        let named = routes
            .routes
            .iter()
            .filter(|route| route.slug.as_ref().map(Slug::as_str) == slug);
        // An HTTP and a TCP endpoint may share a name; a path means the HTTP one.
        let named = named.min_by_key(|route| route.key.protocol);
        match named.map(|route| &route.outcome) {
            Some(Ok(endpoint)) if endpoint.key.protocol == Protocol::Http => Resolved::Endpoint(endpoint),
            Some(Ok(_)) => Resolved::Refused {
                task: &routes.task,
                refusal: &Refusal::StreamOnly,
            },
            Some(Err(refusal)) => Resolved::Refused {
                task: &routes.task,
                refusal,
            },
            None => Resolved::Nothing(task),
        }
    }

    /// What became of one endpoint's request.
    pub fn route(&self, key: &EndpointKey) -> Option<&Route> {
        self.task(key.task)?.routes.iter().find(|route| route.key == *key)
    }

    /// The routes of one task.
    pub fn task(&self, task: TaskId) -> Option<&Arc<TaskRoutes>> {
        self.shards.get(shard_of(task))?.get(&task)
    }

    /// The routes of all tasks, in no order.
    pub fn tasks(&self) -> impl Iterator<Item = &Arc<TaskRoutes>> {
        self.shards.iter().flat_map(|shard| shard.values())
    }

    /// The endpoints that can be reached, in no order.
    pub fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.tasks()
            .flat_map(|task| &task.routes)
            .filter_map(|route| route.outcome.as_ref().ok())
    }

    /// How many endpoints can be reached.
    pub fn len(&self) -> usize {
        self.endpoints
    }

    /// True if no endpoint can be reached.
    pub fn is_empty(&self) -> bool {
        self.endpoints == 0
    }

    /// What the routes were built with.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The public ports that the routes were built with.
    pub fn ports(&self) -> &Arc<PortBook> {
        &self.ports
    }
}

fn shard_of(task: TaskId) -> usize {
    usize::from(task.as_bytes()[0])
}
