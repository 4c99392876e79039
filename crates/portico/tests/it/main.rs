//! The front door: the composition that `portico serve` runs, an emulated ClearML server behind it, and real HTTP and WebSocket
//! clients in front of it.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test may fail by panic, its name tells what it shows, and what it starts ends with its runtime"
)]

mod world;

mod absurd;
mod closed;
mod cuts;
mod days;
mod entry;
mod explaining;
mod how_to;
mod outage;
mod publishing;
mod running;
mod streams;
mod waiting;
