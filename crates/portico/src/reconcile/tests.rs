//! The loop with stores that fail, hang and belong to others, too.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use portico_core::{
    Answer,
    access::Who,
    access_policy::AccessPolicy,
    clock::{ManualClock, Timestamp},
    dial::DialRules,
    endpoint::{EndpointKey, Prefix, Protocol, TaskId},
    live::live,
    observe::{Ask, ObservedTask, Request, RequestOrigin, StreamClaims, TaskStatus},
    port_range::PortRange,
    ports::Leases,
    principal::{CompanyId, UserId},
    refusal::Refusal,
    state::{Document, StateStore, StoreError},
    streams::{Admission, StreamPolicy},
};
use portico_store::MemoryStore;
use tokio::task::JoinSet;

use super::*;

const DOCUMENT: &str = "leases";
const COOLING: Duration = Duration::from_mins(5);

fn start() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

fn id(number: u8) -> TaskId {
    TaskId::parse(&format!("{number:02x}").repeat(16)).expect("an id")
}

fn key(number: u8) -> EndpointKey {
    EndpointKey {
        task: id(number),
        protocol: Protocol::Tcp,
        name: None,
    }
}

/// A running task that asks for a TCP endpoint at an address of its own.
fn task(number: u8) -> Arc<ObservedTask> {
    let address = IpAddr::from([10, 0, 0, number]);
    Arc::new(ObservedTask {
        id: id(number),
        name: "session".into(),
        owner: UserId::new("alice"),
        company: CompanyId::new("company"),
        project: None,
        queue: None,
        status: TaskStatus::InProgress,
        status_since: start(),
        started: Some(start()),
        addresses: vec![address],
        requests: vec![Request {
            protocol: Protocol::Tcp,
            name: None,
            origin: RequestOrigin::Runtime,
            ask: Ok(Ask {
                claimed: Some(address),
                port: 10022,
                prefix: Prefix::Auto,
                access: None,
                stream: StreamClaims {
                    host: Some(address.to_string().into()),
                    port: Some(10022),
                    ..StreamClaims::default()
                },
            }),
        }],
        published: Vec::new(),
        standing: portico_core::observe::Standing::default(),
    })
}

fn policy(ports: u16) -> Policy {
    Policy {
        queues: Vec::new(),
        dial: DialRules::default(),
        access: AccessPolicy::only(Who::Visible),
        streams: Some(StreamPolicy {
            host: "gateway.example.com".into(),
            range: PortRange::new(9000, 8999 + ports).expect("a range"),
            admission: Admission::Open,
        }),
    }
}

/// A store that says no, never answers, or works.
#[derive(Default)]
struct Moody {
    store: MemoryStore,
    is_failing: std::sync::atomic::AtomicBool,
    is_hanging: std::sync::atomic::AtomicBool,
    is_late: std::sync::atomic::AtomicBool,
    writes: AtomicU64,
}

impl Moody {
    fn fails(&self, is: bool) {
        self.is_failing.store(is, Ordering::Relaxed);
    }

    fn hangs(&self, is: bool) {
        self.is_hanging.store(is, Ordering::Relaxed);
    }

    /// It writes, and never says so.
    fn is_late(&self, is: bool) {
        self.is_late.store(is, Ordering::Relaxed);
    }

    async fn leases(&self) -> Leases {
        let document = self.store.get(DOCUMENT).await.expect("the store reads");
        document.map_or_else(Leases::default, |document| {
            serde_json::from_slice(&document.body).expect("leases")
        })
    }
}

impl StateStore for Moody {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Result<Option<Document>, StoreError>> {
        self.store.get(key)
    }

    fn put_if_version<'a>(
        &'a self,
        key: &'a str,
        expected: Option<u64>,
        body: Vec<u8>,
    ) -> Answer<'a, Result<u64, StoreError>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        if self.is_failing.load(Ordering::Relaxed) {
            return Box::pin(async { Err(StoreError::Failed("disk full".into())) });
        }
        if self.is_hanging.load(Ordering::Relaxed) {
            return Box::pin(std::future::pending());
        }
        if self.is_late.load(Ordering::Relaxed) {
            return Box::pin(async move {
                self.store.put_if_version(key, expected, body).await?;
                std::future::pending().await
            });
        }
        self.store.put_if_version(key, expected, body)
    }

    fn changed<'a>(&'a self, key: &'a str, seen: Option<u64>) -> Answer<'a, Result<Document, StoreError>> {
        self.store.changed(key, seen)
    }
}

