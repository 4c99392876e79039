//! What should stand in a task, and what of it does not. Pure.

mod streams;

use std::{collections::BTreeMap, sync::Arc};

use portico_core::{
    endpoint::Protocol,
    observe::{Published, TaskStatus},
    ports::OpenPorts,
    routes::{RouteTable, TaskRoutes},
    site::Site,
};

use crate::source::{key, suffix};

/// A place in a task where an address stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// A runtime key.
    Runtime(Arc<str>),
    /// A user property.
    Property(Arc<str>),
}

impl Place {
    /// The key's or property's name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Runtime(name) | Self::Property(name) => name,
        }
    }

    /// True for runtime keys that `tasks.edit_runtime` writes as they are; it escapes all others and never unescapes them
    /// (observed with clearml-server 2.3.0).
    pub(super) fn is_plain(&self) -> bool {
        let plain = [
            key::ENDPOINT,
            key::BROWSER_ENDPOINT,
            key::TCP_ADDRESS,
            key::TCP_PORT,
            key::UPSTREAM_PORT,
        ];
        matches!(self, Self::Runtime(name) if plain.contains(&&**name))
    }

    /// True for keys that tasks write too, so that a value which is not ours may be news.
    pub(super) fn is_shared(&self) -> bool {
        let is_of = |base| suffix(self.name(), base).is_some();
        matches!(self, Self::Runtime(_))
            && [key::TCP_ADDRESS, key::TCP_PORT, key::UPSTREAM_PORT]
                .into_iter()
                .any(is_of)
    }
}

/// What stands at a place and what should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) place: Place,
    /// What stands there, as far as it was read.
    pub(super) found: Option<Arc<str>>,
    /// What should; `None`: nothing.
    pub(super) wanted: Option<Arc<str>>,
    /// True if it is to stand there because an endpoint went.
    pub(super) is_withdrawal: bool,
    /// True if another value there may be the task's own.
    pub(super) may_be_news: bool,
}

/// What decides besides the task itself.
#[derive(Clone, Copy)]
pub(super) struct Ground<'g> {
    pub(super) site: &'g Site,
    pub(super) table: &'g RouteTable,
    pub(super) open: &'g OpenPorts,
    /// Whether people should find the address among the task's properties; `None` while it is not known whether the server shows
    /// it elsewhere.
    pub(super) has_property: Option<bool>,
}

/// What should stand in a task.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Every place that is or was ours, sorted.
    pub(super) places: Vec<Difference>,
}

impl Wanted {
    /// What should stand in a task whose routes these are.
    pub(super) fn of(routes: &TaskRoutes, ground: Ground<'_>) -> Self {
        let Ground { site, has_property, .. } = ground;
        let task = &routes.task;
        let mut wanted: BTreeMap<Place, Arc<str>> = BTreeMap::new();
        let is_running = task.status == TaskStatus::InProgress;
        let reachable = routes
            .routes
            .iter()
            .filter(|route| is_running && route.key.protocol == Protocol::Http && route.outcome.is_ok());
        for route in reachable {
            let name = route.key.name.as_deref();
            let url: Arc<str> = site.endpoint_url(task.id, route.slug.as_ref()).into();
            let browser: Arc<str> = site.browser_url(task.id, route.slug.as_ref()).into();
            wanted.insert(runtime(key::ENDPOINT, name), url.clone());
            wanted.insert(runtime(key::BROWSER_ENDPOINT, name), browser);
            if has_property == Some(true) {
                wanted.insert(property(name), url);
            }
        }
        let found = found(&task.published);
        let own = format!("{}/", site.router);
        let mut places: Vec<Difference> = found
            .iter()
            // Ours, and no longer wanted: an endpoint that went, or a clone that names the task it was made from.
            .filter(|(place, value)| {
                let is_known = has_property.is_some() || matches!(place, Place::Runtime(_));
                is_known && value.starts_with(&own) && !wanted.contains_key(place)
            })
            .map(|(place, value)| Difference {
                place: place.clone(),
                found: Some(value.clone()),
                wanted: None,
                is_withdrawal: true,
                may_be_news: false,
            })
            .collect();
        let streams = streams::places(routes, &found, &wanted, ground);
        places.extend(wanted.into_iter().map(|(place, value)| Difference {
            found: found.get(&place).cloned(),
            place,
            wanted: Some(value),
            is_withdrawal: false,
            may_be_news: false,
        }));
        places.extend(streams);
        places.sort_by(|one, other| one.place.cmp(&other.place));
        Self { places }
    }
}

impl Difference {
    /// True if nothing is to be done.
    pub(super) fn is_settled(&self) -> bool {
        self.found == self.wanted
    }
}

/// The addresses that stand in a task.
pub(super) fn found(published: &[Published]) -> BTreeMap<Place, Arc<str>> {
    let mut found = BTreeMap::new();
    for entry in published {
        let name = entry.name.as_deref();
        let places = [
            (runtime(key::ENDPOINT, name), &entry.endpoint),
            (runtime(key::BROWSER_ENDPOINT, name), &entry.browser_endpoint),
            (runtime(key::TCP_ADDRESS, name), &entry.external_address),
            (runtime(key::TCP_PORT, name), &entry.external_tcp_port),
            (runtime(key::UPSTREAM_PORT, name), &entry.upstream_task_port),
            (property(name), &entry.property),
        ];
        found.extend(
            places
                .into_iter()
                .filter_map(|(place, value)| Some((place, value.clone()?))),
        );
    }
    found
}

fn runtime(base: &str, name: Option<&str>) -> Place {
    Place::Runtime(full(base, name))
}

fn property(name: Option<&str>) -> Place {
    Place::Property(full(key::GATEWAY_URL, name))
}

fn full(base: &str, name: Option<&str>) -> Arc<str> {
    match name {
        None => base.into(),
        Some(name) => format!("{base}__{name}").into(),
    }
}
