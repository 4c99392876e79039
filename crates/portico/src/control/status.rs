//! How the gateway is, at one glance.

mod namespace;
mod streams;

use std::{collections::BTreeMap, fmt::Write as _};

use portico_clearml::{FeatureSet, KeyState};
use serde::Serialize;

use namespace::Namespace;
use streams::Streams;

use crate::{diagnose::report::harmless, inside::Inside};

/// The gateway at one moment. The field names are those of `portico status --json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Status {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) console: Option<String>,
    pub(super) version: &'static str,
    pub(super) started: String,
    pub(super) up_seconds: u64,
    pub(super) awaited: Vec<&'static str>,
    pub(super) clearml: Clearml,
    /// Absent where no pods are watched.
    pub(super) kubernetes: Option<Namespace>,
    pub(super) tasks: usize,
    pub(super) routes: usize,
    pub(super) refused_routes: BTreeMap<&'static str, usize>,
    pub(super) open_exchanges: usize,
    pub(super) connections: usize,
    /// Absent if no TCP endpoints are served.
    pub(super) streams: Option<Streams>,
    pub(super) publish: Published,
}

/// The ClearML server, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Clearml {
    /// `accepted`, `refused` or `unknown`.
    pub(super) own_key: &'static str,
    /// The server's words, if it rejects the gateway's own key.
    pub(super) own_key_refused: Option<String>,
    /// `open source` or `enterprise`.
    pub(super) kind: Option<&'static str>,
    pub(super) server_version: Option<String>,
    pub(super) api_version: Option<String>,
    pub(super) user: Option<String>,
    pub(super) observed_seconds_ago: Option<u64>,
    pub(super) failing: Option<Failing>,
    pub(super) has_passwords: Option<bool>,
    pub(super) signs_with_public_secret: Option<bool>,
}

/// Why it cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Failing {
    pub(super) since: String,
    pub(super) reason: &'static str,
    pub(super) detail: String,
}

/// How publishing goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Published {
    pub(super) pending: usize,
    pub(super) contested: Vec<String>,
    pub(super) writes: u64,
    pub(super) failures: u64,
    pub(super) last_error: Option<String>,
}

impl Status {
    pub(super) fn of(inside: &Inside) -> Self {
        let now = inside.clock.now();
        let table = inside.table.get();
        let mut refused_routes = BTreeMap::new();
        for route in table.tasks().flat_map(|task| &task.routes) {
            if let Err(refusal) = &route.outcome {
                *refused_routes.entry(refusal.code()).or_default() += 1;
            }
        }
        let published = inside.published.get();
        let error = published.last_error.as_ref();
        Self {
            name: inside.site.name.clone(),
            url: inside.site.router.to_string(),
            console: inside.site.console.as_ref().map(ToString::to_string),
            version: env!("CARGO_PKG_VERSION"),
            started: inside.started.to_string(),
            up_seconds: now.since(inside.started).as_secs(),
            awaited: inside.readiness.awaited(),
            clearml: clearml(inside),
            kubernetes: inside.cluster.as_ref().map(|sight| Namespace::of(sight, now)),
            tasks: inside.observation.get().tasks().len(),
            routes: table.len(),
            refused_routes,
            open_exchanges: inside.exchanges.len(),
            connections: inside.counters.threads().iter().map(|thread| thread.connections).sum(),
            streams: Streams::of(inside),
            publish: Published {
                pending: published.pending,
                contested: published
                    .contested
                    .iter()
                    .map(|place| format!("{} {}", place.task, place.key))
                    .collect(),
                writes: published.writes,
                failures: published.failures,
                last_error: error.map(|error| format!("{} task {}: {}", error.at, error.task, error.detail)),
            },
        }
    }

