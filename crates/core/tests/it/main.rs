//! The decisions of core, seen from outside.
#![allow(clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod deciding;
mod gateway;
mod leasing;
mod policies;
mod scale;
mod stream_claims;
mod streams;
mod tables;
mod world;
