//! Whose credential is this, and which tasks does this user see: asked of the server, with the user's own credential.

use std::{sync::Arc, time::Duration};

use portico_auth::check::{CheckError, ClearmlCredential, CredentialCheck, Unavailable, Verified, Visibility};
use portico_core::{
    Answer,
    clock::Timestamp,
    endpoint::TaskId,
    principal::{CompanyId, User, UserId},
    secret::Secret,
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    client::{CallError, Caller, Clearml, Login},
    reference::Reference,
    token::{self, Claims},
};

/// How long a token lives that is minted for a key or password when nobody says how long; identities are asked again every minute.
const BRIEF: Duration = Duration::from_hours(1);
/// The most ids in one question; the server answers at most so many tasks (observed with clearml-server 2.3.0).
const CHUNK: usize = 500;

impl CredentialCheck for Clearml {
    fn check<'a>(
        &'a self,
        credential: &'a ClearmlCredential,
        lifetime: Option<Duration>,
    ) -> Answer<'a, Result<Verified, CheckError>> {
        Box::pin(async move {
            let caller = match credential {
                ClearmlCredential::Token(token) => Caller::Token(token),
                ClearmlCredential::KeyPair { key, secret } => Caller::Basic(key, secret),
                ClearmlCredential::Password { user, password } => Caller::Basic(user, password),
            };
            let token = match (credential, lifetime) {
                (ClearmlCredential::Token(token), None) => token.clone(),
                _ => self.mint(caller, lifetime.unwrap_or(BRIEF)).await.map_err(verdict)?,
            };
            self.identity(token).await
        })
    }
}

impl Visibility for Clearml {
    /// Asks in chunks of 500 ids. A token that no longer counts sees nothing: that is an answer of the server, and to let the
    /// last yes hold would let a revoked token outlive its revocation.
    fn visible<'a>(&'a self, user: &'a User, tasks: &'a [TaskId]) -> Answer<'a, Result<Vec<TaskId>, Unavailable>> {
        Box::pin(async move {
            let mut visible = Vec::new();
            for chunk in tasks.chunks(CHUNK) {
                let caller = Caller::Token(&user.token);
                let ask = |body| async move { self.call_as(caller, "tasks.get_all_ex", &body).await };
                match visible_among(chunk, ask).await {
                    Ok(seen) => visible.extend(seen),
                    Err(CallError::Refused { code: 401, .. }) => return Ok(Vec::new()),
                    Err(error) => return Err(Unavailable(error.to_string())),
                }
            }
            Ok(visible)
        })
    }
}

impl Clearml {
    async fn mint(&self, caller: Caller<'_>, lifetime: Duration) -> Result<Secret, CallError> {
        let body = json!({"expiration_sec": lifetime.as_secs().max(1)});
        let login: Login = self.call_as(caller, "auth.login", &body).await?;
        Ok(login.token)
    }

    async fn identity(&self, token: Secret) -> Result<Verified, CheckError> {
        #[derive(Deserialize)]
        struct Current {
            user: Profile,
        }
        #[derive(Deserialize)]
        struct Profile {
            id: String,
            #[serde(default)]
            name: Option<String>,
            #[serde(default)]
            role: Option<String>,
            company: Reference,
        }
        let answer: Result<Current, CallError> = self
            .call_as(Caller::Token(&token), "users.get_current_user", &json!({}))
            .await;
        let claims = token::claims(&token);
        let expires = claims.as_ref().and_then(ends);
        match answer {
            Ok(Current { user: profile }) => {
                let Some(company) = profile.company.id().map(str::to_owned) else {
                    return Err(CheckError::Unavailable("the answer names no company".to_owned()));
                };
                let claimed = claims.and_then(|claims| claims.identity?.company);
                if claimed.is_some_and(|claimed| claimed != company) {
                    return Err(CheckError::Unavailable(
                        "the answer names another company than the token".to_owned(),
                    ));
                }
                Ok(Verified {
                    name: name(profile.name.as_deref().unwrap_or(&profile.id)),
                    user: UserId::new(profile.id),
                    company: CompanyId::new(company),
                    is_administrator: token::is_administrator(profile.role.as_deref()),
                    token,
                    expires,
                })
            }
            // The server took the token and knows no such user. Service identities have no entry; everybody else was deleted.
            Err(CallError::Refused {
                code: 400,
                subcode: 300,
                ..
            }) => {
                let service = claims.as_ref().and_then(service_identity);
                let (user, company, name) = service.ok_or(CheckError::Rejected)?;
                Ok(Verified {
                    user,
                    company,
                    name,
                    is_administrator: true,
                    token,
                    expires,
                })
            }
            Err(error) => Err(verdict(error)),
        }
    }
}

/// The answer of `tasks.get_all_ex`, as far as visibility goes.
#[derive(Deserialize)]
pub(crate) struct Seen {
    tasks: Vec<SeenTask>,
}

#[derive(Deserialize)]
struct SeenTask {
    id: String,
}

/// Those of `tasks` (at most 500) that whoever `ask`s sees.
pub(crate) async fn visible_among<Asked: Future<Output = Result<Seen, CallError>>>(
    tasks: &[TaskId],
    ask: impl FnOnce(serde_json::Value) -> Asked,
) -> Result<Vec<TaskId>, CallError> {
    let ids: Vec<String> = tasks.iter().map(TaskId::to_string).collect();
    let answer = ask(json!({
        "id": ids, "only_fields": ["id"], "search_hidden": true, "allow_public": false, "page": 0, "page_size": CHUNK,
    }))
    .await?;
    let seen = answer.tasks.iter().filter_map(|task| TaskId::parse(&task.id));
    Ok(seen.filter(|id| tasks.contains(id)).collect())
}

/// Whether a failure is the server's no, or no answer at all.
fn verdict(error: CallError) -> CheckError {
    match error {
        CallError::Refused { code: 401 | 403, .. } => CheckError::Rejected,
        error => CheckError::Unavailable(error.to_string()),
    }
}

/// The identities of the server's own configuration are named `__<name>__` and have a role above users (observed with
/// clearml-server 2.3.0: `__services_agent__`, `__apiserver__`).
fn service_identity(claims: &Claims) -> Option<(UserId, CompanyId, Arc<str>)> {
    let identity = claims.identity.as_ref()?;
    let user = identity.user.as_deref()?;
    let is_service = user.len() > 4 && user.starts_with("__") && user.ends_with("__");
    if !is_service || !token::is_administrator(identity.role.as_deref()) {
        return None;
    }
    let company = CompanyId::new(identity.company.as_deref()?);
    Some((
        UserId::new(user),
        company,
        name(identity.user_name.as_deref().unwrap_or(user)),
    ))
}

fn ends(claims: &Claims) -> Option<Timestamp> {
    let seconds = Duration::try_from_secs_f64(claims.exp?).ok()?;
    Some(Timestamp::from_millis(0).plus(seconds))
}

fn name(text: &str) -> Arc<str> {
    text.chars().take(256).collect::<String>().into()
}