/// A loop that runs.
struct Running {
    store: Arc<Moody>,
    clock: ManualClock,
    observation: Publish<Observation>,
    health: Publish<SourceHealth>,
    open_ports: Publish<OpenPorts>,
    /// Kept: a loop whose policy nobody holds any more ends.
    _policy: Publish<Policy>,
    recording: Live<Recording>,
    table: Live<RouteTable>,
    drain: CancellationToken,
    stop: CancellationToken,
    ended: JoinSet<()>,
}

/// How well a source sees that has seen.
fn seeing() -> SourceHealth {
    SourceHealth {
        observed: Some(start()),
        failing: None,
    }
}

async fn running(store: Arc<Moody>, ports: u16, tasks: &[u8]) -> Running {
    starting(store, ports, tasks, seeing()).await
}

async fn starting(store: Arc<Moody>, ports: u16, tasks: &[u8], health: SourceHealth) -> Running {
    let clock = ManualClock::at(start());
    let (ledger, recording) = Ledger::open(store.clone()).await.expect("the store reads");
    let policy = Arc::new(policy(ports));
    let (observation, seen) = live(Observation::new(tasks.iter().map(|number| task(*number)).collect()));
    let (health, known) = live(health);
    let (open_ports, opened) = live(OpenPorts::default());
    let (allow, allowed) = live((*policy).clone());
    let (publish, table) = live(RouteTable::empty(policy.clone()));
    let drain = CancellationToken::new();
    let reconcile = Reconcile {
        observation: seen,
        health: known,
        policy: allowed,
        open_ports: opened,
        ledger,
        cooling: COOLING,
        table: publish,
        audit: AuditLog::bounded(64).0,
        clock: Arc::new(clock.clone()),
        drain: drain.clone(),
    };
    let stop = CancellationToken::new();
    let mut ended = JoinSet::new();
    ended.spawn(reconcile.run(stop.clone()));
    Running {
        store,
        clock,
        observation,
        health,
        open_ports,
        _policy: allow,
        recording,
        table,
        drain,
        stop,
        ended,
    }
}

impl Running {
    fn observes(&self, tasks: &[u8]) {
        let tasks = tasks.iter().map(|number| task(*number)).collect();
        self.observation.publish(Observation::new(tasks));
    }

    /// The port of a task's endpoint, or why it has none.
    fn port(&self, number: u8) -> Result<u16, &'static str> {
        match self.table.get().route(&key(number)).map(|route| &route.outcome) {
            Some(Ok(endpoint)) => endpoint.port.ok_or("no port"),
            Some(Err(refusal)) => Err(refusal.code()),
            None => Err("no route"),
        }
    }

    async fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let mut table = self.table.clone();
        let wait = async {
            while !is(self) {
                // Where time is all that changes, the loop looks once a second.
                let _ = tokio::time::timeout(Duration::from_millis(20), table.changed()).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), wait).await;
        assert!(waited.is_ok(), "{what}: {:?}", self.table.get().ports());
    }

    /// Nothing more happens while nothing changes, but for the table that may just be made.
    async fn is_quiet(&self) {
        let mut table = self.table.clone();
        table.changed().await;
        let mut made = 0;
        let count = async {
            while table.changed().await.is_some() {
                made += 1;
            }
        };
        let counted = tokio::time::timeout(Duration::from_secs(2), count).await;
        assert!(counted.is_err() && made <= 1, "{made} tables without a reason");
    }

    async fn stops(mut self) -> Arc<Moody> {
        self.stop.cancel();
        self.ended.join_next().await.expect("a loop").expect("it ends");
        self.store
    }
}

