//! Why does this endpoint not open? The questions of `portico explain`, answered by looking at what the gateway knows, at the port
//! behind the endpoint, and at what the visitor sent.
//!
//! [`asked`] reads the question, [`look`] gathers what has to be asked of the network, and [`tell`] is pure: from values to an answer.

pub mod asked;
pub mod look;
pub mod report;
pub mod sockets;
pub mod tell;
pub mod world;
