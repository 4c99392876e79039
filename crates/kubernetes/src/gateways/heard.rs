//! When each gateway was heard of last, by our clock.

use std::{collections::BTreeMap, time::Duration};

use portico_core::clock::Timestamp;

/// A list that is proven less often than this was not seen in between. While all is well it is proven every 10 s.
const BLIND: Duration = Duration::from_secs(20);

/// By the Lease: its last renewal as it stands there, and when that was seen.
#[derive(Debug, Default)]
pub(super) struct Heard {
    leases: BTreeMap<String, (String, Timestamp)>,
    proven: Option<Timestamp>,
}

impl Heard {
    /// The list is proven now. Time in which nobody could be heard is nobody's silence: everybody's moment is moved by it, which
    /// is returned.
    pub(super) fn prove(&mut self, now: Timestamp) -> Option<Duration> {
        let gap = now.since(self.proven.replace(now)?);
        if gap <= BLIND {
            return None;
        }
        for (_, heard) in self.leases.values_mut() {
            *heard = heard.plus(gap);
        }
        Some(gap)
    }

    /// Forgets Leases that are gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.leases.retain(|lease, _| is_there(lease));
    }

    /// When a Lease was heard of that now says `renewed`; `first` if it was never seen before.
    pub(super) fn hear(&mut self, lease: &str, renewed: &str, first: Timestamp, now: Timestamp) -> Timestamp {
        let entry = self
            .leases
            .entry(lease.to_owned())
            .or_insert_with(|| (renewed.to_owned(), first));
        if entry.0 != renewed {
            *entry = (renewed.to_owned(), now);
        }
        entry.1
    }
}

#[cfg(test)]
mod tests {
    use portico_core::ownership::SILENCE;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1000 + seconds)
    }

    #[test]
    fn an_outage_is_nobodys_silence() {
        let mut heard = Heard::default();
        assert_eq!(heard.prove(at(0)), None);
        heard.hear("a", "1", at(0), at(0));
        heard.hear("dead", "1", at(-100), at(0));
        assert_eq!(heard.prove(at(10)), None, "all is well");
        heard.hear("b", "1", at(10), at(10));
        let now = at(310);
        assert_eq!(heard.prove(now), Some(Duration::from_mins(5)));
        for (lease, is_heard) in [("a", true), ("b", true), ("dead", false)] {
            let last = heard.hear(lease, "1", now, now);
            assert_eq!(now.since(last) < SILENCE, is_heard, "{lease} at {last}");
        }
        // From here on silence counts.
        for seconds in (320..=380).step_by(10) {
            assert_eq!(heard.prove(at(seconds)), None);
        }
        assert!(at(380).since(heard.hear("a", "1", at(380), at(380))) >= SILENCE);
        assert_eq!(heard.hear("a", "2", at(380), at(380)), at(380));
    }
}
