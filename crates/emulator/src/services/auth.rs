//! `auth`: log-in, log-out, keys, and checking other callers' tokens.

use serde_json::{Value, json};

use super::{Access, Endpoint, V1, any};
use crate::{
    auth::COOKIE,
    call::Call,
    clock::Moment,
    error::ApiError,
    ids,
    seed::Role,
    settings::{Settings, TOKEN_MAX_SECS, TOKEN_SECS},
    state::{Credential, user},
};

/// Roles that may look into others' tokens, in the order in which refusals name them.
const TRUSTED: Access = Access::Roles(&[Role::System, Role::Root]);

pub(super) fn endpoint(action: &str) -> Option<Endpoint> {
    Some(match action {
        "login" => any(V1, login),
        "logout" => any((2, 2), logout),
        "fixed_users_mode" => Endpoint {
            since: V1,
            access: Access::Open,
            run: fixed_users_mode,
        },
        "validate_token" => Endpoint {
            since: V1,
            access: TRUSTED,
            run: validate_token,
        },
        "get_token_for_user" => Endpoint {
            since: V1,
            access: TRUSTED,
            run: get_token_for_user,
        },
        "create_user" => Endpoint {
            since: V1,
            access: Access::Roles(&[Role::System, Role::Root, Role::Admin]),
            run: create_user,
        },
        "create_credentials" => any(V1, create_credentials),
        "get_credentials" => any(V1, get_credentials),
        "revoke_credentials" => any(V1, revoke_credentials),
        _ => return None,
    })
}

fn login(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let asked = call.arguments.map.get("expiration_sec").and_then(Value::as_i64);
    let lifetime = asked.unwrap_or(TOKEN_SECS);
    if !(1..=TOKEN_MAX_SECS).contains(&lifetime) {
        return Err(ApiError::field_invalid("expiration_sec", "value out of range"));
    }
    let token = call
        .signer
        .issue(call.identity()?, call.settings.feature_set, call.now, lifetime)?;
    call.cookie = Some(set_cookie(&token, call.settings, call.now));
    Ok(json!({"token": token}))
}

#[expect(clippy::unnecessary_wraps, reason = "every call has this shape")]
pub(super) fn logout(call: &mut Call<'_>) -> Result<Value, ApiError> {
    if let Some(session) = call.caller.as_ref().and_then(|caller| caller.session.clone()) {
        call.state.revoked.insert(session);
    }
    let domain = domain(call.settings);
    call.cookie = Some(format!(
        "{COOKIE}=;{domain} Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0;{} HttpOnly; Path=/; SameSite=Lax",
        secure(call.settings)
    ));
    Ok(json!({}))
}

/// The cookie outlives the token by three thousand years; the token inside ends after 30 days.
fn set_cookie(token: &str, settings: &Settings, now: Moment) -> String {
    const MAX_AGE: i64 = 99_999_999_999;
    let expires = now.plus_secs(MAX_AGE).http_date();
    format!(
        "{COOKIE}={token};{} Expires={expires}; Max-Age={MAX_AGE};{} HttpOnly; Path=/; SameSite=Lax",
        domain(settings),
        secure(settings)
    )
}

fn domain(settings: &Settings) -> String {
    settings
        .cookie_domain
        .as_ref()
        .map(|domain| format!(" Domain={};", domain.trim_start_matches('.')))
        .unwrap_or_default()
}

const fn secure(settings: &Settings) -> &'static str {
    if settings.cookie_secure { " Secure;" } else { "" }
}

#[expect(clippy::unnecessary_wraps, reason = "every call has this shape")]
fn fixed_users_mode(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let enabled = call.settings.fixed_users;
    Ok(json!({"enabled": enabled, "guest": guest(enabled), "server_errors": {}}))
}

/// The guest's password is no secret: the log-in page offers it.
pub(super) fn guest(enabled: bool) -> Value {
    if enabled {
        json!({"enabled": true, "name": "Guest", "username": "guest", "password": "guest"})
    } else {
        json!({"enabled": false})
    }
}

fn validate_token(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let token = call.arguments.text("token")?;
    let refused = |msg: &str| json!({"valid": false, "msg": msg});
    Ok(match call.signer.check(token, call.now) {
        Err(error) => refused(
            error
                .msg
                .split_once("reason=")
                .map_or(error.msg.as_str(), |(_, reason)| reason),
        ),
        Ok(checked)
            if checked
                .session
                .as_ref()
                .is_some_and(|session| call.state.revoked.contains(session)) =>
        {
            refused("revoked token")
        }
        Ok(checked) => match checked.identity {
            Some(identity) => json!({"valid": true, "user": identity.user, "company": identity.company}),
            None => refused("tuple index out of range"),
        },
    })
}

fn get_token_for_user(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (user, company) = (call.arguments.text("user")?, call.arguments.text("company")?);
    let found = call
        .state
        .identities
        .get(user)
        .filter(|identity| identity.company == company);
    let identity =
        found.ok_or_else(|| ApiError::new(400, 301, format!("Invalid user id: id={user}, company={company}")))?;
    let lifetime = call
        .arguments
        .map
        .get("expiration_sec")
        .and_then(Value::as_i64)
        .unwrap_or(TOKEN_SECS);
    Ok(json!({"token": call.signer.issue(identity, call.settings.feature_set, call.now, lifetime)?}))
}

fn create_user(call: &mut Call<'_>) -> Result<Value, ApiError> {
    call.arguments.text("email")?;
    let (name, company) = (call.arguments.text("name")?, call.arguments.text("company")?);
    let part = |field: &str| call.arguments.optional(field).unwrap_or_default();
    let (id, profile) = (
        ids::fresh(),
        user(name, part("given_name"), part("family_name"), company, call.now),
    );
    call.state.add_identity(&id, name, company, Role::User);
    call.state.users.insert(&id, profile);
    Ok(json!({"id": id}))
}

fn create_credentials(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let credential = Credential {
        access_key: ids::access_key(),
        secret_key: ids::secret_key(),
        user: call.user()?,
        label: call.arguments.optional("label").map(str::to_owned),
        last_used: None,
    };
    let mut answer = json!({"access_key": credential.access_key, "secret_key": credential.secret_key});
    if let Some(label) = &credential.label {
        answer["label"] = json!(label);
    }
    call.state.credentials.push(credential);
    Ok(json!({"credentials": answer}))
}

fn get_credentials(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let user = call.user()?;
    let keys = call
        .state
        .credentials
        .iter()
        .filter(|credential| credential.user == user)
        .map(|credential| {
            let mut key = json!({"access_key": credential.access_key});
            if let Some(label) = &credential.label {
                key["label"] = json!(label);
            }
            if let Some(moment) = &credential.last_used {
                key["last_used"] = json!(moment);
                key["last_used_from"] = json!(call.peer);
            }
            key
        });
    Ok(json!({"credentials": keys.collect::<Vec<_>>()}))
}

fn revoke_credentials(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let (user, key) = (call.user()?, call.arguments.text("access_key")?);
    let before = call.state.credentials.len();
    call.state
        .credentials
        .retain(|credential| credential.user != user || credential.access_key != key);
    match before - call.state.credentials.len() {
        0 => Err(ApiError::new(400, 10, format!("Invalid id: access_key={key}"))),
        revoked => Ok(json!({"revoked": revoked})),
    }
}
