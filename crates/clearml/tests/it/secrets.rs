//! Nothing secret is logged, shown or saved: neither the gateway's credentials nor what tasks hold.

use std::{
    fmt::{Debug, Write as _},
    sync::{Arc, Mutex},
};

use portico_auth::check::{ClearmlCredential, CredentialCheck as _};
use portico_clearml::{KeyPair, Saved};
use portico_core::{clock::Clock as _, secret::Secret};
use portico_emulator::{Faults, FeatureSet, NewTask};
use serde_json::json;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::{
    bench::{Bench, eventually, key_of},
    publisher::{gateway, quick, settled},
    source::{fast, run},
};

const MARKER: &str = "hunter2";

/// Keeps everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0.lock().unwrap(), "{field}={value:?} ");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn no_secret_is_logged_shown_or_saved() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let bench = Bench::with(FeatureSet::Basic, |_| ()).await;
    let good = key_of(bench.emulator(), "bob");
    let runtime = json!({
        "_PORT__api": 80, "_ADDRESS__api": "10.1.2.3", "_ssh_password": MARKER, "_jupyter_token": MARKER, "_user_secret": MARKER,
        "_jupyter_url": format!("http://10.1.2.3:8888?token={MARKER}\n"),
    });
    let id = bench.emulator().create_task(NewTask {
        runtime: runtime.as_object().unwrap().clone(),
        system_tags: vec!["external_service".into()],
        properties: [("password".to_owned(), MARKER.to_owned())].into(),
        ..NewTask::default()
    });
    let gateway = gateway(&bench, true, quick());
    settled(&gateway).await;
    assert_eq!(bench.emulator().runtime(&id)["_ssh_password"], json!(MARKER));

    // Everything that can go wrong, with secrets at hand.
    bench.keys.publish(KeyPair {
        key: good.key.clone(),
        secret: Secret::new(MARKER),
    });
    let rejected = run(&bench, fast(), None);
    let failing = eventually("a rejected key", || rejected.health.get().failing.clone()).await;
    bench.keys.publish(good.clone());
    let credential = ClearmlCredential::Password {
        user: "alice".into(),
        password: Secret::new(MARKER),
    };
    let checked = bench.clearml.check(&credential, None).await;
    for faults in [
        Faults {
            html: true,
            ..Faults::default()
        },
        Faults {
            status: Some(500),
            ..Faults::default()
        },
        Faults {
            unreachable: true,
            ..Faults::default()
        },
    ] {
        bench.faults(faults);
        eventually("a failure", || gateway.source.health.get().failing.clone()).await;
        bench.faults(Faults::default());
        eventually("recovery", || {
            gateway.source.health.get().failing.is_none().then_some(())
        })
        .await;
    }

    let saved = Saved::document(&gateway.source.observation.get(), bench.clock.now());
    let shown = format!(
        "{failing:?} {checked:?} {credential:?} {:?} {:?} {:?} {} {}",
        gateway.source.observation.get(),
        gateway.status.get(),
        bench.clearml.facts().get(),
        String::from_utf8_lossy(&saved),
        log.0.lock().unwrap(),
    );
    assert!(shown.contains("clearml answers again"), "the log was heard: {shown}");
    for secret in [MARKER, good.secret.reveal(), "eyJ"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
