//! What is asked of the ClearML server: whose credential this is, and which tasks a user sees.

use std::{fmt, sync::Arc, time::Duration};

use portico_core::{
    Answer,
    clock::Timestamp,
    endpoint::TaskId,
    principal::{CompanyId, User, UserId},
    secret::Secret,
};

/// Something that ClearML can tell the owner of.
#[derive(Clone, PartialEq, Eq)]
pub enum ClearmlCredential {
    /// A token (JWT) that the server signed.
    Token(Secret),
    /// An API key and its secret.
    KeyPair {
        /// The access key. Not secret, but not shown either.
        key: String,
        /// Its secret.
        secret: Secret,
    },
    /// A fixed user's name and password.
    Password {
        /// The user name.
        user: String,
        /// The password.
        password: Secret,
    },
}

impl ClearmlCredential {
    /// What a person typed into a log-in form: an API key and its secret if the name looks like a key, else user name
    /// and password.
    pub fn typed(name: &str, secret: Secret) -> Self {
        if looks_like_key(name) {
            Self::KeyPair {
                key: name.to_owned(),
                secret,
            }
        } else {
            Self::Password {
                user: name.to_owned(),
                password: secret,
            }
        }
    }
}

impl fmt::Debug for ClearmlCredential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Token(_) => "Token(***)",
            Self::KeyPair { .. } => "KeyPair(***)",
            Self::Password { .. } => "Password(***)",
        })
    }
}

/// True for what ClearML makes up as access keys: 20 to 40 capital letters and digits (clearml-server 2.x: 20 or 30).
pub fn looks_like_key(name: &str) -> bool {
    (20..=40).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// What the server says of a credential that it accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is.
    pub user: UserId,
    /// In which company.
    pub company: CompanyId,
    /// The user's name, for people. Escape it.
    pub name: Arc<str>,
    /// ClearML role `admin`, `root` or `system`.
    pub is_administrator: bool,
    /// A token of this user: the one that was asked about, or one that was minted for it.
    pub token: Secret,
    /// When `token` ends; `None` if it never does.
    pub expires: Option<Timestamp>,
}

/// Why the server did not say yes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// It said no.
    #[error("clearml rejects the credential")]
    Rejected,
    /// It said nothing that could be understood; the text is for the operator and holds no secret.
    #[error("clearml cannot be asked: {0}")]
    Unavailable(String),
}

/// Whose is this credential?
pub trait CredentialCheck: Send + Sync {
    /// Asks the server. With a `lifetime`, a token of that length is minted and returned, whatever the credential was;
    /// without, a token that is asked about is returned as it is.
    fn check<'a>(
        &'a self,
        credential: &'a ClearmlCredential,
        lifetime: Option<Duration>,
    ) -> Answer<'a, Result<Verified, CheckError>>;
}

/// The server said nothing that could be understood; the text is for the operator and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("clearml cannot be asked: {0}")]
pub struct Unavailable(pub String);

/// Which of these tasks does this user see?
pub trait Visibility: Send + Sync {
    /// Asks the server on the user's behalf. Returns those of `tasks` that exist and that the user may see.
    fn visible<'a>(&'a self, user: &'a User, tasks: &'a [TaskId]) -> Answer<'a, Result<Vec<TaskId>, Unavailable>>;
}
