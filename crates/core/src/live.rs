//! The newest value of something, handed from one producer to many followers.
//!
//! A source holds a [`Publish`], a follower a [`Live`]. Followers see only the newest value, never the steps between: they are
//! reconcilers and compare wholes.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// The producing end.
#[derive(Debug)]
pub struct Publish<T>(watch::Sender<Arc<T>>);

/// The following end. Cloning is cheap; each clone remembers what it has seen.
#[derive(Debug)]
pub struct Live<T>(watch::Receiver<Arc<T>>);

/// Both ends, with a first value.
pub fn live<T>(first: T) -> (Publish<T>, Live<T>) {
    let (sender, receiver) = watch::channel(Arc::new(first));
    (Publish(sender), Live(receiver))
}

impl<T> Publish<T> {
    /// Replaces the value and wakes the followers. Works without followers too.
    pub fn publish(&self, value: impl Into<Arc<T>>) {
        self.0.send_replace(value.into());
    }

    /// The value that was published last.
    pub fn get(&self) -> Arc<T> {
        self.0.borrow().clone()
    }

    /// A new follower.
    pub fn follow(&self) -> Live<T> {
        Live(self.0.subscribe())
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Live<T> {
    /// A value that never changes.
    pub fn fixed(value: T) -> Self {
        live(value).1
    }

    /// The newest value.
    pub fn get(&self) -> Arc<T> {
        self.0.borrow().clone()
    }

    /// Waits until there is a value that this follower has not seen, and returns it. `None` when the producer is gone.
    pub async fn changed(&mut self) -> Option<Arc<T>> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }

    /// A holder that keeps the newest value at hand, for a thread that reads it for each request.
    pub fn cached(mut self) -> Cached<T> {
        let value = self.0.borrow_and_update().clone();
        Cached { live: self, value }
    }
}

/// The newest value, kept at hand: reading it costs one atomic load while nothing changes.
#[derive(Debug)]
pub struct Cached<T> {
    live: Live<T>,
    value: Arc<T>,
}

impl<T> Cached<T> {
    /// The newest value.
    pub fn get(&mut self) -> &Arc<T> {
        if self.live.0.has_changed().unwrap_or(false) {
            self.value = self.live.0.borrow_and_update().clone();
        }
        &self.value
    }
}

/// A request to look again soon. Nudging twice before anybody looks is once.
#[derive(Clone, Debug, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    /// Asks whoever waits to look again.
    pub fn nudge(&self) {
        self.0.notify_one();
    }

    /// Waits for a nudge; returns at once if there was one since the last wait. For one follower.
    pub async fn nudged(&self) {
        self.0.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cached_follower_sees_the_newest_value() {
        let (publish, live) = live(1);
        let mut cached = live.cached();
        assert_eq!(**cached.get(), 1);
        publish.publish(2);
        publish.publish(3);
        assert_eq!(**cached.get(), 3);
    }

    #[test]
    fn publishing_works_without_followers() {
        let (publish, live) = live(1);
        drop(live);
        publish.publish(2);
        assert_eq!(*publish.get(), 2);
    }
}
