//! The client: every call to the ClearML API goes through here, bounded in time and size.

mod backoff;
mod envelope;
mod error;
mod own_token;
mod wire;

use std::{sync::Arc, time::Duration};

use portico_core::{
    clock::Clock,
    live::{Live, Publish, live},
    principal::UserId,
    secret::Secret,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Mutex;

pub(crate) use backoff::pause;
pub use error::CallError;
pub(crate) use own_token::Login;
pub use wire::BadSettings;
use wire::{Call, Credential, Wire};

use crate::{
    facts::{KeyState, ServerFacts},
    settings::Settings,
};

/// Between two looks at the server's facts.
const FACTS_EVERY: Duration = Duration::from_mins(10);

/// A client of one ClearML server. Clones share the connection pool and the gateway's own token.
#[derive(Clone)]
pub struct Clearml(Arc<Inner>);

struct Inner {
    wire: Wire,
    clock: Arc<dyn Clock>,
    own: Mutex<own_token::OwnToken>,
    facts: Publish<ServerFacts>,
    /// Held while the facts change: what two calls learn at once must not replace one another.
    changing_facts: std::sync::Mutex<()>,
}

/// For whom a call is made, and with what.
#[derive(Clone, Copy)]
pub(crate) enum Caller<'a> {
    /// Nobody: the call needs no log-in.
    Nobody,
    /// A user, by the user's own token.
    Token(&'a Secret),
    /// Somebody with a key and secret, or user name and password.
    Basic(&'a str, &'a Secret),
}

impl Clearml {
    /// A client. Nothing is sent before the first call.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, BadSettings> {
        Ok(Self(Arc::new(Inner {
            wire: Wire::new(settings)?,
            clock,
            own: Mutex::default(),
            facts: live(ServerFacts::default()).0,
            changing_facts: std::sync::Mutex::default(),
        })))
    }

    /// What is known about the server.
    pub fn facts(&self) -> Live<ServerFacts> {
        self.0.facts.follow()
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Logs in with the gateway's own key and asks how users log in, so that [`Clearml::facts`] are known.
    pub async fn learn_facts(&self) -> Result<(), CallError> {
        #[derive(serde::Deserialize)]
        struct Modes {
            #[serde(default)]
            basic: Basic,
            #[serde(default)]
            sso: serde_json::Value,
            #[serde(default)]
            sso_providers: Vec<serde::de::IgnoredAny>,
        }
        #[derive(Default, serde::Deserialize)]
        struct Basic {
            #[serde(default)]
            enabled: bool,
        }
        let modes: Modes = self
            .call_as(Caller::Nobody, "login.supported_modes", &serde_json::json!({}))
            .await?;
        let has_single_sign_on =
            modes.sso.as_object().is_some_and(|sso| !sso.is_empty()) || !modes.sso_providers.is_empty();
        let has_passwords = Some(modes.basic.enabled || has_single_sign_on);
        self.change_facts(|facts| ServerFacts {
            has_passwords,
            ..facts.clone()
        });
        self.own_token().await.map(drop)
    }

    /// Keeps [`Clearml::facts`] fresh until `shutdown`: at once, then every ten minutes; after a failure sooner.
    pub async fn watch_facts(self, shutdown: tokio_util::sync::CancellationToken) {
        let mut failures = 0;
        loop {
            let wait = match self.learn_facts().await {
                Ok(()) => {
                    failures = 0;
                    FACTS_EVERY
                }
                Err(error) => {
                    failures += 1;
                    tracing::debug!(reason = error.reason(), "the server's facts are not known: {error}");
                    pause(failures)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// A call with the gateway's own key. A token that the server no longer takes is renewed once.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        endpoint: &'static str,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        self.call_on_behalf_of(None, endpoint, body).await
    }

    /// As [`Self::call`], where no answer of more than `answer_limit` bytes is read.
    pub(crate) async fn call_within<T: DeserializeOwned>(
        &self,
        answer_limit: usize,
        endpoint: &'static str,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        self.call_with(None, answer_limit, endpoint, body).await
    }

    /// The longest answer that is read, in bytes.
    pub(crate) fn answer_limit(&self) -> usize {
        self.0.wire.settings().answer_limit
    }

    /// A call with the gateway's own key, on behalf of a user if one is given.
    pub(crate) async fn call_on_behalf_of<T: DeserializeOwned>(
        &self,
        user: Option<&UserId>,
        endpoint: &'static str,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        self.call_with(user, self.answer_limit(), endpoint, body).await
    }

    async fn call_with<T: DeserializeOwned>(
        &self,
        user: Option<&UserId>,
        answer_limit: usize,
        endpoint: &'static str,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        let body = encode(body)?;
        let token = self.own_token().await?;
        let call = |token| Call {
            endpoint,
            credential: Credential::Bearer(token),
            on_behalf_of: user,
            answer_limit,
        };
        match self.once(call(&token), &body).await {
            Err(error) if error.is_bad_token() => {
                self.forget_own_token(&token).await;
                let token = self.own_token().await?;
                self.once(call(&token), &body).await.map_err(|error| match error {
                    // A key that logs in, and a token that does not count: the operator must look at the server.
                    CallError::Refused { message, .. } if error.is_bad_token() => {
                        let why = CallError::OwnKeyRejected(message.clone());
                        self.note_key(&KeyState::Refused(message));
                        why
                    }
                    error => error,
                })
            }
            other => other,
        }
    }

    /// A call for somebody who waits: tried again for a while if the server is busy or was not reached.
    pub(crate) async fn call_as<T: DeserializeOwned>(
        &self,
        caller: Caller<'_>,
        endpoint: &'static str,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        let body = encode(body)?;
        let credential = match caller {
            Caller::Nobody => Credential::Nobody,
            Caller::Token(token) => Credential::Bearer(token),
            Caller::Basic(user, secret) => Credential::Basic(user, secret),
        };
        let mut failures = 0;
        loop {
            let call = Call {
                endpoint,
                credential,
                on_behalf_of: None,
                answer_limit: self.answer_limit(),
            };
            match self.once(call, &body).await {
                Err(error) if error.is_passing() && failures + 1 < self.0.wire.settings().tries => {
                    failures += 1;
                    tokio::time::sleep(pause(failures)).await;
                }
                other => return other,
            }
        }
    }

    async fn once<T: DeserializeOwned>(&self, call: Call<'_>, body: &[u8]) -> Result<T, CallError> {
        let answer = self.0.wire.send(call, body.to_vec()).await?;
        envelope::open(call.endpoint, &answer.url, answer.status, &answer.body)
    }

    fn change_facts(&self, change: impl Fn(&ServerFacts) -> ServerFacts) {
        let _alone = self
            .0
            .changing_facts
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = self.0.facts.get();
        let after = change(&before);
        if after != *before {
            self.0.facts.publish(after);
        }
    }

    fn note_key(&self, key: &KeyState) {
        self.change_facts(|facts| ServerFacts {
            key: key.clone(),
            ..facts.clone()
        });
    }
}

fn encode(body: &impl Serialize) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(body).map_err(|error| CallError::Untrusted(format!("the request cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use portico_core::clock::ManualClock;

    use super::*;
    use crate::settings::KeyPair;

    #[test]
    fn what_two_calls_learn_at_once_is_all_kept() {
        let settings = Settings::new("http://127.0.0.1:9", Live::fixed(KeyPair::default()));
        let clearml = Clearml::new(settings, Arc::new(ManualClock::default())).expect("good settings");
        let (begun, begins) = std::sync::mpsc::channel();
        let (done, second) = std::sync::mpsc::channel();
        std::thread::scope(|threads| {
            let other = &clearml;
            threads.spawn(move || {
                begins.recv().expect("the first change begins");
                other.note_key(&KeyState::Accepted);
                // The first change may be over by now.
                let _ = done.send(());
            });
            clearml.change_facts(|facts| {
                begun.send(()).expect("the second change waits for it");
                // The second change comes in between if it can.
                let _ = second.recv_timeout(Duration::from_millis(200));
                ServerFacts {
                    has_passwords: Some(true),
                    ..facts.clone()
                }
            });
        });
        let facts = clearml.0.facts.get();
        assert_eq!((&facts.key, facts.has_passwords), (&KeyState::Accepted, Some(true)));
    }
}
