//! Waiting for conditions.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Longer than any of the gateway's promises.
const LONG: Duration = Duration::from_secs(6);

/// Waits until `look` finds something, at most 30 s.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(Duration::from_secs(30), what, look).await
}

/// Waits until `look` finds something, at most so long.
pub(crate) async fn within<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            told(what, began);
            return found;
        }
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for something that comes by itself, at most so long.
pub(super) async fn comes<T>(limit: Duration, what: &str, awaited: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let Ok(found) = timeout(limit, awaited).await else {
        panic!("not within {limit:?}: {what}");
    };
    told(what, began);
    found
}

#[expect(
    clippy::disallowed_macros,
    reason = "says as much about the machine as about the gateway"
)]
fn told(what: &str, began: Instant) {
    if began.elapsed() > LONG {
        println!("took {:.1} s: {what}", began.elapsed().as_secs_f64());
    }
}
