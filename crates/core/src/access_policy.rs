//! What the configuration says of access, and the rule that follows from it for each endpoint.

use crate::{
    access::{AccessRule, RuleSource, Who},
    observe::ObservedTask,
};

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
