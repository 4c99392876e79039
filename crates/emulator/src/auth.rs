//! Who calls: header before cookie, key or password or token, and acting for somebody else.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};

use crate::{
    call::Caller,
    clock::Moment,
    error::ApiError,
    seed::Role,
    settings::Settings,
    state::State,
    token::{Identity, Signer},
};

/// Name of the session cookie. A cookie named `clearml_token` is not read (observed).
pub(crate) const COOKIE: &str = "clearml_token_basic";

/// Finds out who calls `endpoint`.
pub(crate) fn caller(
    state: &mut State,
    signer: &Signer,
    settings: &Settings,
    headers: &HeaderMap,
    endpoint: &str,
    now: Moment,
) -> Result<Caller, ApiError> {
    let caller = match headers.get(header::AUTHORIZATION) {
        // A header beats the cookie even when it is garbage or empty.
        Some(value) => {
            let value = value.to_str().unwrap_or_default();
            let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
            match scheme {
                "" => return Err(ApiError::missing_credentials()),
                "Bearer" => bearer(state, signer, rest, now)?,
                "Basic" => basic(state, settings, rest, endpoint, now)?,
                _ => return Err(ApiError::new(401, 10, "Unauthorized (bad authentication header type)")),
            }
        }
        None => match cookie(headers) {
            Some(token) => bearer(state, signer, &token, now)?,
            None => return Err(ApiError::missing_credentials()),
        },
    };
    acting(state, headers, caller)
}

/// The first cookie of the name counts.
fn cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == COOKIE).then(|| value.trim_matches('"').to_owned())
        })
}

fn bearer(state: &State, signer: &Signer, token: &str, now: Moment) -> Result<Caller, ApiError> {
    let checked = signer.check(token.trim(), now)?;
    if checked
        .session
        .as_ref()
        .is_some_and(|session| state.revoked.contains(session))
    {
        return Err(ApiError::new(401, 30, "Invalid token (revoked token)"));
    }
    // The real server stumbles here; nobody but the owner of the secret can sign such a token.
    let identity = checked
        .identity
        .ok_or_else(|| ApiError::new(500, 0, "tuple index out of range"))?;
    Ok(Caller {
        identity,
        session: checked.session,
    })
}

fn basic(
    state: &mut State,
    settings: &Settings,
    encoded: &str,
    endpoint: &str,
    now: Moment,
) -> Result<Caller, ApiError> {
    let unknown = || ApiError::bad_credentials("failed to locate provided credentials");
    let decoded = STANDARD
        .decode(encoded.trim())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(unknown)?;
    let (name, secret) = decoded.split_once(':').ok_or_else(unknown)?;

    let by_key = state
        .credentials
        .iter_mut()
        .find(|credential| credential.access_key == name && credential.secret_key == secret);
    let user = if let Some(credential) = by_key {
        credential.last_used = Some(now.naive());
        credential.user.clone()
    } else {
        let password = state
            .passwords
            .iter()
            .find(|password| settings.fixed_users && password.login == name)
            .ok_or_else(unknown)?;
        if password.secret != secret {
            return Err(ApiError::bad_credentials("bad username or password"));
        }
        password.user.clone()
    };
    let identity = state.identities.get(&user).cloned().ok_or_else(unknown)?;
    if identity.role == Role::Guest && endpoint != "auth.login" {
        return Err(ApiError::bad_credentials("endpoint not allowed for guest"));
    }
    Ok(Caller {
        identity,
        session: None,
    })
}

/// `X-Clearml-Impersonate-As` takes over a user's identity and role, `X-Clearml-Act-As` keeps the caller's role.
fn acting(state: &State, headers: &HeaderMap, caller: Caller) -> Result<Caller, ApiError> {
    let named = |names: [&str; 2]| names.into_iter().find_map(|name| headers.get(name)?.to_str().ok());
    let (user, keeps_role) = match (
        named(["x-clearml-impersonate-as", "x-trains-impersonate-as"]),
        named(["x-clearml-act-as", "x-trains-act-as"]),
    ) {
        (Some(user), _) => (user, false),
        (None, Some(user)) => (user, true),
        (None, None) => return Ok(caller),
    };
    let Identity { role, company, .. } = &caller.identity;
    if !matches!(role, Role::Admin | Role::System | Role::Root) {
        return Err(ApiError::new(
            400,
            6,
            format!(
                "Impersonation error (impersonation not allowed): role={}",
                role.as_str()
            ),
        ));
    }
    let found = state
        .identities
        .get(user)
        .filter(|found| found.company == *company || *role == Role::Root);
    let mut identity = found.cloned().ok_or_else(|| {
        ApiError::new(
            400,
            6,
            format!("Impersonation error (unknown user): id={user}, company={company}"),
        )
    })?;
    if keeps_role {
        identity.role = *role;
    }
    Ok(Caller { identity, ..caller })
}
