//! What every page of Portico has in common besides its style: the mark, and the headers that keep foreign hands off.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};

use super::STYLE;

/// Portico's mark: a gable on three columns, in the color of the text around it.
pub const MARK: &str = "<svg viewBox=\"0 0 32 32\" aria-hidden=\"true\" fill=\"currentColor\">\
    <path d=\"M16 3 2.5 10.5V13h27v-2.5zM5.5 15h3.6v10.2H5.5zm8.7 0h3.6v10.2h-3.6zm8.7 0h3.6v10.2h-3.6zM2.5 26.4h27V29h-27z\"/></svg>";

static STYLE_SOURCE: LazyLock<String> =
    LazyLock::new(|| format!("'sha256-{}'", base64(&Sha256::digest(STYLE.as_bytes()))));

/// The Content-Security-Policy source that allows [`super::STYLE`] and no other style.
pub fn style_source() -> &'static str {
    &STYLE_SOURCE
}

/// The headers of every page of Portico. `forms`: where its forms may be sent, as a policy's source list (`'none'`, `'self'`,
/// origins); the targets of redirects count, too.
pub fn headers(forms: &str) -> HeaderMap {
    let policy = format!(
        "default-src 'none'; style-src {}; form-action {forms}; frame-ancestors 'none'; base-uri 'none'",
        style_source()
    );
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = HeaderValue::from_str(&policy)
        .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers
}

/// Standard base64 with padding; a whole library for one digest would be much.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 0x3f) as usize];
            text.push(if at <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_page_can_be_neither_framed_nor_cached_nor_given_a_foreign_style() {
        let headers = headers("'none'");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().expect("ascii");
        assert!(
            policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"),
            "{policy}"
        );
        assert!(
            policy.contains("form-action 'none'") && policy.contains("base-uri 'none'"),
            "{policy}"
        );
        assert!(policy.contains("style-src 'sha256-"), "{policy}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(headers[header::X_FRAME_OPTIONS], "DENY");
    }
}
