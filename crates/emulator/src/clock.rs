//! The server's clock: the system's time plus an offset that tests move.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// A clock that runs at the system's speed and can be moved.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_millis: AtomicI64,
}

impl Clock {
    /// The present moment, offset included.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock: the emulator stands alone and cannot be given one of ours"
    )]
    pub(crate) fn now(&self) -> Moment {
        let offset = SignedDuration::from_millis(self.offset_millis.load(Ordering::SeqCst));
        Moment(Timestamp::now().saturating_add(offset).unwrap_or(Timestamp::MAX))
    }

    /// Moves the clock by so many seconds; a negative number moves it back.
    pub(crate) fn advance(&self, secs: i64) {
        self.offset_millis
            .fetch_add(secs.saturating_mul(1000), Ordering::SeqCst);
    }
}

/// A moment in the forms that the server writes.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Moment(Timestamp);

impl Moment {
    /// As in the answer to a change: microseconds.
    pub(crate) fn precise(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
    }

    /// As read back later: the database keeps milliseconds, written with six digits.
    pub(crate) fn stored(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%S%.3f000+00:00").to_string()
    }

    /// As in a credential's `last_used`: milliseconds and no offset.
    pub(crate) fn naive(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%S%.3f000").to_string()
    }

    /// As in a cookie's `Expires`.
    pub(crate) fn http_date(self) -> String {
        self.0.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// Seconds since 1970-01-01 UTC.
    pub(crate) fn secs(self) -> i64 {
        self.0.as_second()
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) fn millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// This moment plus so many seconds.
    pub(crate) fn plus_secs(self, secs: i64) -> Self {
        Self(
            self.0
                .saturating_add(SignedDuration::from_secs(secs))
                .unwrap_or(Timestamp::MAX),
        )
    }
}

/// Reads a date as clients write it in filters, with or without an offset; without one it is UTC.
pub(crate) fn parse(text: &str) -> Option<Moment> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(Moment(moment));
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    civil
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| Moment(zoned.timestamp()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

    use super::*;

    #[test]
    fn moments_are_written_as_the_server_writes_them() {
        let moment = Moment("2026-11-22T06:05:53.913022Z".parse().unwrap());
        assert_eq!(moment.precise(), "2026-11-22T06:05:53.913022+00:00");
        assert_eq!(moment.stored(), "2026-11-22T06:05:53.913000+00:00");
        assert_eq!(moment.naive(), "2026-11-22T06:05:53.913000");
        assert_eq!(moment.http_date(), "Sun, 22 Nov 2026 06:05:53 GMT");
    }

    #[test]
    fn filter_dates_may_lack_an_offset() {
        assert_eq!(parse("2026-01-01T00:00:00"), parse("2026-01-01T00:00:00Z"));
        assert_eq!(parse("2026-01-01T00:00:00+00:00"), parse("2026-01-01T00:00:00Z"));
        assert_eq!(
            parse("2026-01-01T01:00:00+01:00").unwrap().precise(),
            "2026-01-01T00:00:00.000000+00:00"
        );
        assert_eq!(parse("soon"), None);
    }

    #[test]
    fn the_clock_can_be_moved_to_day_31() {
        let clock = Clock::default();
        let before = clock.now();
        clock.advance(31 * 86_400);
        assert!(clock.now().secs() >= before.secs() + 31 * 86_400);
    }
}
