//! What an administrator should know of the ClearML server: said at start-up, and shown to whoever is logged in.

use std::sync::Arc;

use portico_clearml::ServerFacts;
use portico_core::{
    live::{Live, Publish},
    site::Site,
};
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Publishes the notes that hold, and logs each one when it appears, until `stop`. What holds from the start is said with the
/// configuration's own notices.
pub(super) async fn follow(
    config: Arc<Config>,
    mut facts: Live<ServerFacts>,
    notes: Publish<Vec<String>>,
    stop: CancellationToken,
) {
    let renew = |facts: &ServerFacts| {
        let (old, new) = (notes.get(), of(&config.site, facts));
        if *old != new {
            new.iter()
                .filter(|note| !old.contains(note))
                .for_each(|note| tracing::warn!("{note}"));
            notes.publish(new);
        }
    };
    renew(&facts.get());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = facts.changed() => match changed {
                Some(facts) => renew(&facts),
                None => return,
            },
        }
    }
}

/// The notes that hold for what is known of the server.
pub(super) fn of(site: &Site, facts: &ServerFacts) -> Vec<String> {
    let mut notes = Vec::new();
    if facts.has_passwords == Some(false) {
        notes.push(
            "the ClearML server lets anybody log in as anybody: it has no passwords (fixed users are not configured). \
             Portico can keep nobody out that ClearML lets in"
                .to_owned(),
        );
    }
    if facts.signs_with_public_secret == Some(true) {
        notes.push(
            "the ClearML server signs its tokens with the secret that is published in its repository: anybody can forge a log-in. \
             Set CLEARML__secure__auth__token_secret on the server"
                .to_owned(),
        );
    }
    if site.console.is_none() {
        notes.push(
            "log-in and applications share one origin: set console.url to give the log-in one of its own".to_owned(),
        );
    }
    notes
}
