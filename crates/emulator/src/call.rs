//! One call: who asks, with what, of which memory.

use crate::{
    arguments::Arguments,
    clock::Moment,
    error::ApiError,
    settings::Settings,
    state::State,
    token::{Identity, Signer},
};

/// A call on its way through a service.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) signer: &'a Signer,
    pub(crate) settings: &'a Settings,
    pub(crate) now: Moment,
    pub(crate) caller: Option<Caller>,
    pub(crate) arguments: Arguments,
    /// Set by log-in and log-out: the value of `Set-Cookie`.
    pub(crate) cookie: Option<String>,
    /// Where the call comes from.
    pub(crate) peer: String,
}

/// Somebody who was let in.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    /// Session of the token; a caller with key or password has none.
    pub(crate) session: Option<String>,
}

impl Call<'_> {
    /// Who calls.
    pub(crate) fn identity(&self) -> Result<&Identity, ApiError> {
        self.caller
            .as_ref()
            .map(|caller| &caller.identity)
            .ok_or_else(ApiError::missing_credentials)
    }

    /// The caller's company.
    pub(crate) fn company(&self) -> Result<String, ApiError> {
        self.identity().map(|identity| identity.company.clone())
    }

    /// The caller's user id.
    pub(crate) fn user(&self) -> Result<String, ApiError> {
        self.identity().map(|identity| identity.user.clone())
    }
}
