//! What a request says in its query or, as a form, in its body.

use std::convert::Infallible;

use axum::{
    Form,
    extract::{FromRequest, Request},
};
use serde::de::DeserializeOwned;

/// The fields; all absent if they cannot be read. Then a page does what it does for somebody who came without them.
pub(crate) struct Fields<T>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for Fields<T> {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        let fields = Form::from_request(request, state).await;
        Ok(Self(fields.map(|Form(fields)| fields).unwrap_or_default()))
    }
}
