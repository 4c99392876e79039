//! The environment over the file: our own variables, the enterprise gateway's, and those that look as if they were meant.

use std::collections::BTreeMap;

use super::{
    Place,
    keys::{self, IGNORED, KEYS},
    kubernetes::Cluster,
    said::{Said, Value, nearest},
};

/// Variables that are no keys but ours: they say where the configuration itself is.
const BESIDES: &[&str] = &["PORTICO_CONFIG"];

pub(super) fn overlay(variables: impl IntoIterator<Item = (String, String)>, said: &mut Said) {
    let mut set: BTreeMap<String, String> = variables
        .into_iter()
        .filter_map(|(name, value)| {
            let value = unquoted(&value);
            (!value.is_empty()).then(|| (name, value.to_owned()))
        })
        .collect();
    for key in KEYS {
        take(&mut set, key, said);
    }
    said.cluster = Cluster {
        host: set.remove("KUBERNETES_SERVICE_HOST"),
        port: set.remove("KUBERNETES_SERVICE_PORT"),
        pod: set.remove("POD_NAME"),
    };
    for ignored in IGNORED {
        let Some(value) = set.remove(ignored.name) else {
            continue;
        };
        let place = Place::Variable(ignored.name.to_owned());
        if ignored.name == "AUTH_ENABLED" {
            if matches!(value.to_ascii_lowercase().as_str(), "false" | "0" | "no" | "off") {
                said.mistake(
                    place,
                    "Portico never runs without authentication",
                    "remove it; to open one queue's or project's endpoints to everybody, set access.queues or access.projects",
                );
            }
        } else if let Some(notice) = ignored.notice {
            said.notice(place, notice);
        }
    }
    unknown(&set, said);
}

/// Takes the variables of one key, and of its secret's file, out of the environment. Our own name counts before the others.
fn take(set: &mut BTreeMap<String, String>, key: &'static keys::Key, said: &mut Said) {
    let own = key.own_variable();
    let names = || std::iter::once(own.as_str()).chain(key.variables.iter().copied());
    let mut found = Vec::new();
    for name in names() {
        if let Some(value) = set.remove(name) {
            found.push((key.path, name.to_owned(), value));
        }
    }
    if let Some(file) = keys::file_of(key.path) {
        for name in names().map(|name| format!("{name}_FILE")) {
            if let Some(path) = set.remove(&name) {
                found.push((file, name, path));
            }
        }
    }
    let mut found = found.into_iter();
    let Some((path, name, value)) = found.next() else {
        return;
    };
    for (other_path, other, other_value) in found {
        if other_path != path {
            said.mistake(
                Place::Variable(other),
                format!("{name} says the same in another way"),
                "set one of the two",
            );
        } else if other_value != value {
            said.notice(
                Place::Variable(other),
                format!("has no effect: {name} comes before it and says something else"),
            );
        }
    }
    if let Some(file) = keys::file_of(key.path) {
        said.take_back(key.path);
        said.take_back(file);
    }
    said.say(path, Value::Text(value), Place::Variable(name));
}

/// A typing mistake in a variable's name must not go unnoticed; but the environment belongs to others, too.
fn unknown(set: &BTreeMap<String, String>, said: &mut Said) {
    let own: Vec<String> = KEYS.iter().map(keys::Key::own_variable).collect();
    let known = || {
        let theirs = KEYS.iter().flat_map(|key| key.variables.iter().copied());
        let ignored = IGNORED.iter().map(|ignored| ignored.name);
        own.iter().map(String::as_str).chain(theirs).chain(ignored)
    };
    let ours = |name: &&String| name.starts_with("PORTICO__") || name.starts_with("ROUTER__");
    for name in set.keys().filter(ours).filter(|name| !BESIDES.contains(&name.as_str())) {
        let what = match nearest(name, known()) {
            Some(near) => format!("is no variable that Portico knows and has no effect; did you mean {near}?"),
            None => "is no variable that Portico knows and has no effect".to_owned(),
        };
        said.notice(Place::Variable(name.clone()), what);
    }
}

/// Docker's `--env-file` hands quotes on as part of the value; nobody means them.
fn unquoted(value: &str) -> &str {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.trim();
        }
    }
    value
}
