//! Who is who, asked with the gateway's own key: for the operator who wants to know what somebody may reach.

use std::sync::Arc;

use portico_core::{
    endpoint::TaskId,
    principal::{CompanyId, UserId},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    check::visible_among,
    client::{CallError, Clearml},
    reference::Reference,
};

/// A user of the gateway's own company.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The user's id.
    pub id: UserId,
    /// The user's name.
    pub name: Arc<str>,
    /// The user's company.
    pub company: CompanyId,
}

/// The most users that are looked through.
const USERS_MAX: usize = 500;

impl Clearml {
    /// The users of the gateway's own company whose id or name is exactly `id_or_name`.
    pub async fn find_users(&self, id_or_name: &str) -> Result<Vec<Person>, CallError> {
        #[derive(Deserialize)]
        struct Users {
            users: Vec<User>,
        }
        #[derive(Deserialize)]
        struct User {
            id: String,
            #[serde(default)]
            name: Option<String>,
            #[serde(default)]
            company: Option<Reference>,
        }
        let body = json!({"only_fields": ["id", "name", "company"], "page": 0, "page_size": USERS_MAX});
        let answer: Users = self.call("users.get_all_ex", &body).await?;
        let own = self.facts().get().company.clone();
        let person = |user: User| {
            let company = user
                .company
                .as_ref()
                .and_then(Reference::id)
                .map(CompanyId::new)
                .or_else(|| own.clone())?;
            let name = user.name.unwrap_or_else(|| user.id.clone());
            Some(Person {
                id: UserId::new(user.id),
                name: name.into(),
                company,
            })
        };
        let is_meant = |person: &Person| person.id.as_str() == id_or_name || *person.name == *id_or_name;
        Ok(answer.users.into_iter().filter_map(person).filter(is_meant).collect())
    }

    /// Those of `tasks` (at most 500) that the user sees, asked on the user's behalf. `None`: the server does not let the
    /// gateway's key ask for others; it must be an administrator's.
    pub async fn visible_as(&self, user: &UserId, tasks: &[TaskId]) -> Result<Option<Vec<TaskId>>, CallError> {
        match visible_among(tasks, |body| async move {
            self.call_on_behalf_of(Some(user), "tasks.get_all_ex", &body).await
        })
        .await
        {
            Ok(seen) => Ok(Some(seen)),
            // 400/6: no right to, or an unknown user (observed with clearml-server 2.3.0).
            Err(
                CallError::Refused { code: 403, .. }
                | CallError::Refused {
                    code: 400, subcode: 6, ..
                },
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
