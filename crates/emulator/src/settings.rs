//! How the server is set up.

use serde::{Deserialize, Serialize};

/// The release that is emulated.
pub const SERVER_VERSION: &str = "2.3.0";
/// The newest version of the API.
pub const API_VERSION: &str = "2.34";
/// Days that a token lives when the caller does not say otherwise: 30.
pub(crate) const TOKEN_SECS: i64 = 2_592_000;
/// The most that a caller may ask for: a year.
pub(crate) const TOKEN_MAX_SECS: i64 = 31_536_000;

/// What the server claims to be licensed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureSet {
    /// The open-source server. The SDK refuses to ask for endpoints.
    #[default]
    Basic,
    /// The enterprise server, as far as the SDK looks: endpoints may be asked for, vaults are read.
    Advanced,
}

impl FeatureSet {
    /// The word in the token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Advanced => "advanced",
        }
    }
}

/// How the server is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Open source or enterprise.
    pub feature_set: FeatureSet,
    /// Whether users have passwords. Out of the box the open-source server has none: any name logs in by way of the web application's key.
    pub fixed_users: bool,
    /// `Domain` of the session cookie; without it the cookie belongs to the host alone.
    pub cookie_domain: Option<String>,
    /// Whether the session cookie is `Secure`.
    pub cookie_secure: bool,
    /// Whether `/_emulator/…` answers: the controls for tests.
    pub control: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            feature_set: FeatureSet::Basic,
            fixed_users: true,
            cookie_domain: None,
            cookie_secure: false,
            control: false,
        }
    }
}

impl From<FeatureSet> for Settings {
    fn from(feature_set: FeatureSet) -> Self {
        Self {
            feature_set,
            ..Self::default()
        }
    }
}
