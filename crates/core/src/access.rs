//! Who may reach an endpoint, and the one decision that every protocol asks.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    observe::ObservedTask,
    principal::{CompanyId, Principal, User, UserId},
    refusal::Refusal,
    routes::Resolved,
};

/// Whom an access rule lets in. Everybody but [`Who::Public`]'s visitors must also be somebody whom ClearML shows the task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The task's owner.
    Owner,
    /// The task's owner and these users (by ClearML id).
    Users(Arc<[UserId]>),
    /// Everybody whom ClearML shows the task.
    Visible,
    /// Everybody, without log-in.
    Public,
}

impl Who {
    /// Grows with the number of people let in.
    fn openness(&self) -> u8 {
        match self {
            Self::Owner => 0,
            Self::Users(_) => 1,
            Self::Visible => 2,
            Self::Public => 3,
        }
    }

    /// Whom both let in.
    pub(crate) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Users(ours), Self::Users(theirs)) => {
                Self::Users(ours.iter().filter(|user| theirs.contains(user)).cloned().collect())
            }
            _ if self.openness() <= other.openness() => self.clone(),
            _ => other.clone(),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner => out.write_str("owner"),
            Self::Users(users) => write!(out, "owner and {} named users", users.len()),
            Self::Visible => out.write_str("visible"),
            Self::Public => out.write_str("public"),
        }
    }
}

/// Where a rule was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleSource {
    /// Nobody said anything: the default for this kind of server.
    Default,
    /// The configuration, at this path.
    Configuration(Arc<str>),
    /// The task's own user property.
    Task,
}

impl fmt::Display for RuleSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::Configuration(path) => write!(out, "configuration {path}"),
            Self::Task => out.write_str("task"),
        }
    }
}

/// Who may reach an endpoint, and who said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessRule {
    /// Whom it lets in.
    pub who: Who,
    /// Where it was said.
    pub source: RuleSource,
}

/// The rules of the configuration, from which each endpoint's rule is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPolicy {
    /// Holds where nothing else is said.
    pub default: AccessRule,
    /// No rule opens wider than this.
    pub ceiling: Option<AccessRule>,
    /// By queue name.
    pub queues: Vec<(String, AccessRule)>,
    /// By project id. Comes before the queue's.
    pub projects: Vec<(String, AccessRule)>,
}

impl AccessPolicy {
    /// The same rule for every endpoint.
    pub fn only(who: Who) -> Self {
        let default = AccessRule {
            who,
            source: RuleSource::Default,
        };
        Self {
            default,
            ceiling: None,
            queues: Vec::new(),
            projects: Vec::new(),
        }
    }

    /// The rule for an endpoint of `task` that asks to be reached by `asked`. What a task asks can only tighten: any colleague may
    /// edit a task.
    pub fn rule_for(&self, task: &ObservedTask, asked: Option<&Who>) -> AccessRule {
        let project = |name: &str| task.project.as_deref() == Some(name);
        let mut rule = tightest(&self.projects, project)
            .or_else(|| tightest(&self.queues, |name| task.is_from(name)))
            .unwrap_or_else(|| self.default.clone());
        if let Some(ceiling) = &self.ceiling {
            let who = rule.who.and(&ceiling.who);
            if who != rule.who {
                rule = AccessRule {
                    who,
                    source: ceiling.source.clone(),
                };
            }
        }
        if let Some(asked) = asked {
            let who = rule.who.and(asked);
            if who != rule.who {
                rule = AccessRule {
                    who,
                    source: RuleSource::Task,
                };
            }
        }
        rule
    }
}

/// Of the rules that are meant, the one that lets the fewest people in: two queues may look alike where only a label tells them.
fn tightest(rules: &[(String, AccessRule)], is_meant: impl Fn(&str) -> bool) -> Option<AccessRule> {
    let meant = rules.iter().filter(|(name, _)| is_meant(name)).map(|(_, rule)| rule);
    meant.cloned().reduce(|one, other| {
        let who = one.who.and(&other.who);
        let source = if who == one.who { one.source } else { other.source };
        AccessRule { who, source }
    })
}

/// What is known about "does ClearML show this user this task".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    /// Not asked yet.
    Unasked,
    /// Yes.
    Visible,
    /// No.
    Hidden,
    /// ClearML cannot be asked, and there is no earlier answer that still holds.
    Unavailable,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let it through.
    Allow,
    /// Ask ClearML whether the user sees the task, then decide again.
    AskSight,
    /// Answer with this in place of the application.
    Refuse(Refusal),
}

/// The one decision: may `principal` reach what its request resolved to?
///
/// It judges "does it exist" and "may you" together, so that names do not leak: strangers learn nothing but that they must log
/// in; users learn of a task only if ClearML shows it to them.
pub fn decide(principal: &Principal, resolved: &Resolved<'_>, sight: Sight) -> Decision {
    if let Resolved::Endpoint(endpoint) = resolved
        && endpoint.access.who == Who::Public
    {
        return Decision::Allow;
    }
    let Principal::User(user) = principal else {
        return Decision::Refuse(Refusal::LogInRequired);
    };
    let (owner, company) = match resolved {
        Resolved::Endpoint(endpoint) => (Some(&endpoint.owner), Some(&endpoint.company)),
        Resolved::Refused { task, .. } => (Some(&task.owner), Some(&task.company)),
        Resolved::Nothing(_) => (None, None),
        Resolved::Outside => return Decision::Refuse(Refusal::NotFound),
    };
    if company.is_some_and(|company| *company != user.company) {
        return Decision::Refuse(Refusal::NotFound);
    }
    let is_owner = owner == Some(&user.id);
    match sight {
        Sight::Unasked => Decision::AskSight,
        Sight::Hidden => Decision::Refuse(Refusal::NotFound),
        Sight::Unavailable if !is_owner => Decision::Refuse(Refusal::ClearmlAway),
        Sight::Visible | Sight::Unavailable => judge(user, is_owner, resolved),
    }
}

/// The decision for somebody who may know that the task exists.
fn judge(user: &User, is_owner: bool, resolved: &Resolved<'_>) -> Decision {
    match resolved {
        Resolved::Endpoint(endpoint) => {
            let is_allowed = is_owner
                || match &endpoint.access.who {
                    Who::Owner => false,
                    Who::Users(users) => users.contains(&user.id),
                    Who::Visible | Who::Public => true,
                };
            if is_allowed {
                Decision::Allow
            } else {
                Decision::Refuse(Refusal::NotAllowed {
                    rule: endpoint.access.clone(),
                })
            }
        }
        Resolved::Refused { refusal, .. } => Decision::Refuse((*refusal).clone()),
        Resolved::Nothing(_) => Decision::Refuse(Refusal::NoEndpoint),
        Resolved::Outside => Decision::Refuse(Refusal::NotFound),
    }
}

/// True if the principal belongs to this company; for lists that are filtered before ClearML is asked.
pub fn shares_company(principal: &Principal, company: &CompanyId) -> bool {
    matches!(principal, Principal::User(user) if user.company == *company)
}
