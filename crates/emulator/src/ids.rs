//! Fresh ids and keys.

/// 32 hexadecimal digits, as the server's ids.
pub(crate) fn fresh() -> String {
    hex::encode(random::<16>())
}

/// 30 upper-case characters, as an access key.
pub(crate) fn access_key() -> String {
    hex::encode_upper(random::<15>())
}

/// A long secret.
pub(crate) fn secret_key() -> String {
    hex::encode(random::<32>())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The library's source of randomness cannot fail on the systems that it supports; ids of zeros would show at once.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes
}
