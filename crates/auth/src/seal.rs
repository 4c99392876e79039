//! Sealed texts: `v1.<key id>.<base64url of nonce, AES-256-GCM ciphertext and tag>`. What the text is for, in which
//! gateway and under which key is authenticated with it, so that no text can be used in place of another.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portico_core::{clock::Timestamp, secret::Secret};

use crate::keys::SessionKeys;

const VERSION: &str = "v1";
/// Longer texts are not even looked at: no cookie is longer than 4 KiB, and codes travel in URLs.
const LONGEST: usize = 8 * 1024;

/// An opened text.
pub(crate) struct Opened {
    pub(crate) plain: Vec<u8>,
    /// The id of the key that sealed it.
    pub(crate) key: String,
}

fn bound(purpose: &str, key: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("portico {VERSION} {purpose} {key}").into_bytes())
}

/// Seals `plain` for a purpose. `None` only if the cipher fails, which it does not for texts of this size.
pub(crate) fn seal(keys: &SessionKeys, now: Timestamp, purpose: &str, mut plain: Vec<u8>) -> Option<Secret> {
    let key = keys.sealing(now)?;
    let nonce = key
        .aead
        .seal_in_place_append_tag(bound(purpose, &key.id), &mut plain)
        .ok()?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.append(&mut plain);
    Some(Secret::new(format!(
        "{VERSION}.{}.{}",
        key.id,
        URL_SAFE_NO_PAD.encode(sealed)
    )))
}

/// Opens what was sealed for the same purpose with a key that is still known; `None` for everything else.
pub(crate) fn open(keys: &SessionKeys, purpose: &str, sealed: &str) -> Option<Opened> {
    if sealed.len() > LONGEST {
        return None;
    }
    let (id, body) = sealed.strip_prefix(VERSION)?.strip_prefix('.')?.split_once('.')?;
    let key = keys.by_id(id)?;
    let body = URL_SAFE_NO_PAD.decode(body).ok()?;
    let (nonce, body) = body.split_at_checked(NONCE_LEN)?;
    if body.len() < AES_256_GCM.tag_len() {
        return None;
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut plain = body.to_vec();
    let length = key
        .aead
        .open_in_place(nonce, bound(purpose, id), &mut plain)
        .ok()?
        .len();
    plain.truncate(length);
    Some(Opened {
        plain,
        key: id.to_owned(),
    })
}
