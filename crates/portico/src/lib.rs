//! The parts of the `portico` binary, as a library so that the front-door tests can use the composition itself.

pub mod commands;
pub mod compose;
pub mod config;
pub mod control;
#[cfg(feature = "dev")]
pub mod dev;
pub mod diagnose;
pub mod inside;
pub mod own_addresses;
pub mod policy;
pub mod public_ports;
pub mod reconcile;
pub mod secret_files;
pub mod supervise;
pub mod system_clock;
pub mod telemetry;

#[cfg(test)]
mod reference;
