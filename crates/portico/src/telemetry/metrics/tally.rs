//! What data threads count: each in a shard of its own, without locks but for the rare words.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use portico_proxy::record::{ExchangeRecord, Kind};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::exemplar::Exemplar,
};

use super::names;

const KINDS: [Kind; 5] = [Kind::Http, Kind::Events, Kind::WebSocket, Kind::Tcp, Kind::Page];
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
/// Seconds. Models think for minutes, notebooks hold tunnels for hours.
const BOUNDS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3600.0,
];

/// Counts exchanges that are over. Cloning gives another handle to the same counts.
#[derive(Clone, Debug)]
pub struct Tally {
    shards: Arc<[Shard]>,
    refusals: Arc<Words>,
    cuts: Arc<Words>,
}

#[derive(Debug, Default)]
struct Shard {
    kinds: [Counts; KINDS.len()],
    first_byte: Histogram,
}

#[derive(Debug, Default)]
struct Counts {
    classes: [AtomicU64; CLASSES.len()],
    received: AtomicU64,
    sent: AtomicU64,
    duration: Histogram,
}

/// One count for each bound, and one above.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// Counts by words that are few: codes and reasons of the program itself.
#[derive(Debug, Default)]
struct Words(RwLock<BTreeMap<&'static str, AtomicU64>>);

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

impl Tally {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            shards: (0..threads.max(1)).map(|_| Shard::default()).collect(),
            refusals: Arc::default(),
            cuts: Arc::default(),
        }
    }

    /// Counts one exchange. Called by data threads.
    pub fn count(&self, record: &ExchangeRecord) {
        let Some(shard) = self.shards.get(record.thread % self.shards.len()) else {
            return;
        };
        let kind = KINDS.iter().position(|kind| *kind == record.kind).unwrap_or(0);
        if let Some(counts) = shard.kinds.get(kind) {
            let class = record.status.map_or(0, |status| usize::from(status.as_u16() / 100));
            if let Some(count) = counts.classes.get(class) {
                add(count, 1);
            }
            add(&counts.received, record.received);
            add(&counts.sent, record.sent);
            counts.duration.observe(record.total);
        }
        if let Some(first_byte) = record.first_byte {
            shard.first_byte.observe(first_byte);
        }
        // Streams have words of their own, and some are refused before there is an exchange: the data plane counts them.
        if let Some(code) = record.refusal.filter(|_| record.kind != Kind::Tcp) {
            self.refusals.count(code);
        }
        if let Some(reason) = record.cut {
            self.cuts.count(reason);
        }
    }

    fn sum(&self, of: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        self.shards.iter().map(|shard| of(shard).load(Ordering::Relaxed)).sum()
    }

    fn histogram(&self, encoder: &mut MetricEncoder<'_>, of: impl Fn(&Shard) -> &Histogram) -> fmt::Result {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds
            .enumerate()
            .map(|(at, bound)| (bound, self.sum(|shard| &of(shard).buckets[at])))
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        #[expect(clippy::cast_precision_loss, reason = "a sum of durations needs no 53 bits")]
        let sum = self.sum(|shard| &of(shard).micros) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

impl Histogram {
    fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let at = BOUNDS.partition_point(|bound| *bound < seconds);
        if let Some(bucket) = self.buckets.get(at) {
            add(bucket, 1);
        }
        add(&self.micros, u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }
}

impl Words {
    fn count(&self, word: &'static str) {
        let words = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = words.get(word) {
            return add(count, 1);
        }
        drop(words);
        let mut words = self.0.write().unwrap_or_else(PoisonError::into_inner);
        add(words.entry(word).or_default(), 1);
    }

    fn encode(&self, label: &'static str, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let words = self.0.read().unwrap_or_else(PoisonError::into_inner);
        words
            .iter()
            .try_for_each(|(word, count)| counter(encoder, &[(label, word)], count.load(Ordering::Relaxed)))
    }
}

/// One counter of a family.
pub(super) fn counter(encoder: &mut MetricEncoder<'_>, labels: &[(&str, &str)], count: u64) -> fmt::Result {
    if labels.is_empty() {
        return encoder.encode_counter(&count, None::<&Exemplar<NoLabelSet, u64>>);
    }
    encoder
        .encode_family(&labels)?
        .encode_counter(&count, None::<&Exemplar<NoLabelSet, u64>>)
}

impl Collector for Tally {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut exchanges = names::EXCHANGES.start(&mut encoder)?;
        for (at, kind) in KINDS.iter().enumerate() {
            for (class, word) in CLASSES.iter().enumerate() {
                let count = self.sum(|shard| &shard.kinds[at].classes[class]);
                if count > 0 {
                    counter(&mut exchanges, &[("kind", kind.word()), ("status", word)], count)?;
                }
            }
        }
        self.refusals
            .encode("code", &mut names::REFUSALS.start(&mut encoder)?)?;
        self.cuts.encode("reason", &mut names::CUTS.start(&mut encoder)?)?;
        let mut duration = names::DURATION.start(&mut encoder)?;
        for (at, kind) in KINDS.iter().enumerate() {
            let labels = [("kind", kind.word())];
            self.histogram(&mut duration.encode_family(&labels)?, |shard| &shard.kinds[at].duration)?;
        }
        let mut first_byte = names::FIRST_BYTE.start(&mut encoder)?;
        self.histogram(&mut first_byte, |shard| &shard.first_byte)?;
        let mut received = names::RECEIVED.start(&mut encoder)?;
        for (at, kind) in KINDS.iter().enumerate() {
            counter(
                &mut received,
                &[("kind", kind.word())],
                self.sum(|shard| &shard.kinds[at].received),
            )?;
        }
        let mut sent = names::SENT.start(&mut encoder)?;
        for (at, kind) in KINDS.iter().enumerate() {
            counter(
                &mut sent,
                &[("kind", kind.word())],
                self.sum(|shard| &shard.kinds[at].sent),
            )?;
        }
        Ok(())
    }
}
