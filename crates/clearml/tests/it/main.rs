//! The adapter against an emulated ClearML server, over real HTTP.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test may panic")]

mod aside;
mod bench;
mod check;
mod client;
mod outage;
mod owning;
mod pace;
mod people;
mod publisher;
mod secrets;
mod source;
mod streams;
mod stub;
