//! One call over HTTP: bounded in time and size, without redirects and cookies.

use portico_core::{foreign_text::one_line, principal::UserId, secret::Secret};
use reqwest::{
    Certificate, Client, Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};

use super::error::CallError;
use crate::settings::Settings;

/// Why no client could be made of the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// The API server's address.
    #[error(
        "the API server's address {0:?} is not an absolute http:// or https:// URL without user name, query and fragment"
    )]
    ApiHost(String),
    /// The certificates.
    #[error("the CA bundle cannot be read: {0}")]
    CaBundle(String),
    /// The TLS library.
    #[error("no HTTP client can be made: {0}")]
    Client(String),
}

/// What is sent as `Authorization`.
#[derive(Clone, Copy)]
pub(super) enum Credential<'a> {
    Nobody,
    Bearer(&'a Secret),
    Basic(&'a str, &'a Secret),
}

/// One call.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) endpoint: &'static str,
    pub(super) credential: Credential<'a>,
    /// On behalf of this user: the server allows it to administrators' keys only.
    pub(super) on_behalf_of: Option<&'a UserId>,
    /// The longest answer that is read, in bytes.
    pub(super) answer_limit: usize,
}

/// An answer as it came.
pub(super) struct RawAnswer {
    pub(super) url: String,
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

pub(super) struct Wire {
    client: Client,
    base: Url,
    settings: Settings,
}

const CLIENT_NAME: &str = concat!("portico-", env!("CARGO_PKG_VERSION"));

impl Wire {
    #[expect(clippy::disallowed_methods, reason = "the one client, with its limits")]
    pub(super) fn new(settings: Settings) -> Result<Self, BadSettings> {
        let bad = || BadSettings::ApiHost(one_line(&settings.api_host));
        let mut base = Url::parse(settings.api_host.trim()).map_err(|_| bad())?;
        let is_plain = base.username().is_empty()
            && base.password().is_none()
            && base.query().is_none()
            && base.fragment().is_none()
            && base.has_host();
        if !is_plain || !matches!(base.scheme(), "http" | "https") {
            return Err(bad());
        }
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let mut builder = Client::builder()
            .user_agent(CLIENT_NAME)
            .redirect(Policy::none())
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.call_timeout)
            .tls_danger_accept_invalid_certs(!settings.verifies_tls);
        if let Some(bundle) = &settings.ca_bundle {
            let bad = |error: &dyn std::fmt::Display| BadSettings::CaBundle(one_line(&error.to_string()));
            let certificates = Certificate::from_pem_bundle(bundle).map_err(|error| bad(&error))?;
            if certificates.is_empty() {
                return Err(bad(&"it holds no certificate"));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        if !settings.obeys_system_proxy {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| BadSettings::Client(one_line(&innermost(&error).to_string())))?;
        Ok(Self { client, base, settings })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sends one call and reads its answer.
    pub(super) async fn send(&self, call: Call<'_>, body: Vec<u8>) -> Result<RawAnswer, CallError> {
        let Call {
            endpoint,
            credential,
            on_behalf_of,
            answer_limit,
        } = call;
        let url = format!("{}{endpoint}", self.base);
        let mut request = self
            .client
            .post(&url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("X-Clearml-Client", HeaderValue::from_static(CLIENT_NAME))
            .body(body);
        request = match credential {
            Credential::Nobody => request,
            Credential::Basic(user, secret) => request.basic_auth(user, Some(secret.reveal())),
            Credential::Bearer(token) => match bearer(token) {
                Some(value) => request.header(AUTHORIZATION, value),
                // No server takes it, and it must not become a failure of the network.
                None => return Err(unsendable(endpoint)),
            },
        };
        if let Some(user) = on_behalf_of {
            request = request.header("X-Clearml-Impersonate-As", user.as_str());
        }
        let answer = request.send().await.map_err(|error| self.network(&url, &error))?;
        let status = answer.status().as_u16();
        if answer.status().is_redirection() {
            let target = answer.headers().get("location").and_then(|value| value.to_str().ok());
            let detail = format!("a redirect to {:?}", one_line(target.unwrap_or_default()));
            return Err(CallError::BadAnswer { url, detail });
        }
        let body = self.read(&url, answer, answer_limit).await?;
        Ok(RawAnswer { url, status, body })
    }

    async fn read(&self, url: &str, mut answer: Response, limit: usize) -> Result<Vec<u8>, CallError> {
        let too_large = || CallError::TooLarge {
            url: url.to_owned(),
            limit,
        };
        let announced = usize::try_from(answer.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
        if announced > limit {
            return Err(too_large());
        }
        let mut body = Vec::with_capacity(announced);
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.network(url, &error))? {
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn network(&self, url: &str, error: &reqwest::Error) -> CallError {
        let url = url.to_owned();
        if error.is_timeout() {
            let settings = &self.settings;
            let limit = if error.is_connect() {
                settings.connect_timeout
            } else {
                settings.call_timeout
            };
            return CallError::Timeout { url, limit };
        }
        let mut detail = one_line(&innermost(error).to_string());
        detail.push_str(advice(&detail));
        CallError::Unreachable { url, detail }
    }
}

/// What to do, where the library's word does not say it. Others of its words (a wrong name, an expired certificate) do.
fn advice(detail: &str) -> &'static str {
    if detail.contains("UnknownIssuer") {
        "; if your own authority has signed it, name it in clearml.ca_bundle (in the chart: customCertificates)"
    } else {
        ""
    }
}

fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The answer that the server gives to a token that is none.
fn unsendable(endpoint: &'static str) -> CallError {
    let message = "Invalid token (not fit for a header)".to_owned();
    CallError::Refused {
        endpoint,
        code: 401,
        subcode: 30,
        message,
    }
}

/// The outer errors only repeat the URL.
fn innermost<'e>(error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}
