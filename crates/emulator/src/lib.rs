//! An in-memory `ClearML` API server for development and tests.
//!
//! It answers as the open-source server 2.3.0 was observed to answer, for every call that a gateway and the SDK make. Nothing is written
//! to disk, passwords are constants, and it is meant for loopback only.
//!
//! * [`Emulator`] is the server as a value: its memory, its clock, its [`Faults`], and what was called. Clones share it.
//! * [`Server`] runs one on a free port for a test; [`Emulator::serve`] on a listener of the caller's.
//! * [`Seed`] says who lives there, [`Settings`] how it is set up.
//! * [`samples`] are small workloads whose tasks can be made with [`NewTask::asking`].
//!
//! A call goes from `server` (HTTP, faults) by `auth` (who calls) to a function in `services`, which works on the documents in `state`
//! and answers data or an error with the real server's codes. The exchanges recorded with a real server are replayed as tests.

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
mod writes;

pub use emulator::{Emulator, NewTask};
pub use faults::{Faults, WRONG_COMPANY};
pub use seed::{Actor, Company, DEFAULT_COMPANY, GUEST_COMPANY, Key, Role, Seed};
pub use server::Server;
pub use settings::{API_VERSION, FeatureSet, SERVER_VERSION, Settings};
pub use writes::Write;
