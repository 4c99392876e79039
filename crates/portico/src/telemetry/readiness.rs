//! Whether the gateway may be sent visitors, and if not, what it waits for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is not there yet. The gateway is ready when nothing is. Cloning gives another handle to the same.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, usize>>>);

/// While this value lives, the gateway is not ready.
#[derive(Debug)]
pub struct NotYetReady {
    readiness: Readiness,
    what: &'static str,
}

impl Readiness {
    /// The gateway is not ready until the result is dropped; `/readyz` names `what`: "the first answer of ClearML".
    #[must_use = "readiness is withheld only while this value lives"]
    pub fn awaits(&self, what: &'static str) -> NotYetReady {
        *self.lock().entry(what).or_default() += 1;
        NotYetReady {
            readiness: self.clone(),
            what,
        }
    }

    /// What is not there yet; empty when the gateway is ready.
    pub fn awaited(&self) -> Vec<&'static str> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NotYetReady {
    fn drop(&mut self) {
        let mut awaited = self.readiness.lock();
        if let Some(count) = awaited.get_mut(self.what) {
            *count -= 1;
            if *count == 0 {
                awaited.remove(self.what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_when_nothing_is_awaited() {
        let readiness = Readiness::default();
        assert!(readiness.awaited().is_empty());
        let table = readiness.awaits("routes");
        let server = readiness.awaits("the first answer of ClearML");
        let again = readiness.awaits("routes");
        drop(table);
        assert_eq!(readiness.awaited(), ["routes", "the first answer of ClearML"]);
        drop((server, again));
        assert!(readiness.awaited().is_empty());
    }
}