    /// True if nothing needs anybody.
    pub(super) fn is_good(&self) -> bool {
        self.awaited.is_empty()
            && self.clearml.own_key != "refused"
            && self.clearml.failing.is_none()
            && self.kubernetes.as_ref().is_none_or(Namespace::is_good)
            && self.publish.contested.is_empty()
            && self.streams.as_ref().is_none_or(Streams::is_good)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |what: &str, words: String| {
            let _ = writeln!(text, "{what:<10} {}", harmless(&words));
        };
        let console = self
            .console
            .as_ref()
            .map_or_else(String::new, |console| format!(", console {console}"));
        line("gateway", format!("{} at {}{console}", self.name, self.url));
        line(
            "version",
            format!("{}, up {} since {}", self.version, span(self.up_seconds), self.started),
        );
        match &self.awaited[..] {
            [] => line("ready", "yes".into()),
            awaited => line("ready", format!("no, waiting for: {}", awaited.join(", "))),
        }
        self.clearml.lines(&mut line);
        if let Some(namespace) = &self.kubernetes {
            namespace.lines(&mut line);
        }
        let refused: Vec<String> = self
            .refused_routes
            .iter()
            .map(|(code, count)| format!("{code} {count}"))
            .collect();
        let refused = if refused.is_empty() {
            String::new()
        } else {
            format!("; refused: {}", refused.join(", "))
        };
        line(
            "endpoints",
            format!("{} open, of {} tasks{refused}", self.routes, self.tasks),
        );
        line(
            "exchanges",
            format!("{} open, on {} connections", self.open_exchanges, self.connections),
        );
        if let Some(streams) = &self.streams {
            streams.lines(&mut line);
        }
        let publish = &self.publish;
        line(
            "publishing",
            format!(
                "{} to write, {} written, {} failed",
                publish.pending, publish.writes, publish.failures
            ),
        );
        if !publish.contested.is_empty() {
            let some: Vec<&str> = publish.contested.iter().take(5).map(String::as_str).collect();
            let more = match publish.contested.len() - some.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let places = some.join(", ");
            line(
                "contested",
                format!("{places}{more}: somebody else keeps overwriting it; Portico has stopped writing it"),
            );
        }
        if let Some(error) = &publish.last_error {
            line("", format!("last failure: {error}"));
        }
        text
    }
}

impl Clearml {
    fn lines(&self, line: &mut impl FnMut(&str, String)) {
        let version = self.server_version.as_deref().unwrap_or("of unknown version");
        let api = self
            .api_version
            .as_deref()
            .map_or_else(String::new, |api| format!(", API {api}"));
        line(
            "ClearML",
            format!("{version}{api}, {}", self.kind.unwrap_or("kind not known yet")),
        );
        let whose = self
            .user
            .as_deref()
            .map_or_else(String::new, |user| format!(" (of {user})"));
        match &self.own_key_refused {
            Some(words) => line("own key", format!("refused: {words}")),
            None => line("own key", format!("{}{whose}", self.own_key)),
        }
        match (&self.failing, self.observed_seconds_ago) {
            (Some(failing), _) => {
                line(
                    "read",
                    format!("fails since {} ({}): {}", failing.since, failing.reason, failing.detail),
                );
            }
            (None, Some(seconds)) => line("read", format!("{seconds} s ago")),
            (None, None) => line("read", "not yet".into()),
        }
        if self.has_passwords == Some(false) {
            line(
                "warning",
                "the server takes any user name without a password: anybody can be anybody".into(),
            );
        }
        if self.signs_with_public_secret == Some(true) {
            line(
                "warning",
                "the server signs its tokens with the published default secret: anybody can be anybody".into(),
            );
        }
    }
}

fn clearml(inside: &Inside) -> Clearml {
    let (facts, health) = (inside.facts.get(), inside.health.get());
    let (own_key, own_key_refused) = match &facts.key {
        KeyState::Unknown => ("unknown", None),
        KeyState::Accepted => ("accepted", None),
        KeyState::Refused(words) => ("refused", Some(words.clone())),
    };
    Clearml {
        own_key,
        own_key_refused,
        kind: facts.feature_set.map(|kind| match kind {
            FeatureSet::Basic => "open source",
            FeatureSet::Advanced => "enterprise",
        }),
        server_version: facts.server_version.as_deref().map(str::to_owned),
        api_version: facts.api_version.map(|version| version.to_string()),
        user: facts.user.as_ref().map(ToString::to_string),
        observed_seconds_ago: health.observed.map(|at| inside.clock.now().since(at).as_secs()),
        failing: health.failing.as_ref().map(|failing| Failing {
            since: failing.since.to_string(),
            reason: failing.reason,
            detail: failing.detail.clone(),
        }),
        has_passwords: facts.has_passwords,
        signs_with_public_secret: facts.signs_with_public_secret,
    }
}

