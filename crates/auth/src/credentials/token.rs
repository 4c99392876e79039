//! What a ClearML token looks like.

use std::borrow::Cow;

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use memchr::memchr;
use serde::Deserialize;

/// The server's own reader does not mind padding, so neither do we.
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize)]
struct Jose<'t> {
    #[serde(borrow)]
    alg: Cow<'t, str>,
}

#[derive(Deserialize)]
struct Claims<'t> {
    #[serde(borrow)]
    identity: Identity<'t>,
}

#[derive(Deserialize)]
struct Identity<'t> {
    #[serde(borrow)]
    user: Cow<'t, str>,
    #[serde(borrow)]
    company: Cow<'t, str>,
}

/// True if the text has the structure of a ClearML token (a JWT signed with HS256 that has an identity with user and
/// company), whoever signed it. Only the ClearML server can tell whether it is a good one.
pub fn is_clearml_token(text: &[u8]) -> bool {
    let Some((header, rest)) = parted(text) else {
        return false;
    };
    let Some((claims, signature)) = parted(rest) else {
        return false;
    };
    if signature.is_empty() || parted(signature).is_some() {
        return false;
    }
    let Ok(header) = ANY_PADDING.decode(header) else {
        return false;
    };
    if !serde_json::from_slice::<Jose<'_>>(&header).is_ok_and(|header| header.alg == "HS256") {
        return false;
    }
    let Ok(claims) = ANY_PADDING.decode(claims) else {
        return false;
    };
    serde_json::from_slice::<Claims<'_>>(&claims)
        .is_ok_and(|claims| !claims.identity.user.is_empty() && !claims.identity.company.is_empty())
}

/// What stands before and behind the first dot.
fn parted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (part, rest) = text.split_at_checked(memchr(b'.', text)?)?;
    Some((part, rest.get(1..)?))
}
