#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io::{Result, Write},
    sync::Mutex,
};

use portico_core::{
    clock::ManualClock,
    live::{Live, live},
    observe::Failing,
};
use serde_json::json;
use tracing::subscriber::set_default;

use super::*;
use crate::{
    api::ApiError,
    gateways::{GatewaySettings, lease},
};

const START: Timestamp = Timestamp::from_secs(100);

fn gateway(name: &str) -> Gateway {
    Gateway {
        name: name.into(),
        url: format!("https://{name}.example").into(),
        streams: None,
        queues: Vec::new(),
        publishes: true,
        since: Timestamp::default(),
        heard: Timestamp::default(),
    }
}

/// A Lease as its gateway writes it at `now`.
fn told(own: Gateway, now: Timestamp) -> (Told, String) {
    let settings = GatewaySettings {
        namespace: "ns".to_owned(),
        lease: "not looked at".to_owned(),
        holder: "pod".to_owned(),
        own,
    };
    let mut written = json!({"metadata": {}});
    lease::write(&mut written, &settings, now);
    lease::read(serde_json::from_value(written).unwrap()).unwrap()
}

fn known(all: &[(&str, &str)]) -> BTreeMap<String, (Told, String)> {
    let all = all.iter().map(|(lease, name)| (lease, told(gateway(name), START)));
    all.map(|(lease, told)| ((*lease).to_owned(), told)).collect()
}

/// What a sight looks with.
struct Eye {
    own: Gateway,
    time: ManualClock,
    clock: Arc<dyn Clock>,
    health: Publish<SourceHealth>,
}

impl Eye {
    fn of(name: &str) -> Self {
        let time = ManualClock::at(START);
        Self {
            own: gateway(name),
            clock: Arc::new(time.clone()),
            time,
            health: live(SourceHealth::default()).0,
        }
    }

    fn open(&self) -> (Sight<'_>, Live<Gateways>) {
        let (gateways, seen) = live(Gateways::new());
        let sight = Sight {
            own_lease: "ours",
            own: &self.own,
            clock: &self.clock,
            gateways,
            health: &self.health,
            heard: Heard::default(),
            namesakes: BTreeSet::new(),
        };
        (sight, seen)
    }
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Log {
    fn begin(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        set_default(
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(move || log.clone())
                .finish(),
        )
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn of_two_gateways_of_one_name_our_own_counts_and_then_the_older() {
    let gateway = |name: &str, since: i64, url: &str| Gateway {
        url: url.into(),
        since: Timestamp::from_secs(since),
        ..gateway(name)
    };
    let all = vec![
        ("copy", gateway("main", 1, "theirs")),
        ("lease-of-main", gateway("main", 5, "ours")),
        ("x", gateway("other", 9, "young")),
        ("y", gateway("other", 2, "old")),
    ];
    let seen = one_of_each_name(all, "lease-of-main");
    let urls: Vec<&str> = seen.iter().map(|gateway| &*gateway.url).collect();
    assert_eq!(urls, ["ours", "old"]);
}

#[test]
fn a_list_that_cannot_be_read_is_logged_once_and_told_beside_the_list() {
    let (log, eye) = (Log::default(), Eye::of("main"));
    let _logging = log.begin();
    let (mut sight, seen) = eye.open();
    sight.take(&Step::Complete(&known(&[("ours", "main")])));
    sight.take(&Step::Proof);
    let well = SourceHealth {
        observed: Some(START),
        failing: None,
    };
    assert_eq!(*eye.health.get(), well);
    let error = ApiError::refused(403, "Forbidden", "leases is forbidden");
    sight.take(&Step::Failed(&error));
    sight.take(&Step::Failed(&error));
    let failing = Failing {
        since: START,
        reason: "refused",
        detail: error.to_string(),
    };
    let expected = SourceHealth {
        failing: Some(failing),
        ..well.clone()
    };
    assert_eq!(*eye.health.get(), expected);
    assert_eq!(seen.get().len(), 1, "what was seen last stays");
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("gateways") && lines[0].contains("403 Forbidden"),
        "{lines:?}"
    );
    sight.take(&Step::Proof);
    assert_eq!(*eye.health.get(), well);
}

#[test]
fn our_own_lease_is_ours_whatever_its_label_says() {
    let eye = Eye::of("berlin");
    let (mut sight, seen) = eye.open();
    // As after an upgrade of the chart, which sets the label to the release's name.
    sight.take(&Step::Complete(&known(&[("ours", "release"), ("theirs", "other")])));
    let names: Vec<Arc<str>> = seen.get().iter().map(|gateway| gateway.name.clone()).collect();
    assert_eq!(names, ["berlin".into(), "other".into()]);
    let own = Gateway {
        since: START,
        heard: START,
        ..eye.own.clone()
    };
    assert_eq!(seen.get().first(), Some(&own));
}

#[test]
fn another_gateway_with_our_name_is_warned_of_once() {
    let (log, eye) = (Log::default(), Eye::of("main"));
    let _logging = log.begin();
    let (mut sight, _seen) = eye.open();
    let (alone, both) = (
        known(&[("ours", "main"), ("x", "other")]),
        known(&[("ours", "main"), ("theirs", "main")]),
    );
    sight.take(&Step::Complete(&alone));
    assert_eq!(log.lines(), Vec::<String>::new());
    sight.take(&Step::Complete(&both));
    sight.take(&Step::Complete(&both));
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("ours") && lines[0].contains("theirs"), "{lines:?}");
    sight.take(&Step::Complete(&alone));
    sight.take(&Step::Complete(&both));
    assert_eq!(log.lines().len(), 2, "it came back");
}

#[test]
fn after_an_outage_the_others_are_not_silent() {
    let list = known(&[("ours", "main"), ("theirs", "other")]);
    for is_listed_anew in [false, true] {
        let eye = Eye::of("main");
        let (mut sight, seen) = eye.open();
        sight.take(&Step::Complete(&list));
        sight.take(&Step::Proof);
        eye.time.advance(Duration::from_mins(5));
        if is_listed_anew {
            sight.take(&Step::Complete(&list));
        }
        sight.take(&Step::Proof);
        let now = eye.time.now();
        assert_eq!(eye.health.get().observed, Some(now));
        let heard: Vec<Timestamp> = seen.get().iter().map(|gateway| gateway.heard).collect();
        assert_eq!(heard, [now, now]);
    }
}
