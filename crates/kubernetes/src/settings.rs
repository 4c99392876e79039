//! Where the API server is and as whom it is asked.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use kube::{Client, Config};
use portico_core::secret::Secret;

use crate::api::Kube;

/// Where a pod finds its service account: `token`, `ca.crt` and `namespace`.
pub const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the API server is and as whom it is asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://10.0.0.1:443`.
    pub server: String,
    /// Certificates that the server's may be signed by; read again every minute. `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// The file with the account's token; read again every minute, because Kubernetes replaces it.
    pub token_file: Option<PathBuf>,
    /// A token, in place of a file.
    pub token: Option<Secret>,
}

impl Settings {
    /// As a pod finds them: `host` and `port` from `KUBERNETES_SERVICE_HOST` and `…_PORT`, the rest below [`ACCOUNT`].
    pub fn in_cluster(host: &str, port: &str) -> Self {
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        let account = Path::new(ACCOUNT);
        Self {
            server: format!("https://{host}:{port}"),
            ca_file: Some(account.join("ca.crt")),
            token_file: Some(account.join("token")),
            token: None,
        }
    }
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is none.
    #[error("the API server's address {0:?} is no URL")]
    Address(String),
    /// Certificates or token cannot be used.
    #[error("no client for the API server: {0}")]
    Client(String),
}

/// A client. Nothing is asked yet.
///
/// # Errors
/// An address that is none; certificates that cannot be read.
pub fn connect(settings: &Settings) -> Result<Kube, ConnectError> {
    let address = settings
        .server
        .parse()
        .map_err(|_| ConnectError::Address(settings.server.clone()))?;
    let mut config = Config::new(address);
    config.connect_timeout = Some(CONNECT);
    // Who asks again decides when.
    config.default_retry = false;
    config.root_cert_file.clone_from(&settings.ca_file);
    // The file is all that counts. Without this the system's certificates are loaded first, which an empty image does not have.
    config.root_cert = settings.ca_file.as_ref().map(|_| Vec::new());
    config.auth_info.token_file = settings.token_file.as_ref().map(|path| path.display().to_string());
    config.auth_info.token = settings.token.as_ref().map(|token| token.reveal().to_owned().into());
    let client = Client::try_from(config).map_err(|error| ConnectError::Client(error.to_string()))?;
    Ok(Kube::new(client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_six_bytes_and_one_of_four_are_both_urls() {
        assert_eq!(Settings::in_cluster("10.0.0.1", "443").server, "https://10.0.0.1:443");
        assert_eq!(Settings::in_cluster("fd00::1", "443").server, "https://[fd00::1]:443");
    }
}
