//! Which rule an endpoint gets.

use portico_core::{
    access::{AccessRule, RuleSource, Who},
    access_policy::AccessPolicy,
    principal::UserId,
};
use proptest::prelude::*;

use crate::world::task;

fn who() -> impl Strategy<Value = Who> {
    let users = proptest::collection::vec("[a-c]", 0..3)
        .prop_map(|users| Who::Users(users.into_iter().map(UserId::new).collect()));
    prop_oneof![Just(Who::Owner), users, Just(Who::Visible), Just(Who::Public)]
}

fn configured(who: Who, path: &str) -> AccessRule {
    AccessRule {
        who,
        source: RuleSource::Configuration(path.into()),
    }
}

/// Does `who` let this kind of visitor in? `None` stands for one who is not logged in.
fn lets_in(who: &Who, visitor: Option<&str>) -> bool {
    match (who, visitor) {
        (Who::Public, _) | (Who::Visible, Some(_)) => true,
        (Who::Users(users), Some(visitor)) => users.iter().any(|user| user.as_str() == visitor),
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_a_task_asks_can_only_tighten(default in who(), asked in who()) {
        let policy = AccessPolicy::only(default.clone());
        let rule = policy.rule_for(&task(1, "alice", vec![]), Some(&asked));
        for visitor in [None, Some("a"), Some("b"), Some("c"), Some("z")] {
            prop_assert!(!lets_in(&rule.who, visitor) || lets_in(&default, visitor), "{:?} > {:?}", rule, default);
            prop_assert!(!lets_in(&rule.who, visitor) || lets_in(&asked, visitor), "{:?} > {:?}", rule, asked);
        }
    }

    #[test]
    fn no_rule_opens_wider_than_the_ceiling(default in who(), queue in who(), ceiling in who()) {
        let mut policy = AccessPolicy::only(default);
        policy.queues = vec![("gpu".into(), configured(queue, "access.queues.gpu"))];
        policy.ceiling = Some(configured(ceiling.clone(), "access.ceiling"));
        let mut observed = task(1, "alice", vec![]);
        observed.queue = Some("gpu".into());
        let rule = policy.rule_for(&observed, None);
        for visitor in [None, Some("a"), Some("b"), Some("c"), Some("z")] {
            prop_assert!(!lets_in(&rule.who, visitor) || lets_in(&ceiling, visitor));
        }
    }
}

#[test]
fn the_projects_rule_comes_before_the_queues_and_that_before_the_default() {
    let mut policy = AccessPolicy::only(Who::Visible);
    policy.queues = vec![("gpu".into(), configured(Who::Owner, "access.queues.gpu"))];
    policy.projects = vec![("p1".into(), configured(Who::Public, "access.projects.p1"))];
    let mut observed = task(1, "alice", vec![]);
    let source = |observed: &_| policy.rule_for(observed, None).source.to_string();
    assert_eq!(source(&observed), "default");
    observed.queue = Some("gpu".into());
    assert_eq!(source(&observed), "configuration access.queues.gpu");
    observed.project = Some("p1".into());
    assert_eq!(source(&observed), "configuration access.projects.p1");
}

#[test]
fn a_rule_knows_that_the_task_tightened_it() {
    let policy = AccessPolicy::only(Who::Visible);
    let observed = task(1, "alice", vec![]);
    assert_eq!(policy.rule_for(&observed, Some(&Who::Owner)).source, RuleSource::Task);
    assert_eq!(
        policy.rule_for(&observed, Some(&Who::Visible)).source,
        RuleSource::Default
    );
    assert_eq!(
        policy.rule_for(&observed, Some(&Who::Public)).source,
        RuleSource::Default
    );
}

#[test]
fn rules_are_told_in_words() {
    let users = Who::Users([UserId::new("a"), UserId::new("b")].into());
    let words = [Who::Owner, users, Who::Visible, Who::Public].map(|who| who.to_string());
    assert_eq!(words, ["owner", "owner and 2 named users", "visible", "public"]);
}
