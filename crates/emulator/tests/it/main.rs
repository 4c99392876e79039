//! The emulated server from outside: what it answers on the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a panic is how a test says no

mod agent;
mod client;
mod controls;
mod faults;
mod matching;
mod queries;
mod replay;
mod samples;