/// A duration as people say it, in its two largest units.
fn span(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_day_is_short() {
        let status = Status {
            name: "main".into(),
            url: "https://gateway.example.com".into(),
            version: "0.1.0",
            started: "2026-11-22T18:00:00.000Z".into(),
            up_seconds: 3_725,
            clearml: Clearml {
                own_key: "accepted",
                kind: Some("open source"),
                server_version: Some("2.3.0".into()),
                api_version: Some("2.34".into()),
                user: Some("admin".into()),
                observed_seconds_ago: Some(1),
                ..Clearml::default()
            },
            tasks: 3,
            routes: 3,
            ..Status::default()
        };
        assert!(status.is_good());
        insta::assert_snapshot!(status.text());
    }

    #[test]
    fn tcp_endpoints_are_shown_with_what_goes_through_them() {
        let stream = |port: u16| streams::Stream {
            address: format!("gateway.example.com:{port}"),
            task: "0123456789abcdef0123456789abcdef".into(),
            upstream: Some("10.0.0.7:10022".into()),
            leased_since: "2026-11-22T18:58:30Z".into(),
            is_open: true,
            ..streams::Stream::default()
        };
        let mut status = Status {
            streams: Some(Streams {
                host: "gateway.example.com".into(),
                range: "9000-9030".into(),
                admission: "open".into(),
                ports: crate::public_ports::PortCounts {
                    free: 8,
                    leased: 21,
                    cooling: 1,
                    failed: 1,
                },
                failed: Vec::new(),
                not_recorded: None,
                endpoints: (9000..9021).map(stream).collect(),
            }),
            ..Status::default()
        };
        let alone = status.clone();
        let streams = status.streams.as_mut().expect("streams");
        streams.endpoints[0].traffic = crate::public_ports::Traffic {
            connections: 2,
            received: 1024,
            sent: 5_000_000,
            opened: 7,
            last_activity: Some("2026-11-22T18:59:57Z".into()),
        };
        streams.endpoints[1].name = Some("a \u{1b}[31mdatabase".into());
        streams.endpoints[1].is_open = false;
        streams.endpoints[2].cooling_until = Some("2026-11-22T19:03:30Z".into());
        streams.endpoints[3].upstream = None;
        streams.failed = vec!["9030: Address already in use (os error 98)".into()];
        streams.not_recorded = Some("since 2026-11-22T18:58:30Z: disk full".into());
        insta::assert_snapshot!(status.text());
        status.clearml.own_key = "accepted";
        assert!(!status.is_good() && alone.is_good());
    }

    #[test]
    fn whatever_needs_somebody_is_said() {
        let failing = Failing {
            since: "2026-11-22T18:58:30.000Z".into(),
            reason: "unreachable",
            detail: "connection refused\u{1b}[31m".into(),
        };
        let status = Status {
            name: "main".into(),
            url: "https://gateway.example.com".into(),
            console: Some("https://console.example.com".into()),
            version: "0.1.0",
            started: "2026-11-20T18:00:00.000Z".into(),
            up_seconds: 190_000,
            awaited: vec!["the first observation of the ClearML server"],
            clearml: Clearml {
                own_key: "refused",
                own_key_refused: Some("invalid credentials".into()),
                failing: Some(failing),
                has_passwords: Some(false),
                signs_with_public_secret: Some(true),
                ..Clearml::default()
            },
            tasks: 5,
            routes: 2,
            refused_routes: [("wrong_queue", 2), ("ended", 1)].into(),
            publish: Published {
                contested: vec!["0123456789abcdef0123456789abcdef endpoint".into()],
                failures: 1,
                last_error: Some("2026-11-22T18:58:30.000Z task 0123456789abcdef0123456789abcdef: timeout".into()),
                ..Published::default()
            },
            ..Status::default()
        };
        assert!(!status.is_good());
        insta::assert_snapshot!(status.text());
    }
}
