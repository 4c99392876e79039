//! How the ClearML server is reached.

use std::time::Duration;

use portico_core::{live::Live, secret::Secret};

/// An API key of ClearML with its secret.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct KeyPair {
    /// The public half.
    pub key: String,
    /// The secret half.
    pub secret: Secret,
}

/// How the ClearML server is reached. Durations bound one call; a call that is tried again starts anew.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The API server's base URL, such as `https://api.clearml.example.com` or `http://clearml:8008`.
    pub api_host: String,
    /// The gateway's own key. A new value is used from the next call on.
    pub keys: Live<KeyPair>,
    /// Whether the server's certificate must be valid. Off is for trials only.
    pub verifies_tls: bool,
    /// Certificates (PEM, one or several) that are trusted besides the system's.
    pub ca_bundle: Option<Vec<u8>>,
    /// Whether `HTTPS_PROXY` and its kin are obeyed.
    pub obeys_system_proxy: bool,
    /// For the TCP and TLS handshake.
    pub connect_timeout: Duration,
    /// For a whole call, its answer's body included.
    pub call_timeout: Duration,
    /// The longest answer that is read, in bytes.
    pub answer_limit: usize,
    /// How often a call on behalf of a waiting user is tried when the server is busy or unreachable; the first try counts.
    pub tries: u32,
    /// Secrets that the public knows. A server that signs its tokens with one of them lets everybody in.
    pub public_secrets: Vec<Secret>,
}

impl Settings {
    /// The defaults for a server at `api_host`.
    pub fn new(api_host: impl Into<String>, keys: Live<KeyPair>) -> Self {
        Self {
            api_host: api_host.into(),
            keys,
            verifies_tls: true,
            ca_bundle: None,
            obeys_system_proxy: true,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            answer_limit: 64 << 20,
            tries: 3,
            public_secrets: vec![Secret::new(PUBLIC_TOKEN_SECRET)],
        }
    }
}

/// What the open-source server signs tokens with unless its administrator says otherwise: the value of `token_secret` in the
/// repository's `apiserver/config/default/secure.conf`. It is here to warn of it.
const PUBLIC_TOKEN_SECRET: &str = "7E1ua3xP9GT2(cIQOfhjp+gwN6spBeCAmN-XuugYle00I=Wc+u";
