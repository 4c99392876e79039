//! The only crate that speaks the ClearML API: client, source, publisher, credentials, visibility.

mod budget;
mod check;
pub mod client;
pub mod facts;
pub mod people;
pub mod publisher;
mod reference;
pub mod settings;
pub mod source;
mod token;

pub use client::{BadSettings, CallError, Clearml};
pub use facts::{ApiVersion, FeatureSet, KeyState, ServerFacts};
pub use people::Person;
pub use publisher::{Contested, PublishError, Publisher, PublisherSettings, PublisherStatus};
pub use settings::{KeyPair, Settings};
pub use source::{Saved, Source, SourceSettings};
