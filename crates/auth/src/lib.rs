//! From credentials to a principal.
//!
//! An engine without HTTP server and without ClearML client: it reads header maps, seals and opens cookies, and asks two questions
//! through the traits of [`check`]. Data threads use a [`gatekeeper::Gatekeeper`]; everything that has to be asked is asked by its
//! [`gatekeeper::Desk`] on the control runtime.

pub mod check;
pub mod credentials;
pub mod gatekeeper;
pub mod keys;
pub mod revocation;
pub mod session;

mod digest;
mod random;
mod seal;
