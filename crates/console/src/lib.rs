//! Portico's pages: the log-in and the visitor's list of endpoints on the console's own origin, and what has to live on the applications'
//! origin, under `/_gateway/`.
//!
//! No page needs a script, none can be framed or cached, and everything that a task, a user or a client said is escaped and cut short.

mod asked;
mod fields;
mod form;
mod gateway_pages;
mod hand_over;
mod home;
mod listing;
mod log_in;
mod log_out;
mod open;
mod pages;
mod place;
mod respond;
mod serve;
mod state;
mod warning;
mod wish;

use std::sync::Arc;

use axum::{
    Extension, Router, body::Body, extract::DefaultBodyLimit, http::Response, middleware::from_fn_with_state,
    routing::get,
};
use portico_core::refusal::Refusal;

use asked::{Asked, guard};
use place::Place;

pub use gateway_pages::GatewayPages;
pub use serve::serve;
pub use state::{State, Visitor};

/// No form of ours is longer, in bytes.
const FORM_MAX: usize = 16 * 1024;

/// The pages on the applications' origin: `/`, and everything under `/_gateway/` but `health`. Each request needs a [`Visitor`].
pub fn gateway_pages(state: State) -> Router {
    let pages = Router::new()
        .route("/", get(home::lead))
        .route("/_gateway/endpoints", get(home::show))
        .route("/_gateway/login", get(log_in::show).post(log_in::submit))
        .route("/_gateway/callback", get(hand_over::callback))
        .route("/_gateway/check", get(hand_over::check))
        .route("/_gateway/logout", get(log_out::ask).post(log_out::end))
        .route("/_gateway/logged-out", get(log_out::done))
        .route("/_gateway/open", get(open::open))
        .route("/_gateway/continue", get(warning::show).post(warning::go_on));
    guarded(pages, state, Place::Gateway)
}

/// The pages on the console's own origin. Each request needs a [`Visitor`].
pub fn console(state: State) -> Router {
    let pages = Router::new()
        .route("/", get(home::show))
        .route("/login", get(log_in::show).post(log_in::submit))
        .route("/check", get(hand_over::check))
        .route("/logout", get(log_out::ask).post(log_out::end))
        .route("/logged-out", get(log_out::done));
    guarded(pages, state, Place::Console)
}

fn guarded(pages: Router, state: State, place: Place) -> Router {
    pages
        .fallback(not_found)
        .method_not_allowed_fallback(not_forwarded)
        .layer(DefaultBodyLimit::max(FORM_MAX))
        .layer(from_fn_with_state((Arc::new(state), place), guard))
}

async fn not_found(Extension(asked): Extension<Asked>) -> Response<Body> {
    asked.refuse(&Refusal::NotFound)
}

async fn not_forwarded(Extension(asked): Extension<Asked>) -> Response<Body> {
    asked.refuse(&Refusal::MethodNotForwarded)
}
