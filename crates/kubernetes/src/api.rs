//! Questions to the API server, with time-outs and limits. What it answers is never logged, nor put into an error.

mod error;
mod lines;

use std::{fmt, time::Duration};

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use kube::{Client, client::Body};
use serde::{Serialize, de::DeserializeOwned};

pub use error::ApiError;
pub(crate) use lines::Lines;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// The largest answer: a page of pods, or a Secret.
const LARGEST: usize = 64 << 20;
/// The largest answer that tells of an error.
const LARGEST_ERROR: usize = 64 << 10;

/// The API server, asked as one account. Cloning is cheap.
#[derive(Clone)]
pub struct Kube(Client);

impl fmt::Debug for Kube {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Kube")
    }
}

impl Kube {
    pub(crate) fn new(client: Client) -> Self {
        Self(client)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.ask(Method::GET, path, Vec::new()).await
    }

    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ApiError> {
        self.ask(Method::PUT, path, text(body)?).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ApiError> {
        self.ask(Method::POST, path, text(body)?).await
    }

    /// A watch: lines that come until the server ends it.
    pub(crate) async fn lines(&self, path: &str) -> Result<Lines, ApiError> {
        let begun = tokio::time::timeout(ANSWER, self.begin(Method::GET, path, Vec::new())).await;
        Ok(Lines::new(begun.map_err(|_| ApiError::Timeout)??))
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> Result<T, ApiError> {
        let whole = async {
            let body = self.begin(method, path, body).await?;
            let bytes = Limited::new(body, LARGEST)
                .collect()
                .await
                .map_err(|error| ApiError::broken(&*error))?;
            serde_json::from_slice(&bytes.to_bytes()).map_err(|error| ApiError::unreadable(&error))
        };
        tokio::time::timeout(ANSWER, whole)
            .await
            .map_err(|_| ApiError::Timeout)?
    }

    async fn begin(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Body, ApiError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .map_err(|_| ApiError::BadAnswer("the question is no request".to_owned()))?;
        // Not `request`, which logs an answer that it cannot read.
        let response = self.0.send(request).await.map_err(|error| ApiError::away(&error))?;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            return Ok(body);
        }
        let bytes = Limited::new(body, LARGEST_ERROR).collect().await;
        Err(refused(
            head.status,
            &bytes.map(http_body_util::Collected::to_bytes).unwrap_or_default(),
        ))
    }
}

fn text(body: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(body).map_err(|error| ApiError::unreadable(&error))
}

fn refused(status: StatusCode, body: &[u8]) -> ApiError {
    #[derive(Default, serde::Deserialize)]
    struct Status {
        #[serde(default)]
        reason: String,
        #[serde(default)]
        message: String,
    }
    let told: Status = serde_json::from_slice(body).unwrap_or_default();
    ApiError::refused(status.as_u16(), &told.reason, &told.message)
}
