//! What a test's world is like.

use portico_emulator::FeatureSet;

pub(crate) struct Plan {
    pub(crate) feature_set: FeatureSet,
    pub(crate) applications: usize,
    /// Whether the gateway's state is in a file that outlives it.
    pub(crate) remembers: bool,
    /// Whether log-in has an origin of its own.
    pub(crate) has_console: bool,
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            feature_set: FeatureSet::Advanced,
            applications: 1,
            remembers: false,
            has_console: true,
            variables: Vec::new(),
        }
    }
}

impl Plan {
    /// The open-source server.
    pub(crate) fn basic() -> Self {
        Self {
            feature_set: FeatureSet::Basic,
            ..Self::default()
        }
    }

    pub(crate) fn applications(mut self, count: usize) -> Self {
        self.applications = count;
        self
    }

    /// Log-in and applications share one URL.
    pub(crate) fn one_url(mut self) -> Self {
        self.has_console = false;
        self
    }

    pub(crate) fn remembers(mut self) -> Self {
        self.remembers = true;
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }
}
