//! An in-memory `ClearML` API server for development and tests.
//!
//! It answers as the open-source server 2.3.0 was observed to answer, for every call that a gateway and the SDK make. Nothing is written
//! to disk, passwords are constants, and it is meant for loopback only.

mod arguments;
mod auth;
mod call;
mod clock;
mod collection;
mod control;
mod emulator;
mod envelope;
mod error;
mod escape;
mod faults;
mod ids;
mod query;
pub mod samples;
mod seed;
mod server;
mod services;
mod settings;
mod state;
mod token;

pub use emulator::{Emulator, NewTask};
pub use faults::{Faults, WRONG_COMPANY};
pub use seed::{Actor, Company, DEFAULT_COMPANY, GUEST_COMPANY, Key, Role, Seed};
pub use server::Server;
pub use settings::{API_VERSION, FeatureSet, SERVER_VERSION, Settings};
