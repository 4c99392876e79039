//! Why a request would get what it gets: the decision's steps in words, for `portico explain` and the console.

use serde::Serialize;

use crate::{
    decision::{Decision, Sight, decide},
    observe::RequestOrigin,
    principal::Principal,
    refusal::{Fault, Refusal},
    routes::{Resolved, RouteTable},
};

/// One step on the way from a request to its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was looked at.
    pub what: &'static str,
    /// What was found.
    pub found: String,
    /// True if the request got past it.
    pub is_passed: bool,
}

/// The whole way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// In order; the last one may be the one that failed.
    pub steps: Vec<Step>,
    /// The refusal's code, if it ends in one.
    pub code: Option<&'static str>,
    /// Whose turn it is.
    pub fault: Option<Fault>,
    /// What happened and what to do next.
    pub answer: String,
}

impl Explanation {
    /// Adds a step that was passed.
    pub fn pass(&mut self, what: &'static str, found: impl Into<String>) {
        self.steps.push(Step {
            what,
            found: found.into(),
            is_passed: true,
        });
    }

    /// Ends with a refusal.
    pub fn fail(&mut self, what: &'static str, refusal: &Refusal) {
        self.steps.push(Step {
            what,
            found: refusal.title(),
            is_passed: false,
        });
        self.code = Some(refusal.code());
        self.fault = Some(refusal.fault());
        self.answer = format!("{}. {}", refusal.title(), refusal.hint());
    }

    /// True if no step failed.
    pub fn is_passed(&self) -> bool {
        self.code.is_none()
    }
}

impl RouteTable {
    /// Explains what `principal` gets at `resolved`, as far as tables and rules know. Whether the application answers is for the
    /// caller to add.
    pub fn explain(&self, resolved: &Resolved<'_>, principal: &Principal, sight: Sight) -> Explanation {
        let mut told = Explanation {
            steps: Vec::new(),
            code: None,
            fault: None,
            answer: "The way is open.".into(),
        };
        match resolved {
            Resolved::Outside => told.fail("address", &Refusal::NotFound),
            Resolved::Nothing(task) if self.task(*task).is_some() => told.fail("task", &Refusal::NoEndpoint),
            Resolved::Nothing(_) => told.fail("task", &Refusal::NotFound),
            Resolved::Refused { task, refusal } => {
                told.pass("task", format!("{} ({}), owner {}", task.id, task.status, task.owner));
                told.fail("route", refusal);
            }
            Resolved::Endpoint(endpoint) => {
                if let Some(routes) = self.task(endpoint.key.task) {
                    let task = &routes.task;
                    told.pass("task", format!("{} ({}), owner {}", task.id, task.status, task.owner));
                    let key = &endpoint.key;
                    let mut requests = task.requests.iter();
                    let request = requests.find(|request| request.protocol == key.protocol && request.name == key.name);
                    let origin = match request.map(|request| request.origin) {
                        Some(RequestOrigin::Property) => "its property portico",
                        Some(RequestOrigin::Annotation) => "its pod's annotation portico/endpoints",
                        _ => "its runtime keys",
                    };
                    told.pass(
                        "request",
                        format!("{} endpoint, asked by {origin}", endpoint.key.protocol),
                    );
                }
                let outside = match (endpoint.port, &self.policy().streams) {
                    (Some(port), Some(streams)) => streams.address(port),
                    _ => format!("{}/", endpoint.prefix),
                };
                told.pass("route", format!("{outside} leads to {}", endpoint.upstream));
                told.pass(
                    "access rule",
                    format!("{} (from: {})", endpoint.access.who, endpoint.access.source),
                );
                match decide(principal, resolved, sight) {
                    Decision::Allow => told.pass("decision", "allowed"),
                    Decision::AskSight => {
                        told.pass("decision", "ClearML would be asked whether the visitor sees the task");
                    }
                    Decision::Refuse(refusal) => told.fail("decision", &refusal),
                }
            }
        }
        told
    }
}
