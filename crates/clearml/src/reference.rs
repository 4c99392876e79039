//! Fields that refer to something else: `{"id": "…"}` in lists, the plain id elsewhere, null or absent where there is nothing.

use serde::{Deserialize, de::IgnoredAny};

/// A reference as the server writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Reference {
    Plain(String),
    Object { id: String },
    Nothing(IgnoredAny),
}

impl Reference {
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Plain(id) | Self::Object { id } if !id.is_empty() => Some(id),
            _ => None,
        }
    }
}
