//! Who gets in, and what the others learn.

use portico_core::{
    access::Who,
    decision::{Decision, Sight, decide, shares_company},
    observe::TaskStatus,
    principal::{CompanyId, Principal, UserId},
    refusal::Refusal,
    routes::{Resolved, RouteTable},
};

use crate::world::{request, table, task, task_id, user};

const SIGHTS: [Sight; 4] = [Sight::Unasked, Sight::Visible, Sight::Hidden, Sight::Unavailable];

fn one(who: Who) -> RouteTable {
    table([task(1, "alice", vec![request(None, "10.0.0.1", 80)])], who)
}

fn endpoint(table: &RouteTable) -> Resolved<'_> {
    let resolved = table.at(task_id(1), None);
    assert!(matches!(resolved, Resolved::Endpoint(_)));
    resolved
}

fn code(decision: &Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::AskSight => "ask",
        Decision::Refuse(refusal) => refusal.code(),
    }
}

/// Alice owns the task; bob and dora are in her company, carol is not.
fn row(who: &Who, visitor: &Principal) -> [&'static str; 4] {
    let table = one(who.clone());
    SIGHTS.map(|sight| code(&decide(visitor, &endpoint(&table), sight)))
}

#[test]
fn the_whole_decision_for_an_endpoint() {
    let (alice, bob, dora, carol) = (
        user("alice", "company"),
        user("bob", "company"),
        user("dora", "company"),
        user("carol", "other"),
    );
    let users = Who::Users([UserId::new("bob")].into());
    let nobody = Principal::Nobody;
    // In the order of SIGHTS: unasked, visible, hidden, unavailable.
    let open = ["ask", "allow", "not_found", "allow"];
    let colleague = ["ask", "allow", "not_found", "clearml_away"];
    let refused = ["ask", "not_allowed", "not_found", "clearml_away"];
    for (who, visitor, expected) in [
        (&Who::Owner, &alice, open),
        (&Who::Owner, &bob, refused),
        (&users, &alice, open),
        (&users, &bob, colleague),
        (&users, &dora, refused),
        (&Who::Visible, &alice, open),
        (&Who::Visible, &bob, colleague),
        (&Who::Owner, &carol, ["not_found"; 4]),
        (&users, &carol, ["not_found"; 4]),
        (&Who::Visible, &carol, ["not_found"; 4]),
        (&Who::Owner, &nobody, ["log_in_required"; 4]),
        (&users, &nobody, ["log_in_required"; 4]),
        (&Who::Visible, &nobody, ["log_in_required"; 4]),
        (&Who::Public, &nobody, ["allow"; 4]),
        (&Who::Public, &carol, ["allow"; 4]),
    ] {
        assert_eq!(row(who, visitor), expected, "{who:?} {visitor:?}");
    }
}

#[test]
fn the_owner_of_another_company_with_the_same_user_id_is_a_stranger() {
    assert_eq!(row(&Who::Owner, &user("alice", "other")), ["not_found"; 4]);
}

#[test]
fn a_stranger_cannot_tell_whether_a_name_exists() {
    let ended = {
        let mut over = task(2, "alice", vec![request(None, "10.0.0.2", 80)]);
        over.status = TaskStatus::Stopped;
        over
    };
    let table = table(
        [task(1, "alice", vec![request(None, "10.0.0.1", 80)]), ended],
        Who::Visible,
    );
    let carol = user("carol", "other");
    for sight in [Sight::Hidden, Sight::Unavailable] {
        let answers = [1, 2, 3].map(|number| decide(&Principal::Nobody, &table.at(task_id(number), None), sight));
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0], answers[2]);
    }
    // ClearML hides a task of another company and one that does not exist alike.
    let answers = [1, 2, 3].map(|number| decide(&carol, &table.at(task_id(number), None), Sight::Hidden));
    assert_eq!(answers, [const { Decision::Refuse(Refusal::NotFound) }; 3]);
}

#[test]
fn only_somebody_who_sees_the_task_learns_why_it_is_not_routed() {
    let mut over = task(1, "alice", vec![request(None, "10.0.0.1", 80)]);
    over.status = TaskStatus::Stopped;
    let table = table([over], Who::Visible);
    let resolved = table.at(task_id(1), None);
    let told = |visitor: &Principal| SIGHTS.map(|sight| code(&decide(visitor, &resolved, sight)));
    assert_eq!(told(&user("alice", "company")), ["ask", "ended", "not_found", "ended"]);
    assert_eq!(
        told(&user("bob", "company")),
        ["ask", "ended", "not_found", "clearml_away"]
    );
    assert_eq!(told(&user("carol", "other")), ["not_found"; 4]);
    assert_eq!(told(&Principal::Nobody), ["log_in_required"; 4]);
}

#[test]
fn a_name_without_an_endpoint_is_told_to_those_who_see_the_task() {
    let table = one(Who::Visible);
    let resolved = table.at(task_id(1), Some("other"));
    let told = |visitor: &Principal| SIGHTS.map(|sight| code(&decide(visitor, &resolved, sight)));
    assert_eq!(
        told(&user("bob", "company")),
        ["ask", "no_endpoint", "not_found", "clearml_away"]
    );
    assert_eq!(told(&Principal::Nobody), ["log_in_required"; 4]);
}

#[test]
fn a_path_outside_is_not_found_for_users_and_log_in_for_strangers() {
    let table = one(Who::Visible);
    let outside = table.resolve("/favicon.ico");
    assert_eq!(
        code(&decide(&user("bob", "company"), &outside, Sight::Unasked)),
        "not_found"
    );
    assert_eq!(
        code(&decide(&Principal::Nobody, &outside, Sight::Unasked)),
        "log_in_required"
    );
}

#[test]
fn a_public_rule_does_not_open_an_endpoint_that_is_refused() {
    let mut over = task(1, "alice", vec![request(None, "10.0.0.1", 80)]);
    over.status = TaskStatus::Stopped;
    let table = table([over], Who::Public);
    let resolved = table.at(task_id(1), None);
    assert_eq!(
        code(&decide(&Principal::Nobody, &resolved, Sight::Visible)),
        "log_in_required"
    );
}

#[test]
fn only_a_user_of_the_company_shares_it() {
    let company = CompanyId::new("company");
    assert!(shares_company(&user("alice", "company"), &company));
    assert!(!shares_company(&user("carol", "other"), &company));
    assert!(!shares_company(&Principal::Nobody, &company));
}
