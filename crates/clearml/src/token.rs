//! What stands in a ClearML token. It is read, never judged: whether a token counts is the server's to say.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portico_core::secret::Secret;
use serde::Deserialize;

/// The claims that matter here. Source: tokens of clearml-server 2.3.0; an enterprise server's have more.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Claims {
    pub(crate) identity: Option<Identity>,
    pub(crate) iat: Option<f64>,
    pub(crate) exp: Option<f64>,
    pub(crate) api_version: Option<String>,
    pub(crate) server_version: Option<String>,
    pub(crate) feature_set: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Identity {
    pub(crate) user: Option<String>,
    pub(crate) user_name: Option<String>,
    pub(crate) company: Option<String>,
    pub(crate) role: Option<String>,
}

/// Reads a token's claims; `None` if it is no JWT.
pub(crate) fn claims(token: &Secret) -> Option<Claims> {
    let mut parts = token.reveal().split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// True if the token is signed (HS256) with `secret`.
pub(crate) fn is_signed_with(token: &Secret, secret: &Secret) -> bool {
    let Some((signed, signature)) = token.reveal().rsplit_once('.') else {
        return false;
    };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
}

/// Roles that may act for others.
pub(crate) fn is_administrator(role: Option<&str>) -> bool {
    matches!(role, Some("admin" | "root" | "system"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"alg":"HS256","typ":"JWT"}` and `{"identity":{"user":"u","company":"c","role":"admin"},"exp":7,"feature_set":"basic"}`,
    /// signed with `published`.
    fn token() -> Secret {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
            URL_SAFE_NO_PAD
                .encode(r#"{"identity":{"user":"u","company":"c","role":"admin"},"exp":7,"feature_set":"basic"}"#)
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"published");
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
        Secret::new(format!("{signed}.{signature}"))
    }

    #[test]
    fn claims_are_read() {
        let claims = claims(&token()).unwrap();
        let identity = claims.identity.unwrap();
        assert_eq!(identity.user.as_deref(), Some("u"));
        assert!(is_administrator(identity.role.as_deref()));
        assert!(!is_administrator(Some("user")));
        assert_eq!(claims.feature_set.as_deref(), Some("basic"));
    }

    #[test]
    fn a_public_secret_is_recognized_by_the_signature() {
        assert!(is_signed_with(&token(), &Secret::new("published")));
        assert!(!is_signed_with(&token(), &Secret::new("private")));
    }

    #[test]
    fn what_is_no_token_has_no_claims() {
        for text in ["", "a", "a.b", "a.b.c", "a.b.c.d", "..", "é.é.é"] {
            assert!(claims(&Secret::new(text)).is_none(), "{text}");
            assert!(!is_signed_with(&Secret::new(text), &Secret::new("published")), "{text}");
        }
    }
}
