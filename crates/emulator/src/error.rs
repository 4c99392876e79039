//! Refusals with the real server's codes, subcodes and words.

/// A refusal: HTTP status, the server's own subcode, and its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// HTTP status, repeated in `meta.result_code`.
    pub(crate) code: u16,
    /// The server's finer distinction.
    pub(crate) subcode: u16,
    /// What happened, in the server's words.
    pub(crate) msg: String,
}

impl ApiError {
    /// A refusal with these values.
    pub(crate) fn new(code: u16, subcode: u16, msg: impl Into<String>) -> Self {
        Self {
            code,
            subcode,
            msg: msg.into(),
        }
    }

    /// No credentials in the request.
    pub(crate) fn missing_credentials() -> Self {
        Self::new(401, 20, "Unauthorized (missing credentials)")
    }

    /// Credentials that do not fit.
    pub(crate) fn bad_credentials(why: &str) -> Self {
        Self::new(401, 22, format!("Unauthorized (invalid credentials) ({why})"))
    }

    /// A token that is refused; `why` in `PyJWT`'s words.
    pub(crate) fn bad_token(why: &str) -> Self {
        Self::new(401, 30, format!("Invalid token (invalid jwt token): reason={why}"))
    }

    /// The caller's role may not call this.
    pub(crate) fn role(role: &str, allowed: &[&str]) -> Self {
        Self::new(
            403,
            20,
            format!(
                "Forbidden (not allowed for role): role={role}, allowed=({})",
                allowed.join(", ")
            ),
        )
    }

    /// A required field is not there.
    pub(crate) fn field_required(field: &str) -> Self {
        Self::new(
            400,
            12,
            format!("Validation error (error for field '{field}'. field is required!)"),
        )
    }

    /// A field has a value of the wrong kind.
    pub(crate) fn field_invalid(field: &str, why: &str) -> Self {
        Self::new(400, 12, format!("Validation error (error for field '{field}'. {why})"))
    }

    /// `only_fields` names fields that the object does not have.
    pub(crate) fn unknown_fields(fields: &[String], object: &str) -> Self {
        Self::new(
            400,
            14,
            format!(
                "Fields not defined for object: fields=({}), object={object}",
                fields.join(", ")
            ),
        )
    }

    /// No such task for this caller, in the words of `tasks.get_by_id`.
    pub(crate) fn invalid_task_ids(id: &str) -> Self {
        Self::new(400, 101, format!("Invalid task id: ids=({id})"))
    }

    /// No such task for this caller, in the words of the calls that change one.
    pub(crate) fn invalid_task_id(id: &str, company: &str) -> Self {
        Self::new(400, 101, format!("Invalid task id: id={id}, company={company}"))
    }

    /// The task's status does not allow the change.
    pub(crate) fn task_status(expected: &str, status: &str) -> Self {
        Self::new(
            400,
            110,
            format!("Invalid task status: expected={expected}, status={status}"),
        )
    }

    /// The endpoint does not exist.
    pub(crate) fn no_endpoint(name: &str, version: &str) -> Self {
        Self::new(
            404,
            0,
            format!("Unable to find endpoint for name {name} and version {version}"),
        )
    }
}
