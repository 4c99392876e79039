//! The gateway's own token: minted with its key, renewed before it ends, one log-in at a time.

use std::time::Duration;

use portico_core::{clock::Timestamp, secret::Secret};
use serde::Deserialize;
use serde_json::json;

use super::{Call, CallError, Clearml, Credential, KeyState, encode};
use crate::{settings::KeyPair, token};

/// A key that was rejected is not tried again for so long, unless it changes.
const AFTER_REJECTION: Duration = Duration::from_secs(10);
/// How long a token without an end is used.
const ENDLESS: Duration = Duration::from_hours(24);

#[derive(Default)]
pub(super) struct OwnToken {
    current: Option<Current>,
    rejected: Option<(KeyPair, Timestamp, CallError)>,
}

struct Current {
    keys: KeyPair,
    token: Secret,
    renew_at: Timestamp,
}

/// The answer of `auth.login`.
#[derive(Deserialize)]
pub(crate) struct Login {
    pub(crate) token: Secret,
}

impl Clearml {
    /// The gateway's own token. Whoever asks while somebody else logs in waits for that log-in.
    pub(super) async fn own_token(&self) -> Result<Secret, CallError> {
        let mut own = self.0.own.lock().await;
        let keys = self.0.wire.settings().keys.get();
        let now = self.0.clock.now();
        if let Some(current) = &own.current
            && current.keys == *keys
            && now < current.renew_at
        {
            return Ok(current.token.clone());
        }
        if let Some((rejected, at, why)) = &own.rejected
            && *rejected == *keys
            && now.since(*at) < AFTER_REJECTION
        {
            return Err(why.clone());
        }
        match self.log_in(&keys).await {
            Ok(current) => {
                let token = current.token.clone();
                own.rejected = None;
                own.current = Some(current);
                Ok(token)
            }
            Err(why @ CallError::OwnKeyRejected(_)) => {
                own.current = None;
                own.rejected = Some(((*keys).clone(), now, why.clone()));
                Err(why)
            }
            // The old token may still count although no new one can be had: the server is busy or away.
            Err(why) => match &own.current {
                Some(current) if current.keys == *keys && why.is_passing() => Ok(current.token.clone()),
                _ => Err(why),
            },
        }
    }

    /// Drops a token that the server did not take, unless it was replaced in the meantime.
    pub(super) async fn forget_own_token(&self, token: &Secret) {
        let mut own = self.0.own.lock().await;
        if own.current.as_ref().is_some_and(|current| current.token == *token) {
            own.current = None;
        }
    }

    async fn log_in(&self, keys: &KeyPair) -> Result<Current, CallError> {
        let call = Call {
            endpoint: "auth.login",
            credential: Credential::Basic(&keys.key, &keys.secret),
            on_behalf_of: None,
            answer_limit: self.answer_limit(),
        };
        let answer: Result<Login, CallError> = self.once(call, &encode(&json!({}))?).await;
        let token = match answer {
            Ok(login) => login.token,
            Err(CallError::Refused {
                code: 401 | 403,
                message,
                ..
            }) => {
                self.note_key(&KeyState::Refused(message.clone()));
                return Err(CallError::OwnKeyRejected(message));
            }
            Err(error) => return Err(error),
        };
        let claims = token::claims(&token)
            .ok_or_else(|| CallError::Untrusted("auth.login gave something that is no token".to_owned()))?;
        if claims.identity.as_ref().is_none_or(|who| who.company.is_none()) {
            return Err(CallError::Untrusted(
                "the token of auth.login names no company".to_owned(),
            ));
        }
        // Both ends are the server's times, so their difference holds even if the clocks differ.
        let lifetime = match (claims.iat, claims.exp) {
            (Some(from), Some(until)) => Duration::try_from_secs_f64(until - from).unwrap_or_default(),
            _ => ENDLESS,
        };
        let public_secrets = &self.0.wire.settings().public_secrets;
        self.change_facts(|facts| facts.with_token(&token, &claims, public_secrets));
        tracing::debug!("logged in to clearml with the gateway's own key");
        let renew_at = self.0.clock.now().plus(lifetime.mul_f64(0.8));
        Ok(Current {
            keys: keys.clone(),
            token,
            renew_at,
        })
    }
}
