//! What nobody can guess.

use portico_core::endpoint::hex;

/// 32 hexadecimal digits that nobody can guess: for form tokens and request ids.
pub fn token() -> String {
    hex(&bytes::<16>())
}

/// Fresh bytes from the cryptographic generator.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}
