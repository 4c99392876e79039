//! The decisions of core, seen from outside.
#![allow(clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod deciding;
mod leasing;
mod policies;
mod scale;
mod streams;
mod tables;
mod world;