#[tokio::test]
async fn a_port_is_recorded_before_it_is_told_and_is_the_same_after_a_restart() {
    let running = running(Arc::default(), 2, &[1]).await;
    let mut table = running.table.clone();
    while running.port(1).is_err() {
        table.changed().await.expect("the loop runs");
    }
    let recorded = running.store.leases().await;
    assert_eq!(recorded.of(&key(1)).map(|lease| lease.port), running.port(1).ok());
    let first = running.port(1);
    // Another task comes first in every order, and takes the other port.
    let again = self::running(running.stops().await, 2, &[0, 1]).await;
    again
        .until("both have ports", |now| now.port(0).is_ok() && now.port(1).is_ok())
        .await;
    assert_eq!(again.port(1), first);
    assert_ne!(again.port(0), first);
    again.stops().await;
}

#[tokio::test]
async fn nothing_is_written_while_nothing_changes() {
    let running = running(Arc::default(), 2, &[1]).await;
    running.until("it has a port", |now| now.port(1).is_ok()).await;
    let writes = running.store.writes.load(Ordering::Relaxed);
    let endpoint = running.table.get().endpoints().next().expect("an endpoint").id;
    running.open_ports.publish(OpenPorts {
        open: [(9000, endpoint)].into(),
        ..OpenPorts::default()
    });
    running.observes(&[1]);
    running.observes(&[1, 2]);
    running.until("another has a port", |now| now.port(2).is_ok()).await;
    assert_eq!(running.store.writes.load(Ordering::Relaxed), writes + 1);
    running.stops().await;
}

#[tokio::test]
async fn no_lease_ends_before_there_was_anything_to_see() {
    let first = running(Arc::default(), 1, &[1]).await;
    first.until("it has a port", |now| now.port(1).is_ok()).await;
    let store = first.stops().await;

    let clock = ManualClock::at(start());
    let (ledger, _) = Ledger::open(store.clone()).await.expect("the store reads");
    let policy = Arc::new(policy(1));
    let (observation, seen) = live(Observation::default());
    let (health, known) = live(SourceHealth::default());
    let (publish, table) = live(RouteTable::empty(policy.clone()));
    let mut reconcile = Reconcile {
        observation: seen,
        health: known,
        policy: live((*policy).clone()).1,
        open_ports: Live::fixed(OpenPorts::default()),
        ledger,
        cooling: Duration::ZERO,
        table: publish,
        audit: AuditLog::bounded(64).0,
        clock: Arc::new(clock),
        drain: CancellationToken::new(),
    };
    let mut blocked = Blocked::default();
    reconcile.step(&mut blocked).await;
    assert_eq!(store.leases().await.len(), 1, "it is not known to be gone");
    observation.publish(Observation::new(vec![task(1)]));
    health.publish(seeing());
    reconcile.step(&mut blocked).await;
    assert_eq!(table.get().len(), 1);
    observation.publish(Observation::default());
    reconcile.step(&mut blocked).await;
    assert_eq!(store.leases().await.len(), 0);
}

#[tokio::test]
async fn what_becomes_known_while_a_table_is_made_is_news() {
    let running = starting(Arc::default(), 1, &[1], SourceHealth::default()).await;
    let mut table = running.table.clone();
    while running.port(1) != Err(Refusal::PortPending.code()) {
        table.changed().await.expect("the loop runs");
    }
    // Now the loop waits for more that belongs together.
    running.health.publish(seeing());
    running.until("it has a port", |now| now.port(1).is_ok()).await;
    running.stops().await;
}

#[tokio::test]
async fn a_port_cools_down_before_another_endpoint_gets_it() {
    let running = running(Arc::default(), 1, &[1]).await;
    running.until("it has a port", |now| now.port(1) == Ok(9000)).await;
    running.observes(&[2]);
    running
        .until("there is no port", |now| now.port(2) == Err("no_port_free"))
        .await;
    let lease = running.store.leases().await.of(&key(1)).cloned().expect("a lease");
    assert_eq!(lease.cooling_until, Some(start().plus(COOLING)));
    // The endpoint comes back to its port.
    running.observes(&[1, 2]);
    running.until("it is back", |now| now.port(1) == Ok(9000)).await;
    running.observes(&[2]);
    running.until("it is gone", |now| now.port(1).is_err()).await;
    // Nothing happens but time.
    running.clock.advance(COOLING);
    running.until("the port is free", |now| now.port(2) == Ok(9000)).await;
    assert!(running.store.leases().await.of(&key(1)).is_none());
    running.stops().await;
}

