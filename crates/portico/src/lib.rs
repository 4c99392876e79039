//! The parts of the `portico` binary, as a library so that the front-door tests can use the composition itself.

pub mod config;
pub mod secret_files;

#[cfg(test)]
mod reference;
