//! How `tasks.edit_runtime` and the parameter calls write key names.
//!
//! The server escapes names so that the database accepts them. For `runtime` nothing undoes it on reading (observed with
//! clearml-server 2.3.0): what went in as `_PORT` comes out as `%_PORT`.

/// The name as it is kept.
pub(crate) fn escape(name: &str) -> String {
    let escaped = name
        .replace('%', "%%")
        .replace('.', "%2E")
        .replace('$', "%24")
        .replace("__", "%_%_");
    if escaped.starts_with('_') {
        format!("%{escaped}")
    } else {
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_observed() {
        for (name, kept) in [
            ("endpoint", "endpoint"),
            ("_PORT", "%_PORT"),
            ("endpoint__api", "endpoint%_%_api"),
            ("_PORT__api", "%_PORT%_%_api"),
            ("a.b", "a%2Eb"),
            ("$c", "%24c"),
            ("x y", "x y"),
            ("50%", "50%%"),
        ] {
            assert_eq!(escape(name), kept);
        }
    }
}
