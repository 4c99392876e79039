//! How often the server may be asked: a token bucket.

use std::time::{Duration, Instant};

/// Tokens flow in at a fixed rate up to a capacity; each question takes one. On average there are never more questions than the
/// rate says, whatever the nudges; what was saved in quiet times makes bursts possible.
#[derive(Debug)]
pub(crate) struct Budget {
    per_second: f64,
    capacity: f64,
    tokens: f64,
    filled: Instant,
}

impl Budget {
    /// A full bucket.
    pub(crate) fn new(per_second: f64, capacity: u32, now: Instant) -> Self {
        let capacity = f64::from(capacity.max(1));
        Self {
            per_second: per_second.max(0.001),
            capacity,
            tokens: capacity,
            filled: now,
        }
    }

    /// Takes tokens for calls that were made already. Where there are none left, whoever takes the next one waits for all of them.
    pub(crate) fn charge(&mut self, calls: u32) {
        self.tokens -= f64::from(calls);
    }

    /// Takes a token, or tells how long it takes until there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.capacity);
        self.filled = now;
        // Rounding must not make a waiter who waited as told wait again.
        if self.tokens >= 1.0 - 1e-6 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_rate_on_average() {
        let start = Instant::now();
        let mut budget = Budget::new(1.0, 5, start);
        let (mut now, mut taken) = (start, 0);
        while now < start + Duration::from_secs(100) {
            match budget.take(now) {
                Ok(()) => taken += 1,
                Err(wait) => now += wait,
            }
        }
        assert!((100..=105).contains(&taken), "{taken}");
    }

    #[test]
    fn calls_that_were_charged_are_waited_for() {
        let start = Instant::now();
        let mut budget = Budget::new(1.0, 5, start);
        budget.charge(7);
        let wait = budget.take(start).unwrap_err();
        assert_eq!(wait, Duration::from_secs(3));
        assert_eq!(budget.take(start + wait), Ok(()));
    }

    #[test]
    fn whoever_waits_as_told_gets_a_token() {
        let start = Instant::now();
        let mut budget = Budget::new(3.0, 1, start);
        assert_eq!(budget.take(start), Ok(()));
        let wait = budget.take(start).unwrap_err();
        assert_eq!(budget.take(start + wait), Ok(()));
    }
}
