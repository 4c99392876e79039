//! What is open now: each exchange with who, what and how much, and a way to cut it.

mod cut;
mod reconcile;

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use portico_core::{clock::Timestamp, endpoint::Endpoint, principal::Principal};

pub(crate) use cut::Cut;
pub use cut::CutReason;
pub(crate) use reconcile::of_key;

use crate::record::{Kind, RequestId};

/// The kinds that are entered; pages are not.
const KINDS: [Kind; 4] = [Kind::Http, Kind::Events, Kind::WebSocket, Kind::Tcp];

/// One open exchange.
#[derive(Debug)]
pub struct Exchange {
    /// Under which it is recorded.
    pub request_id: RequestId,
    /// Who.
    pub principal: Principal,
    /// What, as it was when the exchange began.
    pub endpoint: Arc<Endpoint>,
    /// Since when.
    pub started: Timestamp,
    /// From where.
    pub client: IpAddr,
    /// Bytes of bodies, of a tunnel or a stream.
    pub bytes: Bytes,
    pub(crate) began: Instant,
    pub(crate) cut: Cut,
    pub(crate) is_waiting: AtomicBool,
    kind: AtomicU8,
}

/// Bytes that were passed on.
#[derive(Debug, Default)]
pub struct Bytes {
    received: AtomicU64,
    sent: AtomicU64,
    /// What had been passed on when somebody looked last, and when that was another number than before: milliseconds since the
    /// exchange began.
    noticed: [AtomicU64; 2],
    active: AtomicU64,
}

impl Bytes {
    /// From the visitor to the application.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// From the application to the visitor.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn receive(&self, count: usize) {
        self.received.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn send(&self, count: usize) {
        self.sent.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// What was passed on since the last look, received and sent. Looking costs less than noting the time of each byte.
    fn notice(&self, now: Duration) -> Option<[u64; 2]> {
        let totals = [self.received(), self.sent()];
        let [received, sent] = &self.noticed;
        let before = [
            received.swap(totals[0], Ordering::Relaxed),
            sent.swap(totals[1], Ordering::Relaxed),
        ];
        if totals == before {
            return None;
        }
        self.active
            .store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        Some([totals[0].saturating_sub(before[0]), totals[1].saturating_sub(before[1])])
    }
}

impl Exchange {
    pub(crate) fn new(
        request_id: RequestId,
        principal: Principal,
        endpoint: Arc<Endpoint>,
        started: Timestamp,
        client: IpAddr,
    ) -> Self {
        Self {
            request_id,
            principal,
            endpoint,
            started,
            client,
            bytes: Bytes::default(),
            began: Instant::now(),
            cut: Cut::default(),
            is_waiting: AtomicBool::new(true),
            kind: AtomicU8::new(0),
        }
    }

    /// What kind of exchange it is, as far as that is known yet.
    pub fn kind(&self) -> Kind {
        let at = usize::from(self.kind.load(Ordering::Relaxed));
        KINDS.get(at).copied().unwrap_or_default()
    }

    /// True for what lives until somebody ends it: a WebSocket, a stream.
    pub fn is_tunnel(&self) -> bool {
        matches!(self.kind(), Kind::WebSocket | Kind::Tcp)
    }

    /// How long nothing has been passed on; as exact as the data thread's look, once a second.
    pub fn idle(&self) -> Duration {
        let active = Duration::from_millis(self.bytes.active.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(active)
    }

    /// What was passed on since the last look, received and sent, if anything.
    pub(crate) fn notice(&self) -> Option<[u64; 2]> {
        self.bytes.notice(self.began.elapsed())
    }

    pub(crate) fn becomes(&self, kind: Kind) {
        let at = KINDS.iter().position(|known| *known == kind).unwrap_or(0);
        self.kind.store(u8::try_from(at).unwrap_or(0), Ordering::Relaxed);
    }

    /// Ends it, as soon as its data thread looks: a request without an answer yet gets a refusal, an answer under way is
    /// aborted, a WebSocket gets a close frame, a stream is reset.
    pub fn cut(&self, reason: CutReason) {
        self.cut.cut(reason);
    }
}

/// All open exchanges. Each data thread has a shard of its own, so that their locks are free but for the moments when somebody
/// looks at the whole.
#[derive(Debug)]
pub struct Exchanges {
    shards: Box<[Shard]>,
    rounds: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard(Mutex<Open>);

/// Exchanges by place; places are used again.
#[derive(Debug, Default)]
struct Open {
    places: Vec<Option<Arc<Exchange>>>,
    free: Vec<usize>,
}

impl Open {
    fn all(&self) -> impl Iterator<Item = &Arc<Exchange>> {
        self.places.iter().flatten()
    }

    fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    fn enter(&mut self, exchange: Arc<Exchange>) -> usize {
        let at = self.free.pop().unwrap_or(self.places.len());
        match self.places.get_mut(at) {
            Some(place) => *place = Some(exchange),
            None => self.places.push(Some(exchange)),
        }
        at
    }

    fn leave(&mut self, at: usize) {
        if self.places.get_mut(at).and_then(Option::take).is_some() {
            self.free.push(at);
        }
    }
}

impl Exchanges {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            shards: (0..threads.max(1)).map(|_| Shard::default()).collect(),
            rounds: AtomicU64::new(0),
        }
    }

    /// How often all that were open have been decided again.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// All that are open now, in no order.
    pub fn snapshot(&self) -> Vec<Arc<Exchange>> {
        let open = |shard: &Shard| -> Vec<_> { shard.lock().all().cloned().collect() };
        self.shards.iter().flat_map(open).collect()
    }

    /// How many are open now.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// True if none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many are open now, by kind.
    pub fn by_kind(&self) -> Vec<(Kind, usize)> {
        let mut counts = KINDS.map(|kind| (kind, 0));
        for shard in &self.shards {
            for exchange in shard.lock().all() {
                let kind = exchange.kind();
                counts
                    .iter_mut()
                    .filter(|(known, _)| *known == kind)
                    .for_each(|(_, count)| *count += 1);
            }
        }
        counts.into()
    }

    pub(crate) fn of_thread(&self, thread: usize) -> Vec<Arc<Exchange>> {
        self.shards
            .get(thread)
            .map(|shard| shard.lock().all().cloned().collect())
            .unwrap_or_default()
    }

    /// Enters an exchange; it is open until the result is dropped.
    pub(crate) fn open(self: &Arc<Self>, thread: usize, exchange: Arc<Exchange>) -> Opened {
        let place = self
            .shards
            .get(thread)
            .map_or(0, |shard| shard.lock().enter(exchange.clone()));
        Opened {
            all: self.clone(),
            thread,
            place,
            exchange,
        }
    }
}

impl Shard {
    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        // A map that a panicking thread left behind is still a map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An exchange that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    all: Arc<Exchanges>,
    thread: usize,
    place: usize,
    pub(crate) exchange: Arc<Exchange>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(shard) = self.all.shards.get(self.thread) {
            shard.lock().leave(self.place);
        }
    }
}
