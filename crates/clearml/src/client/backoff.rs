//! How long to wait before trying again.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The pause after the first failure.
const FIRST: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);

/// The pause after `failures` failures in a row: doubled each time, with up to half of it on top by chance, so that many gateways
/// do not come back to a restarted server in one moment.
pub(crate) fn pause(failures: u32) -> Duration {
    let pause = FIRST
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(LONGEST);
    pause + pause.mul_f32(chance() / 2.0)
}

/// From 0 to 1.
fn chance() -> f32 {
    // The standard library's hasher has random keys; nothing depends on the quality of this number.
    let bits = u16::try_from(RandomState::new().hash_one(0) & 0xffff).unwrap_or(0);
    f32::from(bits) / f32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        assert!(pause(1) >= FIRST && pause(1) <= FIRST.mul_f32(1.5));
        assert!(pause(3) >= FIRST * 4);
        for failures in [10, 100, u32::MAX] {
            assert!(pause(failures) >= LONGEST && pause(failures) <= LONGEST.mul_f32(1.5));
        }
    }
}
