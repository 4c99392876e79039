//! The pages on the applications' origin, for the data plane: it reads the request and writes the answer.

use axum::{Router, body::Body, http};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use portico_core::page;
use tower::ServiceExt as _;

use crate::state::{State, Visitor};

/// Answers what the data plane hands over. Cheap to clone.
#[derive(Clone)]
pub struct GatewayPages(Router);

impl GatewayPages {
    /// The pages of [`crate::gateway_pages()`].
    pub fn new(state: State) -> Self {
        Self(crate::gateway_pages(state))
    }

    /// The page that `request` asks for, whole.
    pub async fn answer(&self, request: http::Request<Bytes>, visitor: Visitor) -> http::Response<Bytes> {
        let mut request = request.map(Body::from);
        request.extensions_mut().insert(visitor);
        let Ok(answer) = self.0.clone().oneshot(request).await;
        let (head, body) = answer.into_parts();
        match body.collect().await {
            Ok(body) => http::Response::from_parts(head, body.to_bytes()),
            Err(error) => {
                tracing::error!(%error, "a page could not be collected");
                let mut answer = http::Response::new(Bytes::new());
                *answer.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                *answer.headers_mut() = page::headers("'none'");
                answer
            }
        }
    }
}
