//! The parts of the `portico` binary, as a library so that the front-door tests can use the composition itself.

pub mod config;
pub mod own_addresses;
pub mod secret_files;
pub mod telemetry;

#[cfg(test)]
mod reference;
