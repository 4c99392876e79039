//! The engine as a whole, against a ClearML server that says what it is told to.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test may fail by panic, and its name tells what it shows"
)]

mod hand_over;
mod identify;
mod log_in;
mod memory;
mod outage;
mod recheck;
mod session;
mod sight;
mod signed_in;
mod world;
