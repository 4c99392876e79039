//! The nouns and decisions of Portico.
//!
//! Pure: no I/O, no runtime, no clock of its own. Everything here is a value, or a function from values to values, so that
//! each decision can be tested without a server. The other crates bring observations in and carry decisions out.

mod abreast;
pub mod access;
pub mod access_policy;
pub mod audit;
pub mod clock;
pub mod decision;
pub mod dial;
pub mod endpoint;
pub mod explain;
pub mod foreign_text;
pub mod label;
pub mod live;
pub mod notation;
pub mod observe;
pub mod ownership;
pub mod page;
pub mod pods;
pub mod port_range;
pub mod ports;
pub mod principal;
pub mod refusal;
pub mod routes;
pub mod secret;
pub mod site;
pub mod state;
pub mod streams;

/// What a question to something slow answers with: a boxed future, so that the asked can be a trait object.
pub type Answer<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
