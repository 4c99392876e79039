//! How well a place is seen: published, and logged where it changes.

use portico_core::{
    clock::Timestamp,
    live::Publish,
    observe::{Failing, SourceHealth},
};

use crate::api::ApiError;

/// `what` – pods, gateways – was proven to be known completely.
pub(crate) fn well(health: &Publish<SourceHealth>, what: &str, now: Timestamp) {
    if health.get().failing.is_some() {
        tracing::info!(what, "kubernetes answers again");
    }
    health.publish(SourceHealth {
        observed: Some(now),
        failing: None,
    });
}

/// `what` cannot be asked for: said once for each reason.
pub(crate) fn failed(health: &Publish<SourceHealth>, what: &str, error: &ApiError, now: Timestamp) {
    let before = health.get();
    let (reason, detail) = (error.reason(), error.to_string());
    let since = before.failing.as_ref().map_or(now, |failing| failing.since);
    if before.failing.as_ref().is_none_or(|failing| failing.reason != reason) {
        tracing::warn!(
            what,
            reason,
            detail,
            "kubernetes cannot be asked: what was seen last stays"
        );
    }
    health.publish(SourceHealth {
        observed: before.observed,
        failing: Some(Failing { since, reason, detail }),
    });
}
