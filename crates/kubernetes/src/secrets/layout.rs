//! How documents stand in a Secret: one entry each. Its first line is its version, and says whether the rest is packed.

use std::io::{Read as _, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use portico_core::{endpoint::hex, state::Document};
use serde_json::{Value, json};

/// The longest name of an entry that Kubernetes allows.
const LONGEST: usize = 253;

/// Stands behind the version of a packed document.
const PACKED: &str = "gzip";
/// From so many bytes on a document is packed: a Secret holds 1 MiB, and the tasks of a busy namespace are more. Smaller ones can be
/// read by whoever looks at the Secret.
const PACKED_FROM: usize = 64 << 10;
/// The longest document: a few bytes could be made to unpack to more memory than there is.
pub(super) const MOST: usize = 64 << 20;

/// Why an entry that is there is no document. None of it quotes the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is no text in Base64")]
    NoText,
    #[error("its first line is no version that this portico knows")]
    Version,
    #[error("what is packed in it is damaged or longer than {} MiB", MOST >> 20)]
    Packed,
}

/// The document; `None` if there is no such entry. One that cannot be read is not taken for one that is missing: it would be
/// replaced.
pub(super) fn document(secret: &Value, key: &str) -> Result<Option<Document>, Unreadable> {
    let entry = &secret["data"][name(key)];
    if entry.is_null() {
        return Ok(None);
    }
    let entry = entry.as_str().ok_or(Unreadable::NoText)?;
    let bytes = STANDARD.decode(entry).map_err(|_| Unreadable::NoText)?;
    let (head, body) = head(&bytes).ok_or(Unreadable::Version)?;
    let (version, body) = match head.split_once(' ') {
        None => (head, body.to_vec()),
        Some((version, PACKED)) => (version, unpacked(body).ok_or(Unreadable::Packed)?),
        Some(_) => return Err(Unreadable::Version),
    };
    let version = version.parse().map_err(|_| Unreadable::Version)?;
    Ok(Some(Document { version, body }))
}

/// The first line, and what comes behind it.
fn head(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, body) = bytes.split_at_checked(end)?;
    Some((std::str::from_utf8(head).ok()?, body.get(1..)?))
}

/// Puts a document in place of an older one; the others stay.
pub(super) fn put(secret: &mut Value, key: &str, version: u64, body: &[u8]) {
    let bytes = match packed(body) {
        Some(packed) => [format!("{version} {PACKED}\n").as_bytes(), &packed].concat(),
        None => [format!("{version}\n").as_bytes(), body].concat(),
    };
    if !secret["data"].is_object() {
        secret["data"] = json!({});
    }
    secret["data"][name(key)] = STANDARD.encode(bytes).into();
}

/// `None` for a document that stays as it is.
fn packed(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < PACKED_FROM {
        return None;
    }
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(body).ok()?;
    packer.finish().ok()
}

fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let length = GzDecoder::new(packed)
        .take(MOST as u64 + 1)
        .read_to_end(&mut body)
        .ok()?;
    (length <= MOST).then_some(body)
}

/// An entry's name: the key itself where Kubernetes allows it, otherwise its digits behind an underscore.
pub(super) fn name(key: &str) -> String {
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
        let found = document(&secret, "session-keys")
            .expect("readable")
            .expect("a document");
        assert_eq!((found.version, found.body), (1, b"one\ntwo".to_vec()));
        let found = document(&secret, "ä/b").expect("readable");
        assert_eq!(found.map(|found| found.version), Some(7));
        assert_eq!(secret["metadata"]["labels"]["a"], "b");
    }

    #[test]
    fn long_documents_are_packed_and_come_back() {
        let body: Vec<u8> = (0..40_000_u32)
            .flat_map(|number| format!("{{\"task\": {number}}}").into_bytes())
            .collect();
        let mut secret = json!({});
        put(&mut secret, "observation", 3, &body);
        let entry = secret["data"]["observation"].as_str().expect("an entry");
        assert!(entry.len() * 3 < body.len(), "{} of {}", entry.len(), body.len());
        let found = document(&secret, "observation").expect("readable").expect("a document");
        assert_eq!((found.version, found.body), (3, body));
    }

    #[test]
    fn only_an_entry_that_is_not_there_is_missing() {
        for secret in [
            json!({}),
            json!({"data": null}),
            json!({"data": {"b": ""}}),
            Value::Null,
        ] {
            assert_eq!(document(&secret, "a"), Ok(None), "{secret}");
        }
        let of = |bytes: &[u8]| document(&json!({"data": {"a": STANDARD.encode(bytes)}}), "a");
        // What a newer version may write, and what a hand may.
        for head in [
            "",
            "\n",
            "{}",
            "1",
            "one\n{}",
            "-1\n{}",
            "1 zip\n{}",
            "1 gzip 2\n{}",
            "1 \n{}",
        ] {
            assert_eq!(of(head.as_bytes()), Err(Unreadable::Version), "{head:?}");
        }
        assert_eq!(of(b"\xff\n{}"), Err(Unreadable::Version));
        assert_eq!(of(b"1 gzip\nnothing of the kind"), Err(Unreadable::Packed));
        for entry in [json!("*"), json!(1)] {
            assert_eq!(document(&json!({"data": {"a": entry}}), "a"), Err(Unreadable::NoText));
        }
    }

    #[test]
    fn what_unpacks_to_too_much_is_no_document() {
        let zeros = vec![0; MOST + 1];
        let bomb = packed(&zeros).expect("it is long");
        assert!(bomb.len() < 1 << 20);
        let entry = STANDARD.encode([b"1 gzip\n".as_slice(), &bomb].concat());
        assert_eq!(document(&json!({"data": {"a": entry}}), "a"), Err(Unreadable::Packed));
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
