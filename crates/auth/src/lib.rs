//! From credentials to a principal.
//!
//! An engine without HTTP server and without ClearML client: it reads header maps, seals and opens cookies, and asks
//! two questions through the traits of [`check`]. Data threads use a [`gatekeeper::Gatekeeper`]; everything that has to
//! be asked is asked by its [`gatekeeper::Desk`] on the control runtime.

pub mod check;
pub mod client_address;
pub mod credentials;
pub mod foreign;
pub mod gatekeeper;
pub mod hand_over;
pub mod keys;
pub mod log_in;
pub mod random;
pub mod return_to;
pub mod revocation;
pub mod session;

mod digest;
mod seal;
