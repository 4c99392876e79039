//! What should stand in a task for its TCP endpoints. Their public address takes the place of the task's own one, and when the
//! endpoint goes, nothing that points at us is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portico_core::{
    endpoint::{Endpoint, EndpointKey, Protocol},
    observe::{ObservedTask, TaskStatus, Workload},
    ports::{Lease, Upstream},
    refusal::Refusal,
    routes::TaskRoutes,
    streams::StreamPolicy,
};

use super::{Difference, Ground, Place, property, runtime};
use crate::source::key;

/// What stands in a task, by place.
type Found = BTreeMap<Place, Arc<str>>;

/// The places of TCP endpoints. `others` are those that HTTP endpoints want.
pub(super) fn places(routes: &TaskRoutes, found: &Found, others: &Found, ground: Ground<'_>) -> Vec<Difference> {
    let Some(streams) = &ground.table.policy().streams else {
        return Vec::new();
    };
    let task = &routes.task;
    let asked = routes.routes.iter().filter(|route| route.key.protocol == Protocol::Tcp);
    let names: BTreeSet<Option<Arc<str>>> = asked
        .map(|route| route.key.name.clone())
        .chain(task.published.iter().map(|entry| entry.name.clone()))
        .collect();
    let mut places = Vec::new();
    for name in names {
        let key = EndpointKey {
            task: task.id,
            protocol: Protocol::Tcp,
            name,
        };
        let route = routes.routes.iter().find(|route| route.key == key);
        let stream = Stream {
            key: &key,
            found,
            streams,
            lease: ground.table.ports().leases.of(&key),
        };
        let refusal = route.and_then(|route| route.outcome.as_ref().err());
        let values = match route.map(|route| &route.outcome) {
            Some(Ok(endpoint)) if is_open(endpoint, ground) => stream.published(endpoint),
            // Its port opens in a moment.
            Some(Ok(_)) => continue,
            _ if stream.is_another_gateways(task, refusal) => Vec::new(),
            Some(Err(Refusal::CopiedAddress { .. })) | None => stream.cleared(),
            Some(Err(_)) if task.status == TaskStatus::InProgress => stream.restored(),
            Some(Err(_)) => stream.cleared(),
        };
        let is_withdrawal = !matches!(route.map(|route| &route.outcome), Some(Ok(_)));
        let (host, port) = (stream.place(key::TCP_ADDRESS), stream.place(key::TCP_PORT));
        // A task that writes its own address writes its port, too. Another host beside our port is another gateway's, which gave
        // the same port.
        let stands = |(at, wanted): &Value| *at == port && wanted.is_some() && found.get(at) == wanted.as_ref();
        let has_port = values.iter().any(stands);
        let values = values
            .into_iter()
            .chain(stream.shown(route.and_then(|route| route.outcome.as_deref().ok())));
        places.extend(
            values
                .filter(|(place, _)| {
                    let is_property = matches!(place, Place::Property(_));
                    !(is_property && (ground.has_property.is_none() || others.contains_key(place)))
                })
                .map(|(place, wanted)| Difference {
                    may_be_news: place.is_shared() && !(has_port && place == host),
                    found: found.get(&place).cloned(),
                    wanted: wanted.filter(|_| ground.has_property == Some(true) || matches!(place, Place::Runtime(_))),
                    place,
                    is_withdrawal,
                }),
        );
    }
    places
}

fn is_open(endpoint: &Endpoint, ground: Ground<'_>) -> bool {
    endpoint.port.and_then(|port| ground.open.open.get(&port)) == Some(&endpoint.id)
}

/// One TCP endpoint's places.
struct Stream<'s> {
    key: &'s EndpointKey,
    found: &'s Found,
    streams: &'s StreamPolicy,
    lease: Option<&'s Lease>,
}

/// What should stand at a place.
type Value = (Place, Option<Arc<str>>);

