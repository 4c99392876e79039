//! The only crate that speaks to Kubernetes: which pods run tasks, which gateways there are, events, documents in Secrets, and who may
//! read them.
//!
//! What is watched holds other people's secrets – a pod's manifest carries its owner's ClearML keys –, so that answers are read
//! into structures with the needed fields alone, and no answer's text is ever logged or put into an error.

mod api;
mod events;
mod gateways;
mod health;
mod pods;
mod review;
mod secrets;
mod settings;
mod watch;

pub use api::{ApiError, Kube};
pub use events::announce;
pub use gateways::{GatewayLease, GatewaySettings, Gateways};
pub use pods::{Accounts, PodSettings, PodSource};
pub use review::{ReviewSettings, StateReaders, review};
pub use secrets::{SecretNames, SecretStore};
pub use settings::{ACCOUNT, ConnectError, Settings, connect};
