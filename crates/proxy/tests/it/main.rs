//! The data plane over real sockets: visitors on one side, applications that behave and misbehave on the other.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail by panic"
)]

mod bodies;
mod bounds;
mod credentials;
mod cuts;
mod decisions;
mod framing;
mod gateway;
mod pages;
mod paths;
mod peers;
mod prefix;
mod raw;
mod refusals;
mod shutdown;
mod stream;
mod tunnels;
mod upstreams;
mod world;