impl Stream<'_> {
    fn place(&self, base: &str) -> Place {
        runtime(base, self.key.name.as_deref())
    }

    fn at(&self, base: &str) -> Option<&str> {
        self.found.get(&self.place(base)).map(|value| value.trim())
    }

    fn port_at(&self, base: &str) -> Option<u16> {
        self.at(base)?.parse().ok()
    }

    /// The public address.
    fn published(&self, endpoint: &Endpoint) -> Vec<Value> {
        let text = |port: u16| Some(port.to_string().into());
        vec![
            (self.place(key::TCP_ADDRESS), Some(self.streams.host.clone())),
            (self.place(key::TCP_PORT), endpoint.port.and_then(text)),
            (self.place(key::UPSTREAM_PORT), text(endpoint.upstream.port())),
        ]
    }

    /// The address where people see it; `None`: not there any more.
    fn shown(&self, endpoint: Option<&Endpoint>) -> Option<Value> {
        let place = property(self.key.name.as_deref());
        match endpoint.and_then(|endpoint| endpoint.port) {
            Some(port) => Some((place, Some(self.streams.address(port).into()))),
            None if self
                .found
                .get(&place)
                .is_some_and(|value| self.is_public_address(value)) =>
            {
                Some((place, None))
            }
            None => None,
        }
    }

    /// Nothing that points at us. A fresh port that the task wrote beside our address is its own.
    fn cleared(&self) -> Vec<Value> {
        match self.is_public() {
            None => Vec::new(),
            Some(false) => vec![(self.place(key::TCP_ADDRESS), None)],
            Some(true) => [key::TCP_ADDRESS, key::TCP_PORT, key::UPSTREAM_PORT]
                .map(|base| (self.place(base), None))
                .into(),
        }
    }

    /// What stood there before, as far as it is known: a task that runs must be able to ask on.
    fn restored(&self) -> Vec<Value> {
        if self.is_public() != Some(true) {
            return self.cleared();
        }
        let told = self.port_at(key::UPSTREAM_PORT).map(|port| Upstream {
            claimed: None,
            earlier: None,
            port,
        });
        let Some(upstream) = self.lease.and_then(|lease| lease.upstream).or(told) else {
            return vec![(self.place(key::TCP_ADDRESS), None)];
        };
        let address = upstream
            .claimed
            .or(upstream.earlier)
            .map(|address| address.to_string().into());
        vec![
            (self.place(key::TCP_ADDRESS), address),
            (self.place(key::TCP_PORT), Some(upstream.port.to_string().into())),
        ]
    }

    /// True if our host stands there with another gateway's port: several may have one host, each with ports of its own. So it is
    /// where nothing tells that the task was ours.
    fn is_another_gateways(&self, task: &ObservedTask, refusal: Option<&Refusal>) -> bool {
        let is_elsewhere = matches!(
            refusal,
            Some(Refusal::WrongQueue { .. } | Refusal::PodGone | Refusal::NotRunning { .. })
        );
        let is_over = task.status.is_ended() || task.standing.workload == Workload::Gone;
        self.is_public() == Some(false) && (is_elsewhere || is_over && self.lease.is_none())
    }

    /// Whether a public port of ours stands beside our address; `None`: our address does not stand there.
    fn is_public(&self) -> Option<bool> {
        self.at(key::TCP_ADDRESS).filter(|host| self.streams.is_own(host))?;
        let is_ours = |port: u16| {
            let is_leased = |lease: &Lease| lease.port == port || lease.former == Some(port);
            self.streams.range.contains(port) || self.lease.is_some_and(is_leased)
        };
        Some(self.port_at(key::TCP_PORT).is_some_and(is_ours))
    }

    /// True for one of our hosts and ports.
    fn is_public_address(&self, text: &str) -> bool {
        let Some((host, port)) = text.rsplit_once(':') else {
            return false;
        };
        self.streams.is_own(host) && port.parse().is_ok_and(|port| self.streams.range.contains(port))
    }
}
