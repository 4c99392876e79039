//! What the server is, as its own words and the gateway's token tell.

use std::{fmt, sync::Arc};

use portico_core::{
    principal::{CompanyId, UserId},
    secret::Secret,
};

use crate::token::{Claims, is_signed_with};

/// What is known about the server. `None`: not known yet, or the server does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerFacts {
    /// Whether the gateway's own key works.
    pub key: KeyState,
    /// Open source or enterprise.
    pub feature_set: Option<FeatureSet>,
    /// The newest version of the API.
    pub api_version: Option<ApiVersion>,
    /// The server's own version, such as `2.3.0`.
    pub server_version: Option<Arc<str>>,
    /// The company of the gateway's own key: everything observed belongs to it.
    pub company: Option<CompanyId>,
    /// Whose the gateway's own key is.
    pub user: Option<UserId>,
    /// The role of the gateway's own key, such as `user` or `admin`.
    pub role: Option<Arc<str>>,
    /// False if any name logs in without a password: the open-source server as it comes out of the box.
    pub has_passwords: Option<bool>,
    /// True if the server signs tokens with a secret that the public knows, so that anybody can be anybody.
    pub signs_with_public_secret: Option<bool>,
}

/// Whether the gateway's own key works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyState {
    /// Not tried yet, or the server could not be asked.
    #[default]
    Unknown,
    /// It works.
    Accepted,
    /// The server rejects it, with these words.
    Refused(String),
}

/// What the server is licensed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureSet {
    /// Open source: the SDK refuses to ask for endpoints, and every colleague may edit every task.
    Basic,
    /// Enterprise.
    Advanced,
}

/// A version of the API.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// Before the dot.
    pub major: u32,
    /// After it: a number of its own, so 2.4 comes before 2.34.
    pub minor: u32,
}

impl ApiVersion {
    /// The first that has `tasks.edit_runtime` (clearml-server 2.3.0).
    pub const EDIT_RUNTIME: Self = Self { major: 2, minor: 34 };

    /// Reads `2.34`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.major, self.minor)
    }
}

impl fmt::Debug for ApiVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl ServerFacts {
    /// These facts, with what a fresh token of the gateway's own tells.
    #[must_use]
    pub(crate) fn with_token(&self, token: &Secret, claims: &Claims, public_secrets: &[Secret]) -> Self {
        let identity = claims.identity.as_ref();
        let identity =
            |field: fn(&crate::token::Identity) -> &Option<String>| identity.and_then(|who| field(who).as_deref());
        Self {
            key: KeyState::Accepted,
            feature_set: claims.feature_set.as_deref().map(|word| match word {
                "advanced" => FeatureSet::Advanced,
                _ => FeatureSet::Basic,
            }),
            api_version: claims.api_version.as_deref().and_then(ApiVersion::parse),
            server_version: claims.server_version.as_deref().map(Arc::from),
            company: identity(|who| &who.company).map(CompanyId::new),
            user: identity(|who| &who.user).map(UserId::new),
            role: identity(|who| &who.role).map(Arc::from),
            has_passwords: self.has_passwords,
            signs_with_public_secret: Some(public_secrets.iter().any(|secret| is_signed_with(token, secret))),
        }
    }

    /// True for an enterprise server.
    pub fn is_enterprise(&self) -> bool {
        self.feature_set == Some(FeatureSet::Advanced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_and_not_as_text() {
        let version = |text| ApiVersion::parse(text).unwrap();
        assert!(version("2.4") < version("2.34"));
        assert!(version("2.36") >= ApiVersion::EDIT_RUNTIME);
        assert!(version("3.0") > version("2.99"));
        assert_eq!(ApiVersion::parse("2"), None);
        assert_eq!(ApiVersion::parse("2.x"), None);
    }
}
