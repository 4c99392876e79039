//! State stores: small versioned documents in memory or in one SQLite file, and the contract suite that every store passes.
//!
//! The only crate that speaks SQL.

pub mod contract;
mod memory;
mod sqlite;

pub use memory::MemoryStore;
pub use sqlite::{OpenError, Settings, SqliteStore};
