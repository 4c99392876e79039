//! The metrics. Their names and labels are a contract: `docs/reference/metrics.md` is made from the list in here.
//!
//! No task, user or name is a label: their number has no bound.

mod names;
mod process;
mod readings;
mod tally;

use std::fmt;

use prometheus_client::registry::Registry;

pub use names::{METRICS, Metric, MetricKind};
pub use readings::Readings;
pub use tally::Tally;

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    tally: Tally,
}

impl Metrics {
    /// Metrics of a gateway with this many data threads. `readings` is asked at each scrape.
    pub fn new(threads: usize, readings: impl Fn() -> Readings + Send + Sync + 'static) -> Self {
        let tally = Tally::new(threads);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(tally.clone()));
        registry.register_collector(Box::new(readings::Collected(Box::new(readings))));
        registry.register_collector(Box::new(process::Process));
        Self { registry, tally }
    }

    /// Where exchanges are counted.
    pub fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// All metrics in the text format of `OpenMetrics`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
