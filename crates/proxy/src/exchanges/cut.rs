//! A way to tell an exchange, from any thread, that it must end.

use std::{
    sync::atomic::{AtomicU8, Ordering},
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;

/// Why an exchange must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CutReason {
    /// The visitor signed out, or the session was revoked.
    SignedOut,
    /// The visitor may not reach the endpoint any longer.
    NotAllowed,
    /// The task ended, or its endpoint is gone or elsewhere.
    Ended,
    /// The gateway stops.
    ShuttingDown,
    /// The application did not begin to answer in time.
    TimedOut,
}

impl CutReason {
    const ALL: [Self; 5] = [
        Self::SignedOut,
        Self::NotAllowed,
        Self::Ended,
        Self::ShuttingDown,
        Self::TimedOut,
    ];

    /// The code of the WebSocket's close frame.
    pub fn close_code(self) -> u16 {
        match self {
            Self::SignedOut => 4401,
            Self::NotAllowed => 4403,
            Self::Ended => 4404,
            Self::ShuttingDown | Self::TimedOut => 1001,
        }
    }

    /// The stable word for logs, and the reason in the close frame.
    pub fn word(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::NotAllowed => "not_allowed",
            Self::Ended => "ended",
            Self::ShuttingDown => "shutting_down",
            Self::TimedOut => "timed_out",
        }
    }
}

/// The exchange's side waits, everybody else cuts. The first reason stays.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    /// 0, or the reason's place in [`CutReason::ALL`] plus one.
    reason: AtomicU8,
    waiting: AtomicWaker,
}

impl Cut {
    pub(crate) fn cut(&self, reason: CutReason) {
        let place = CutReason::ALL.iter().position(|known| *known == reason).unwrap_or(0);
        let value = u8::try_from(place + 1).unwrap_or(u8::MAX);
        if self
            .reason
            .compare_exchange(0, value, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
        {
            self.waiting.wake();
        }
    }

    /// Why it was cut, if it was.
    pub(crate) fn reason(&self) -> Option<CutReason> {
        let value = usize::from(self.reason.load(Ordering::Acquire));
        CutReason::ALL.get(value.checked_sub(1)?).copied()
    }

    /// Waits for the cut. One task at a time.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<CutReason> {
        if let Some(reason) = self.reason() {
            return Poll::Ready(reason);
        }
        self.waiting.register(context.waker());
        // It may have been cut before the waker was in place.
        self.reason().map_or(Poll::Pending, Poll::Ready)
    }

    /// Waits for the cut.
    pub(crate) async fn wait(&self) -> CutReason {
        std::future::poll_fn(|context| self.poll(context)).await
    }
}
