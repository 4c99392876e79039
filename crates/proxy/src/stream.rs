//! Streams: TCP endpoints, each on a public port of its own.
//!
//! One thread holds all ports: it opens and closes them as the route table says, accepts, and hands each connection to the data thread
//! that has the fewest. There it is decided upon, its application is dialed, and bytes move until both sides have finished. Whoever
//! cannot be served is closed at once: a port that is silent would be waited for.

mod accept;
mod admit;
mod arrival;
mod log;
mod pipe;
mod ports;
mod proxy_header;
mod pump;
mod refusal;
mod serve;
mod socket;

pub(crate) use admit::{ASKING, may_stay, needs_sign_in};
pub(crate) use arrival::{Arrival, Spread};
pub(crate) use log::notice;
pub(crate) use pipe::sweep;
pub(crate) use ports::run as hold_ports;
pub use refusal::StreamRefusal;
pub(crate) use serve::serve_all;