#[tokio::test]
async fn a_store_that_fails_takes_no_port_away_and_gives_none() {
    let running = running(Arc::default(), 3, &[1]).await;
    running.until("it has a port", |now| now.port(1) == Ok(9000)).await;
    for is_hanging in [false, true] {
        running.store.fails(!is_hanging);
        running.store.hangs(is_hanging);
        running.observes(&[1, 2]);
        running
            .until("the new one waits", |now| {
                now.port(2) == Err(Refusal::PortPending.code())
            })
            .await;
        assert_eq!(running.port(1), Ok(9000));
        let recording = running.recording.get();
        let (since, why) = recording.failing.clone().expect("it is said");
        assert_eq!(since, start());
        assert_eq!(why, if is_hanging { "no answer within 5s" } else { "disk full" });
        // It is tried again by itself, and not without a pause.
        running
            .until("it is tried again", |now| {
                now.recording.get().failures > recording.failures
            })
            .await;
        running.store.fails(false);
        running.store.hangs(false);
        running.until("it gets its port", |now| now.port(2) == Ok(9001)).await;
        assert_eq!(running.recording.get().failing, None);
        running.observes(&[1]);
        running.until("it is gone", |now| now.port(2).is_err()).await;
    }
    running.stops().await;
}

#[tokio::test]
async fn a_failed_write_that_nobody_wants_any_more_is_over() {
    let running = running(Arc::default(), 3, &[1]).await;
    running.until("it has a port", |now| now.port(1) == Ok(9000)).await;
    running.store.fails(true);
    running.observes(&[1, 2]);
    running
        .until("the new one waits", |now| {
            now.port(2) == Err(Refusal::PortPending.code())
        })
        .await;
    running.observes(&[1]);
    running
        .until("nothing fails", |now| now.recording.get().failing.is_none())
        .await;
    running.is_quiet().await;
    assert_eq!(running.recording.get().writes, 1);
    running.stops().await;
}

#[tokio::test]
async fn a_write_that_came_late_is_found_whether_it_is_still_wanted_or_not() {
    for is_wanted in [true, false] {
        let running = running(Arc::default(), 3, &[]).await;
        running.store.is_late(true);
        running.observes(&[2]);
        running
            .until("it is told late", |now| now.recording.get().failing.is_some())
            .await;
        running.store.is_late(false);
        if !is_wanted {
            running.observes(&[]);
        }
        running
            .until("nothing fails", |now| now.recording.get().failing.is_none())
            .await;
        if is_wanted {
            running.until("it has its port", |now| now.port(2) == Ok(9000)).await;
        } else {
            // Its port cools down, as everybody's.
            running
                .until("it is known", |now| now.recording.get().writes == 1)
                .await;
            let lease = running.store.leases().await.of(&key(2)).cloned().expect("a lease");
            assert_eq!(lease.cooling_until, Some(start().plus(COOLING)));
        }
        running.stops().await;
    }
}

#[tokio::test]
async fn leases_that_somebody_else_wrote_are_respected() {
    let running = running(Arc::default(), 2, &[]).await;
    // A sibling gives the first port to its task.
    let sibling = self::running(Arc::default(), 1, &[7]).await;
    sibling.until("it has a port", |now| now.port(7) == Ok(9000)).await;
    let theirs = sibling.stops().await.leases().await;
    let body = serde_json::to_vec(&theirs).expect("leases");
    running
        .store
        .store
        .put_if_version(DOCUMENT, None, body)
        .await
        .expect("written");
    running.observes(&[1, 7]);
    running
        .until("both have ports", |now| now.port(1).is_ok() && now.port(7).is_ok())
        .await;
    assert_eq!((running.port(7), running.port(1)), (Ok(9000), Ok(9001)));
    running.stops().await;
}

