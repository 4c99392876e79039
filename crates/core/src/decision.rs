//! The one decision that every protocol asks: may this visitor reach that endpoint?

use crate::{
    access::Who,
    principal::{CompanyId, Principal, User},
    refusal::Refusal,
    routes::Resolved,
};

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
