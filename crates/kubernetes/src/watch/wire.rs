//! Lists and watches as they come over the wire.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::Object;
use crate::api::ApiError;

/// What every object has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) name: String,
    pub(crate) resource_version: String,
}

/// One page of a list.
#[derive(Deserialize)]
#[serde(bound = "M: DeserializeOwned")]
pub(super) struct Page<M> {
    pub(super) metadata: PageMetadata,
    #[serde(default = "Vec::new")]
    pub(super) items: Vec<M>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageMetadata {
    pub(super) resource_version: String,
    #[serde(default, rename = "continue")]
    pub(super) continues: String,
}

/// What one line of a watch tells.
pub(super) enum Told<M> {
    There(M),
    Gone(Metadata),
    Bookmark(Metadata),
    Other,
}

#[derive(Deserialize)]
struct Line<'l> {
    #[serde(rename = "type")]
    kind: &'l str,
    #[serde(borrow)]
    object: &'l RawValue,
}

#[derive(Deserialize)]
struct Marked {
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
    reason: String,
    message: String,
}

/// Reads one line.
///
/// # Errors
/// What the server reports as an error – among them that the version is too old, as 410 –, and lines that cannot be read.
pub(super) fn read<M: Object>(line: &[u8]) -> Result<Told<M>, ApiError> {
    let line: Line<'_> = object(line)?;
    let text = line.object.get().as_bytes();
    match line.kind {
        "ADDED" | "MODIFIED" => object(text).map(Told::There),
        "DELETED" => object::<Marked>(text).map(|marked| Told::Gone(marked.metadata)),
        "BOOKMARK" => object::<Marked>(text).map(|marked| Told::Bookmark(marked.metadata)),
        "ERROR" => {
            let status: Status = object(text)?;
            Err(ApiError::refused(status.code, &status.reason, &status.message))
        }
        _ => Ok(Told::Other),
    }
}

fn object<'l, T: Deserialize<'l>>(text: &'l [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(text).map_err(|error| ApiError::unreadable(&error))
}
