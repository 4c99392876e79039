//! The pages, asked as a browser asks: real log-in engine, real gatekeeper, real seals; only ClearML is a value.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panic")]

mod browser;
mod world;

mod hand_over;
mod home;
mod log_in;
mod log_out;
mod open;
mod pages;
mod serve;
mod warning;
