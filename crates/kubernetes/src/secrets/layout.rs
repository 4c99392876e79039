//! How documents stand in a Secret: one entry each, its version in the first line.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portico_core::{endpoint::hex, state::Document};
use serde_json::{Value, json};

/// The longest name of an entry that Kubernetes allows.
const LONGEST: usize = 253;

/// The document, if there is one.
pub(super) fn document(secret: &Value, key: &str) -> Option<Document> {
    let bytes = STANDARD.decode(secret["data"][name(key)].as_str()?).ok()?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let version = std::str::from_utf8(bytes.get(..end)?).ok()?.parse().ok()?;
    let body = bytes.get(end + 1..)?.to_vec();
    Some(Document { version, body })
}

/// Puts a document in place of an older one; the others stay.
pub(super) fn put(secret: &mut Value, key: &str, version: u64, body: &[u8]) {
    let text = STANDARD.encode([format!("{version}\n").as_bytes(), body].concat());
    if !secret["data"].is_object() {
        secret["data"] = json!({});
    }
    secret["data"][name(key)] = text.into();
}

/// An entry's name: the key itself where Kubernetes allows it, otherwise its digits behind an underscore.
fn name(key: &str) -> String {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_plain = !key.is_empty() && key.len() < LONGEST && !key.starts_with(['_', '.']) && key.bytes().all(is_fit);
    if is_plain {
        key.to_owned()
    } else {
        format!("_{}", hex(key.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_found_and_the_others_stay() {
        let mut secret = json!({"metadata": {"labels": {"a": "b"}}});
        put(&mut secret, "session-keys", 1, b"one\ntwo");
        put(&mut secret, "ä/b", 7, b"");
        assert_eq!(secret["data"].as_object().map(serde_json::Map::len), Some(2));
        let found = document(&secret, "session-keys").expect("a document");
        assert_eq!((found.version, found.body), (1, b"one\ntwo".to_vec()));
        assert_eq!(document(&secret, "ä/b").map(|found| found.version), Some(7));
        assert_eq!(document(&secret, "another"), None);
        assert_eq!(secret["metadata"]["labels"]["a"], "b");
    }

    #[test]
    fn different_keys_have_different_names() {
        let keys = ["a", "A", "a/b", "a%", "a_", "_61", "", ".", "_", "ä", "c3a4"];
        let mut names: Vec<String> = keys.iter().map(|key| name(key)).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), keys.len());
    }
}
