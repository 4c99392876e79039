//! A record of who changed what in tasks, for tests that count.

use std::{
    collections::{BTreeSet, VecDeque},
    net::SocketAddr,
};

use serde_json::{Map, Value};

use crate::{collection::texts, state::State};

/// So many are kept; older ones go.
const MOST: usize = 100_000;

/// One key of one task was set or removed by a call of the API.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Write {
    /// The task's id.
    pub task: String,
    /// A key of the runtime, or `properties/` and the name of a user property.
    pub key: String,
    /// The call.
    pub call: String,
    /// The address that the call came from.
    pub from: String,
}

/// All of them, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Record(VecDeque<Write>);

impl Record {
    pub(crate) fn extend(&mut self, writes: impl IntoIterator<Item = Write>) {
        self.0.extend(writes);
        while self.0.len() > MOST {
            self.0.pop_front();
        }
    }

    /// Those of one task, or all.
    pub(crate) fn of(&self, task: Option<&str>) -> Vec<Write> {
        let is_meant = |write: &&Write| task.is_none_or(|task| write.task == task);
        self.0.iter().filter(is_meant).cloned().collect()
    }
}

/// What a call writes if it succeeds.
pub(crate) fn of(call: &str, arguments: &Map<String, Value>, state: &State, peer: SocketAddr) -> Vec<Write> {
    let Some(task) = arguments.get("task").and_then(Value::as_str) else {
        return Vec::new();
    };
    let before = state.tasks.get(task).and_then(|task| task.get("runtime"));
    let write = |key| Write {
        task: task.to_owned(),
        key,
        call: call.to_owned(),
        from: peer.ip().to_string(),
    };
    keys(call, arguments, before).into_iter().map(write).collect()
}

/// The keys. A call that replaces the whole runtime writes those that differ from `before`.
fn keys(call: &str, arguments: &Map<String, Value>, before: Option<&Value>) -> BTreeSet<String> {
    match call {
        "tasks.edit_runtime" => {
            let set = map(arguments.get("add_or_update"))
                .into_iter()
                .flat_map(Map::keys)
                .cloned();
            set.chain(texts(arguments.get("remove"))).collect()
        }
        "tasks.edit" => match map(arguments.get("runtime")) {
            Some(now) => differing(map(before).unwrap_or(&Map::new()), now),
            None => BTreeSet::new(),
        },
        "tasks.edit_hyper_params" | "tasks.delete_hyper_params" => {
            let given = arguments
                .get("hyperparams")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let key = |param: &Value| Some(format!("{}/{}", param["section"].as_str()?, param["name"].as_str()?));
            given.filter_map(key).collect()
        }
        _ => BTreeSet::new(),
    }
}

fn map(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn differing(before: &Map<String, Value>, now: &Map<String, Value>) -> BTreeSet<String> {
    let all = before.keys().chain(now.keys());
    all.filter(|key| before.get(*key) != now.get(*key)).cloned().collect()
}
