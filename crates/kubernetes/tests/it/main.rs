//! Against a real API server, which `cargo xtask cluster test` starts. One program, to save linking.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod gateways;
mod load;
mod pods;
mod review;
mod secrets;
mod world;
