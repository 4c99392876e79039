//! Whether a program is static.

use anyhow::{Context, bail};

/// The kind of a program header that names the dynamic loader.
const INTERP: u32 = 3;

/// Whether the kernel has to load something else besides the program. A program that does not is static.
pub(super) fn asks_for_a_loader(program: &[u8]) -> anyhow::Result<bool> {
    // 64 bits, little-endian: the only kind that we build.
    if !program.starts_with(b"\x7fELF\x02\x01") {
        bail!("is no 64-bit ELF file");
    }
    let short = "is cut short";
    let number = |at: usize, length: usize| -> Option<usize> {
        let bytes = program.get(at..at.checked_add(length)?)?;
        bytes
            .iter()
            .rev()
            .try_fold(0_usize, |sum, &byte| Some(sum.checked_mul(256)? + usize::from(byte)))
    };
    let first = number(0x20, 8).context(short)?;
    let size = number(0x36, 2).context(short)?;
    let count = number(0x38, 2).context(short)?;
    for index in 0..count {
        let kind = number(first + index * size, 4).context(short)?;
        if kind == INTERP as usize {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_ordinary_program_asks_for_a_loader() {
        let own = fs::read(std::env::current_exe().expect("a path")).expect("readable");
        assert!(asks_for_a_loader(&own).expect("a program"));
    }

    #[test]
    fn what_is_no_program_is_told() {
        for bytes in [&b""[..], b"#!/bin/sh", b"\x7fELF\x02\x01"] {
            assert!(asks_for_a_loader(bytes).is_err());
        }
    }
}
