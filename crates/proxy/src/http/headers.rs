//! What passes from a visitor to an application and back, and what does not.

pub(crate) mod cache;
pub(crate) mod hop;
pub(crate) mod location;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod set_cookie;