/// A range was made wider: the old process finishes what it has while the new one decides.
#[tokio::test]
async fn whoever_drains_follows_the_leases_of_the_one_that_decides_and_writes_nothing() {
    let store: Arc<Moody> = Arc::default();
    let narrow = running(store.clone(), 2, &[1, 2, 3]).await;
    narrow
        .until("its range is full", |now| {
            (now.port(1), now.port(2), now.port(3)) == (Ok(9000), Ok(9001), Err("no_port_free"))
        })
        .await;
    let wrote = narrow.recording.get().writes;
    let wide = running(store.clone(), 4, &[1, 2, 3]).await;
    wide.until("there is a port for all", |now| now.port(3) == Ok(9002))
        .await;
    narrow.drain.cancel();
    narrow
        .until("it has heard of the port", |now| now.port(3) == Ok(9002))
        .await;

    // A lease ends by both clocks. By the old range, the other one's port is none.
    wide.observes(&[1, 3]);
    wide.until("it is gone", |now| now.port(2).is_err()).await;
    narrow.observes(&[1, 3]);
    narrow.until("it is gone", |now| now.port(2).is_err()).await;
    wide.clock.advance(COOLING);
    narrow.clock.advance(COOLING);
    let is_over = |now: &Running| now.table.get().ports().leases.next_end().is_none();
    wide.until("the lease is over", is_over).await;
    wide.observes(&[1, 3, 4]);
    wide.until("the port is another's", |now| now.port(4) == Ok(9001)).await;
    narrow.observes(&[1, 3, 4]);
    narrow
        .until("it follows", |now| now.port(4) == Ok(9001) && is_over(now))
        .await;

    for one in [&narrow, &wide] {
        assert_eq!((one.port(1), one.port(3)), (Ok(9000), Ok(9002)));
    }
    assert_eq!(narrow.recording.get().writes, wrote);
    let written = wrote + wide.recording.get().writes;
    assert_eq!(store.writes.load(Ordering::Relaxed), written, "nobody tried to");
    narrow.stops().await;
    wide.stops().await;
}

/// A newer version may write what an older one, which drains, does not know.
#[tokio::test]
async fn leases_that_cannot_be_understood_do_not_end_those_that_are_known() {
    let store: Arc<Moody> = Arc::default();
    let running = running(store.clone(), 2, &[1]).await;
    running.until("it has a port", |now| now.port(1) == Ok(9000)).await;
    running.drain.cancel();
    let found = store.get(DOCUMENT).await.expect("the store reads").expect("leases");
    store
        .store
        .put_if_version(DOCUMENT, Some(found.version), b"{".to_vec())
        .await
        .expect("written");
    running.observes(&[1, 2]);
    running
        .until("it waits", |now| now.port(2) == Err(Refusal::PortPending.code()))
        .await;
    assert_eq!(running.port(1), Ok(9000));
    running.stops().await;
}

#[tokio::test]
async fn a_document_that_nobody_understands_is_replaced() {
    let store = Arc::new(Moody::default());
    store
        .store
        .put_if_version(DOCUMENT, None, b"{".to_vec())
        .await
        .expect("written");
    let running = running(store, 1, &[1]).await;
    running.until("it has a port", |now| now.port(1) == Ok(9000)).await;
    assert_eq!(running.stops().await.leases().await.len(), 1);
}

#[tokio::test]
async fn an_endpoint_whose_port_somebody_else_has_moves() {
    let running = running(Arc::default(), 2, &[1]).await;
    running.until("it has a port", |now| now.port(1) == Ok(9000)).await;
    running.open_ports.publish(OpenPorts {
        failed: [(9000, "address in use".to_owned())].into(),
        ..OpenPorts::default()
    });
    running.until("it has moved", |now| now.port(1) == Ok(9001)).await;
    running.open_ports.publish(OpenPorts {
        open: [(9001, key(1).id())].into(),
        ..OpenPorts::default()
    });
    // The other port is not tried before its rest is over, then it is.
    running.observes(&[1, 2]);
    running
        .until("there is no port", |now| now.port(2) == Err("no_port_free"))
        .await;
    running.clock.advance(COOLING);
    running
        .until("the port is tried again", |now| now.port(2) == Ok(9000))
        .await;
    assert_eq!(running.port(1), Ok(9001));
    running.stops().await;
}
