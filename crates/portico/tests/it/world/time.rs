//! The system's time, moved.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use portico::system_clock::SystemClock;
use portico_core::clock::{Clock, Timestamp};

/// Goes as the system's clock does, and can be moved forward.
#[derive(Default)]
pub(crate) struct MovableClock(AtomicU64);

impl MovableClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0
            .fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        SystemClock
            .now()
            .plus(Duration::from_millis(self.0.load(Ordering::SeqCst)))
    }
}
