//! The ClearML server, and what the gateway sees of it: its facts, and the tasks that ask for endpoints.

use std::collections::BTreeSet;

use portico_clearml::{Clearml, KeyPair, Settings, Source, SourceSettings};
use portico_core::{
    live::{Live, Nudge, live},
    observe::{Observation, SourceHealth},
    secret::Secret,
};

use super::{Ground, annotated, kept_observation, run};
use crate::{inside::ClusterSight, secret_files::SecretFiles, supervise::Supervisor, telemetry::readiness::Readiness};

/// A client whose keys are read again when they change.
pub(super) fn client(ground: &Ground, supervisor: &mut Supervisor) -> anyhow::Result<Clearml> {
    let config = &ground.config.clearml;
    let sources = vec![config.access_key.clone(), config.secret_key.clone()];
    let (secret_files, keys) = SecretFiles::open(sources, key_pair)?;
    let mut settings = Settings::new(&config.api_host, keys);
    settings.verifies_tls = config.verify_tls;
    settings.ca_bundle.clone_from(&config.ca_bundle);
    let clearml = Clearml::new(settings, ground.clock.clone())?;
    supervisor.control("secret files", run(secret_files.run(ground.stop.clone())));
    supervisor.control(
        "facts of the server",
        run(clearml.clone().watch_facts(ground.stop.clone())),
    );
    Ok(clearml)
}

fn key_pair(secrets: &[Secret]) -> KeyPair {
    let mut secrets = secrets.iter().cloned();
    KeyPair {
        key: secrets.next().map(|key| key.reveal().to_owned()).unwrap_or_default(),
        secret: secrets.next().unwrap_or_default(),
    }
}

/// What is seen of the server.
pub(super) struct Sight {
    pub(super) observation: Live<Observation>,
    pub(super) health: Live<SourceHealth>,
    /// How well ClearML itself is read.
    pub(super) clearml: Live<SourceHealth>,
    pub(super) nudge: Nudge,
    pub(super) cluster: Option<ClusterSight>,
}

/// Starts looking: first at what an earlier run saw, then at the server itself. The gateway is not ready before.
pub(super) async fn observe(
    ground: &Ground,
    clearml: &Clearml,
    readiness: &Readiness,
    supervisor: &mut Supervisor,
) -> Sight {
    let (publish_observation, mut observation) = live(Observation::default());
    let (publish_health, mut health) = live(SourceHealth::default());
    let (nudge, stop) = (Nudge::default(), &ground.stop);
    let saved = kept_observation::restore(&*ground.store, ground.clock.now()).await;
    let seen_before = saved.as_ref().map_or_else(Vec::new, |saved| {
        saved.observation.tasks().iter().map(|task| task.id).collect()
    });
    let pace = match ground.config.streams {
        Some(_) => SourceSettings::for_streams(),
        None => SourceSettings::default(),
    };
    let (publish_annotated, annotated) = live(BTreeSet::new());
    let source = Source::new(clearml.clone(), pace, saved).with_annotated(annotated);
    let held = readiness.awaits("the first observation of the ClearML server");
    supervisor.control(
        "source",
        run(source.run(publish_observation, publish_health, nudge.clone(), stop.clone())),
    );
    let clearml_health = health.clone();
    let mut cluster_sight = None;
    if let (Some(cluster), Some(discovery)) = (&ground.cluster, &ground.config.discovery.kubernetes) {
        let tasks = (observation, health);
        let sight;
        (observation, health, sight) = cluster.observe(ground, discovery, tasks, seen_before, &nudge, supervisor);
        let follow = annotated::follow(sight.pods.clone(), publish_annotated, stop.clone());
        supervisor.control("tasks for which pods ask", run(follow));
        cluster_sight = Some(sight);
    }
    supervisor.control(
        "readiness",
        run(kept_observation::await_first(held, health.clone(), stop.clone())),
    );
    let keeping = kept_observation::keep(
        ground.store.clone(),
        observation.clone(),
        health.clone(),
        supervisor.drain(),
    );
    supervisor.control("memory of the source", run(keeping));
    Sight {
        observation,
        health,
        clearml: clearml_health,
        nudge,
        cluster: cluster_sight,
    }
}
