//! What the tests share: a server, a client, and waiting for conditions.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use portico_clearml::{Clearml, KeyPair, Settings};
use portico_core::{
    clock::{ManualClock, Timestamp},
    endpoint::TaskId,
    live::{Live, Publish, live},
    secret::Secret,
};
use portico_emulator::{Emulator, Faults, FeatureSet, Seed, Server};

use crate::stub::Stub;

/// A server and a client of it, with bob's key as the gateway's.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) clearml: Clearml,
    pub(crate) keys: Publish<KeyPair>,
    pub(crate) clock: ManualClock,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(FeatureSet::Advanced, |_| ()).await
    }

    pub(crate) async fn with(feature_set: FeatureSet, change: impl FnOnce(&mut Settings)) -> Self {
        let server = Server::start(Emulator::new(Seed::default(), feature_set))
            .await
            .unwrap();
        Self::at(server, change)
    }

    pub(crate) fn at(server: Server, change: impl FnOnce(&mut Settings)) -> Self {
        let (keys, keys_live) = live(key_of(server.emulator(), "bob"));
        let mut settings = settings(&server.url(), keys_live);
        change(&mut settings);
        let clock = ManualClock::at(now_of(server.emulator()));
        let clearml = Clearml::new(settings, Arc::new(clock.clone())).unwrap();
        Self {
            server,
            clearml,
            keys,
            clock,
        }
    }

    /// The same server behind one that answers some calls by itself.
    pub(crate) async fn behind(answer: fn(&str) -> Option<String>) -> (Self, Stub) {
        let server = Server::start(Emulator::new(Seed::default(), FeatureSet::Advanced))
            .await
            .unwrap();
        let stub = Stub::before(server.address(), answer).await;
        let url = stub.url.clone();
        (Self::at(server, |settings| settings.api_host = url), stub)
    }

    /// The same server, which hands on a runtime's `"~"` as `NaN`, as Python's JSON does with that number.
    pub(crate) async fn that_answers_nan() -> (Self, Stub) {
        let server = Server::start(Emulator::new(Seed::default(), FeatureSet::Advanced))
            .await
            .unwrap();
        let spoil = |answer: &mut [u8]| {
            for at in 0..answer.len().saturating_sub(2) {
                if answer[at..].starts_with(br#""~""#) {
                    answer[at..at + 3].copy_from_slice(b"NaN");
                }
            }
        };
        let stub = Stub::between(server.address(), |_| None, spoil).await;
        let url = stub.url.clone();
        (Self::at(server, |settings| settings.api_host = url), stub)
    }

    pub(crate) fn emulator(&self) -> &Emulator {
        self.server.emulator()
    }

    pub(crate) fn faults(&self, faults: Faults) {
        self.emulator().set_faults(faults);
    }

    pub(crate) fn calls(&self, name: &str) -> u64 {
        self.emulator().calls().get(name).copied().unwrap_or(0)
    }
}

pub(crate) fn settings(url: &str, keys: Live<KeyPair>) -> Settings {
    Settings {
        obeys_system_proxy: false,
        connect_timeout: Duration::from_secs(2),
        call_timeout: Duration::from_secs(5),
        ..Settings::new(url, keys)
    }
}

pub(crate) fn key_of(emulator: &Emulator, login: &str) -> KeyPair {
    let key = emulator.actor(login).unwrap().key.clone().unwrap();
    KeyPair {
        key: key.access_key,
        secret: Secret::new(key.secret_key),
    }
}

/// The server's time.
pub(crate) fn now_of(emulator: &Emulator) -> Timestamp {
    Timestamp::from_secs(emulator.now())
}

pub(crate) fn task_id(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

/// Waits until `condition` holds; fails with its last answer.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
