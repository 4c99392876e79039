//! Who asks.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, secret::Secret};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the id's text.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The id's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, out)
            }
        }
    };
}

text_id! {
    /// A ClearML user's id.
    UserId
}
text_id! {
    /// A ClearML company's (tenant's) id.
    CompanyId
}
text_id! {
    /// The id of one of Portico's sessions: random, not secret, for revocation and audit.
    SessionId
}

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// No credential that counts.
    Nobody,
    /// A ClearML user.
    User(Arc<User>),
}

/// A ClearML user, as ClearML itself (or a session that we sealed after ClearML said so) tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// In which company.
    pub company: CompanyId,
    /// For people. Escape it.
    pub name: Arc<str>,
    /// ClearML role `admin`, `root` or `system`.
    pub is_administrator: bool,
    /// By what the user came in.
    pub method: Method,
    /// The session, when `method` is [`Method::Session`].
    pub session: Option<SessionId>,
    /// When this identity ends at the latest.
    pub expires: Option<Timestamp>,
    /// A ClearML token of the user, to ask ClearML on the user's behalf.
    pub token: Secret,
}

/// By which kind of credential a user came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A ClearML token in a header.
    Bearer,
    /// A ClearML key and secret in a header.
    Basic,
    /// The cookie of a ClearML log-in.
    ClearmlCookie,
    /// Portico's own session cookie.
    Session,
}

impl Method {
    /// True if a browser sends it by itself, so that a foreign page could use it.
    pub fn is_ambient(self) -> bool {
        matches!(self, Self::ClearmlCookie | Self::Session)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::ClearmlCookie => "clearml_cookie",
            Self::Session => "session",
        })
    }
}
