//! Where the configuration is, and where the running gateway is asked.

use std::path::{Path, PathBuf};

use super::{ConfigFile, Socket};
use crate::config;

/// Read if it exists and nothing else is said.
const USUAL: &str = "/etc/portico/portico.yaml";

/// The file and the environment that a command goes by.
pub(super) struct Told {
    pub(super) file: Option<PathBuf>,
    pub(super) variables: Vec<(String, String)>,
}

impl Told {
    pub(super) fn by(file: &ConfigFile) -> Self {
        let variables = config::environment();
        let named = variables
            .iter()
            .find(|(name, value)| name == "PORTICO_CONFIG" && !value.is_empty());
        let named = named.map(|(_, path)| PathBuf::from(path));
        let usual = || Path::new(USUAL).exists().then(|| USUAL.into());
        Self {
            file: file.config.clone().or(named).or_else(usual),
            variables,
        }
    }
}

/// The control socket that is meant.
pub(super) fn socket(socket: &Socket) -> PathBuf {
    socket.socket.clone().unwrap_or_else(|| {
        let told = Told::by(&socket.file);
        config::socket(told.file.as_deref(), told.variables)
    })
}
