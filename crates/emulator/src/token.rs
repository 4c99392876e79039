//! Tokens: HS256 with the claims that the real server signs (observed with clearml-server 2.3.0).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    clock::Moment,
    error::ApiError,
    ids,
    seed::Role,
    settings::{API_VERSION, FeatureSet, SERVER_VERSION},
};

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// User id.
    pub(crate) user: String,
    /// Company id.
    pub(crate) company: String,
    /// What the caller may do.
    pub(crate) role: Role,
    /// Shown name.
    #[serde(default)]
    pub(crate) user_name: String,
    /// Shown name of the company.
    #[serde(default)]
    pub(crate) company_name: String,
}

/// What a checked token says.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    /// Who it names; a signed token may name nobody.
    pub(crate) identity: Option<Identity>,
    /// The session that a log-out revokes.
    pub(crate) session: Option<String>,
}

/// Signs and checks tokens.
pub(crate) struct Signer {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Signer {
    /// A signer with that secret.
    pub(crate) fn new(secret: &str) -> Self {
        Self {
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            decoding: DecodingKey::from_secret(secret.as_bytes()),
        }
    }

    /// A token for `identity` that ends after `lifetime_secs`; the system's tokens do not end.
    pub(crate) fn issue(
        &self,
        identity: &Identity,
        features: FeatureSet,
        now: Moment,
        lifetime_secs: i64,
    ) -> Result<String, ApiError> {
        let mut claims = json!({
            "auth_type": "Bearer",
            "identity": identity,
            "env": "<unknown>",
            "session_id": ids::fresh(),
            "iat": now.secs(),
            "api_version": API_VERSION,
            "server_version": SERVER_VERSION,
            "server_build": "",
            "feature_set": features.as_str(),
        });
        if identity.role != Role::System {
            claims["exp"] = json!(now.secs() + lifetime_secs);
        }
        self.sign(&claims)
    }

    /// A token with any claims: what somebody with the secret could sign.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, ApiError> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .map_err(|error| ApiError::new(500, 0, error.to_string()))
    }

    /// Checks signature, `exp` and `nbf`, with the server's words for each failure.
    pub(crate) fn check(&self, token: &str, now: Moment) -> Result<Checked, ApiError> {
        let reason = |why: &str| ApiError::bad_token(why);
        let mut segments = token.split('.');
        let (Some(header), Some(_), Some(_), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(reason("Not enough segments"));
        };
        let header = URL_SAFE_NO_PAD
            .decode(header.trim_end_matches('='))
            .map_err(|_| reason("Invalid header padding"))?;
        let header: Value = serde_json::from_slice(&header).map_err(|_| reason("Invalid header string"))?;
        match header["alg"].as_str() {
            Some("HS256") => {}
            Some("none") => {
                let msg = "Invalid token (jwt invalid key error): reason=When alg = \"none\", key value must be None.";
                return Err(ApiError::new(401, 30, msg));
            }
            _ => return Err(reason("The specified alg value is not allowed")),
        }
        let mut validation = Validation::new(Algorithm::HS256);
        // The library would compare with the system's clock; the server's clock can be moved.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Value>(token, &self.decoding, &validation)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => reason("Signature verification failed"),
                _ => reason("Invalid payload string"),
            })?
            .claims;
        if claims["nbf"].as_i64().is_some_and(|from| from > now.secs()) {
            return Err(reason("The token is not yet valid (nbf)"));
        }
        if claims["exp"].as_i64().is_some_and(|end| end <= now.secs()) {
            return Err(reason("Signature has expired"));
        }
        Ok(Checked {
            identity: serde_json::from_value(claims["identity"].clone()).ok(),
            session: claims["session_id"].as_str().map(str::to_owned),
        })
    }
}
