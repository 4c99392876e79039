//! What is kept of a gateway that sees well while nothing changes.

use portico_core::{
    endpoint::TaskId,
    live::{Publish, live},
    observe::{ObservedTask, Standing, TaskStatus},
    principal::{CompanyId, UserId},
};
use portico_store::MemoryStore;
use tokio::task::JoinSet;

use super::*;

const HOUR: Duration = Duration::from_hours(1);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn start() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

fn observation(number: u8) -> Observation {
    Observation::new(vec![Arc::new(ObservedTask {
        id: TaskId::parse(&format!("{number:02x}").repeat(16)).expect("an id"),
        name: "session".into(),
        owner: UserId::new("alice"),
        company: CompanyId::new("company"),
        project: None,
        queue: None,
        status: TaskStatus::InProgress,
        status_since: start(),
        started: Some(start()),
        addresses: Vec::new(),
        requests: Vec::new(),
        published: Vec::new(),
        standing: Standing::default(),
    })])
}

/// A gateway that keeps what it sees.
struct Gateway {
    store: Arc<MemoryStore>,
    observation: Publish<Observation>,
    health: Publish<SourceHealth>,
    drain: CancellationToken,
    keeping: JoinSet<()>,
}

impl Gateway {
    /// It sees nothing yet.
    fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        let (publish, observation) = live(Observation::default());
        let (publish_health, health) = live(SourceHealth::default());
        let drain = CancellationToken::new();
        let mut keeping = JoinSet::new();
        let (keeper, until) = (store.clone(), drain.clone());
        keeping.spawn(async move { keep_every(Duration::from_millis(1), &*keeper, observation, health, until).await });
        Self {
            store,
            observation: publish,
            health: publish_health,
            drain,
            keeping,
        }
    }

    fn has_looked(&self, at: Timestamp) {
        self.health.publish(SourceHealth {
            observed: Some(at),
            failing: None,
        });
    }

    /// How often it was written.
    async fn writes(&self) -> u64 {
        let document = self.store.get(DOCUMENT).await.expect("the store reads");
        document.map_or(0, |document| document.version)
    }

    async fn has_written(&self, times: u64) {
        let written = async {
            while self.writes().await < times {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, written).await;
        assert!(in_time.is_ok(), "{} of {times}", self.writes().await);
    }

    async fn drains(mut self) -> Arc<MemoryStore> {
        self.drain.cancel();
        self.keeping.join_next().await.expect("it ran").expect("it ends");
        self.store
    }
}

#[tokio::test]
async fn what_did_not_change_for_a_day_is_found_by_the_next_process() {
    let gateway = Gateway::new();
    gateway.observation.publish(observation(1));
    let mut now = start();
    for hour in 1..=25 {
        gateway.has_looked(now);
        gateway.has_written(hour).await;
        // Not worth a write.
        gateway.has_looked(now.plus(HOUR / 2));
        tokio::task::yield_now().await;
        now = now.plus(HOUR);
    }
    assert_eq!(gateway.writes().await, 25);
    let saved = restore(&*gateway.store, now).await.expect("it is young enough");
    assert_eq!((saved.at.plus(HOUR), saved.observation), (now, observation(1)));
}

#[tokio::test]
async fn the_last_proof_is_kept_at_the_end() {
    let gateway = Gateway::new();
    gateway.observation.publish(observation(1));
    gateway.has_looked(start());
    gateway.has_written(1).await;
    let last = start().plus(HOUR / 2);
    gateway.has_looked(last);
    let store = gateway.drains().await;
    let saved = restore(&*store, last).await.expect("it is there");
    assert_eq!((saved.at, saved.observation), (last, observation(1)));
}

#[tokio::test]
async fn whoever_has_no_news_at_the_end_writes_nothing() {
    let gateway = Gateway::new();
    gateway.observation.publish(observation(1));
    gateway.has_looked(start());
    gateway.has_written(1).await;
    let store = gateway.drains().await;
    let document = store.get(DOCUMENT).await.expect("the store reads");
    assert_eq!(document.map(|document| document.version), Some(1));
}

#[tokio::test]
async fn what_another_process_saw_later_stays() {
    let gateway = Gateway::new();
    gateway.observation.publish(observation(1));
    gateway.has_looked(start());
    gateway.has_written(1).await;
    let later = start().plus(HOUR / 2);
    let theirs = Saved::document(&observation(2), later);
    let put = gateway.store.put_if_version(DOCUMENT, Some(1), theirs).await;
    put.expect("written");
    gateway.observation.publish(observation(3));
    let store = gateway.drains().await;
    let saved = restore(&*store, later).await.expect("it is there");
    assert_eq!((saved.at, saved.observation), (later, observation(2)));
}

#[tokio::test]
async fn an_observation_that_was_there_before_its_proof_is_kept() {
    let gateway = Gateway::new();
    gateway.observation.publish(observation(1));
    tokio::task::yield_now().await;
    assert_eq!(gateway.writes().await, 0);
    gateway.has_looked(start());
    gateway.has_written(1).await;
}
