//! Who may come in: keys, sessions, revocations, the gatekeeper and the log-in.

use std::sync::Arc;

use anyhow::Context as _;
use portico_auth::{
    credentials::CookieNames,
    gatekeeper::{self, Gatekeeper, gatekeeper},
    hand_over::HandOver,
    keys,
    log_in::{self, LogIn},
    revocation::Register,
    session::{self, Sessions},
};
use portico_clearml::Clearml;
use portico_core::live::live;

use super::{Ground, run};
use crate::supervise::Supervisor;

/// What the rest of the gateway asks about people.
pub(super) struct People {
    pub(super) gatekeeper: Gatekeeper,
    pub(super) sessions: Sessions,
    pub(super) log_in: LogIn,
    pub(super) hand_over: HandOver,
}

/// Reads keys and revocations, and starts what asks ClearML.
pub(super) async fn people(ground: &Ground, clearml: &Clearml, supervisor: &mut Supervisor) -> anyhow::Result<People> {
    let Ground {
        config,
        site,
        clock,
        store,
        audit,
        stop,
        ..
    } = ground;
    let names = Arc::new(CookieNames::new(
        site,
        config.clearml.auth_cookie_name.as_deref(),
        Some(config.session.is_cookie_secure),
    ));
    let first_keys = keys::load_or_create(&**store, &**clock)
        .await
        .context("the session keys")?;
    let (publish_keys, session_keys) = live(first_keys);
    let register = Register::new(store.clone(), clock.clone());
    register.sync().await.context("the revoked sessions")?;
    let lasting = session::Settings {
        idle: config.session.idle,
        absolute: config.session.lifetime,
    };
    let sessions = Sessions::new(lasting, session_keys.clone(), names.clone(), clock.clone());

    let (gatekeeper, desk) = gatekeeper(
        gatekeeper::Settings {
            stale: config.stale,
            ..gatekeeper::Settings::default()
        },
        gatekeeper::Parts {
            sessions: sessions.clone(),
            register: register.clone(),
            check: Arc::new(clearml.clone()),
            visibility: Arc::new(clearml.clone()),
            audit: audit.clone(),
            clock: clock.clone(),
            trusted_proxies: config.http.trusted_proxies.clone(),
        },
    );
    let log_in = LogIn::new(log_in::Parts {
        check: Arc::new(clearml.clone()),
        sessions: sessions.clone(),
        gatekeeper: gatekeeper.clone(),
        register: register.clone(),
        audit: audit.clone(),
        clock: clock.clone(),
        trusted_proxies: config.http.trusted_proxies.clone(),
    });
    supervisor.control("gatekeeper", run(desk.run(stop.clone())));
    supervisor.control("revocations", run(register.run(stop.clone())));
    let (key_store, key_stop) = (store.clone(), stop.clone());
    supervisor.control("session keys", async move {
        keys::follow(&*key_store, &publish_keys, key_stop).await;
        Ok(())
    });
    let hand_over = HandOver::new(session_keys, names, clock.clone());
    Ok(People {
        gatekeeper,
        sessions,
        log_in,
        hand_over,
    })
}
