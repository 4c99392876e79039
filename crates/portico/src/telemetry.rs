//! What the running gateway tells: log, access log, audit events, metrics, health.
//!
//! Nothing here may slow an exchange down: whatever is written goes through a bounded queue to a thread of its own, and what does
//! not fit is counted.

pub mod access_log;
pub mod audit;
pub mod lines;
pub mod log;
pub mod metrics;
pub mod operations;
pub mod readiness;
