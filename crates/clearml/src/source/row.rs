//! A task as `tasks.get_all_ex` tells it. Of the runtime and the user properties only known keys are kept: the rest holds secrets.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use portico_core::{clock::Timestamp, endpoint::TaskId, observe::TaskStatus};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use crate::reference::Reference;

/// What is asked of each task.
pub(super) const FIELDS: [&str; 13] = [
    "id",
    "name",
    "status",
    "status_changed",
    "started",
    "last_change",
    "system_tags",
    "user",
    "company",
    "project",
    "last_worker",
    "execution.queue",
    "runtime",
];
/// The section of user properties; apart from [`FIELDS`] because it is the longest.
pub(super) const PROPERTIES: &str = "hyperparams.properties";

/// The system tag of tasks that ask by runtime keys.
pub(super) const TAG: &str = "external_service";

/// The runtime keys that matter, plain or followed by `__<name>`.
pub(crate) mod key {
    pub(crate) const PORT: &str = "_PORT";
    pub(crate) const ADDRESS: &str = "_ADDRESS";
    pub(crate) const TCP_PORT: &str = "external_tcp_port";
    pub(crate) const TCP_ADDRESS: &str = "external_address";
    pub(crate) const UPSTREAM_PORT: &str = "upstream_task_port";
    pub(crate) const MODE: &str = "_ROUTER_ENDPOINT_MODE";
    pub(crate) const MODE_PARAM: &str = "_ROUTER_ENDPOINT_MODE_PARAM";
    pub(crate) const ENDPOINT: &str = "endpoint";
    pub(crate) const BROWSER_ENDPOINT: &str = "browser_endpoint";
    /// The user property that shows a person the address.
    pub(crate) const GATEWAY_URL: &str = "gateway_url";
    /// The user property by which a task asks without the SDK.
    pub(crate) const PORTICO: &str = "portico";
    /// The user property in which the open-source agent for Kubernetes leaves the queue's name.
    pub(crate) const K8S_QUEUE: &str = "k8s-queue";
    /// User properties of clearml-session: where its SSH server is.
    pub(crate) const SESSION_ADDRESS: &str = "external_address";
    pub(crate) const SSH_PORT: &str = "internal_ssh_port";
    pub(crate) const STABLE_SSH_PORT: &str = "internal_stable_ssh_port";
}

/// The name of an endpoint's key: `None` if `key` is not `base` or `base__…`; then what follows the first `__`.
#[expect(
    clippy::option_option,
    reason = "another key, the unnamed endpoint's, or a named one's"
)]
pub(crate) fn suffix<'k>(key: &'k str, base: &str) -> Option<Option<&'k str>> {
    match key.strip_prefix(base)? {
        "" => Some(None),
        rest => Some(Some(rest.strip_prefix("__").filter(|name| !name.is_empty())?)),
    }
}

/// One task.
#[derive(Debug, Deserialize)]
pub(super) struct Row {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    pub(super) status: String,
    #[serde(default)]
    pub(super) status_changed: Option<String>,
    #[serde(default)]
    pub(super) started: Option<String>,
    #[serde(default)]
    pub(super) last_change: Option<String>,
    #[serde(default)]
    pub(super) system_tags: Option<Vec<String>>,
    #[serde(default)]
    pub(super) user: Option<Reference>,
    pub(super) company: Reference,
    #[serde(default)]
    pub(super) project: Option<Reference>,
    #[serde(default)]
    pub(super) last_worker: Option<String>,
    #[serde(default)]
    pub(super) execution: Option<Execution>,
    #[serde(default)]
    pub(super) runtime: Runtime,
    #[serde(default)]
    pub(super) hyperparams: Option<Hyperparams>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Execution {
    #[serde(default)]
    pub(super) queue: Option<Reference>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Hyperparams {
    #[serde(default)]
    pub(super) properties: Properties,
}

impl Row {
    pub(super) fn id(&self) -> Option<TaskId> {
        TaskId::parse(&self.id)
    }

    pub(super) fn status(&self) -> TaskStatus {
        TaskStatus::parse(&self.status)
    }

    pub(super) fn is_tagged(&self) -> bool {
        self.system_tags
            .as_ref()
            .is_some_and(|tags| tags.iter().any(|tag| tag == TAG))
    }

    /// When the task was last changed, by the server's clock.
    pub(super) fn changed(&self) -> Timestamp {
        moment(self.last_change.as_deref()).unwrap_or_default()
    }

    /// A user property.
    pub(super) fn property(&self, name: &str) -> Option<&str> {
        self.hyperparams.as_ref()?.properties.0.get(name).map(String::as_str)
    }

    /// The user properties.
    pub(super) fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        let properties = self
            .hyperparams
            .iter()
            .flat_map(|hyperparams| &hyperparams.properties.0);
        properties.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Reads the server's times: `2026-11-22T06:05:53.928000+00:00`.
pub(super) fn moment(text: Option<&str>) -> Option<Timestamp> {
    let text = text?;
    let moment = text
        .parse::<jiff::Timestamp>()
        .or_else(|_| format!("{text}Z").parse::<jiff::Timestamp>())
        .ok()?;
    Some(Timestamp::from_millis(moment.as_millisecond()))
}

/// The runtime keys that matter, with their values as they are.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Runtime(pub(crate) BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Runtime {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const KEPT: [&str; 9] = [
            key::PORT,
            key::ADDRESS,
            key::TCP_PORT,
            key::TCP_ADDRESS,
            key::UPSTREAM_PORT,
            key::MODE,
            key::MODE_PARAM,
            key::ENDPOINT,
            key::BROWSER_ENDPOINT,
        ];
        let is_kept: fn(&str) -> bool = |key| KEPT.iter().any(|base| suffix(key, base).is_some());
        let kept: BTreeMap<String, Flat> = from.deserialize_any(Kept {
            is_kept,
            value: PhantomData,
        })?;
        Ok(Self(kept.into_iter().map(|(key, Flat(value))| (key, value)).collect()))
    }
}

/// The user properties that matter, by their names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Properties(pub(crate) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const KEPT: [&str; 5] = [
            key::PORTICO,
            key::K8S_QUEUE,
            key::SESSION_ADDRESS,
            key::SSH_PORT,
            key::STABLE_SSH_PORT,
        ];
        let is_kept: fn(&str) -> bool = |key| KEPT.contains(&key) || suffix(key, key::GATEWAY_URL).is_some();
        let items: BTreeMap<String, Item> = from.deserialize_any(Kept {
            is_kept,
            value: PhantomData,
        })?;
        let text = |(name, Item(value)): (String, Item)| match value? {
            Value::String(value) => Some((name, value)),
            Value::Null => None,
            other => Some((name, other.to_string())),
        };
        Ok(Self(items.into_iter().filter_map(text).collect()))
    }
}

/// A user property, of which only the value matters.
struct Item(Option<Value>);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut fields: BTreeMap<String, Flat> = from.deserialize_any(Kept {
            is_kept: |field| field == "value",
            value: PhantomData,
        })?;
        Ok(Self(fields.remove("value").map(|Flat(value)| value)))
    }
}

/// A value without what lies in it: a list or a map is empty. Nothing of use is deeper, and in memory it would take many times its
/// text.
struct Flat(Value);

impl<'de> Deserialize<'de> for Flat {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Surface).map(Self)
    }
}

struct Surface;

impl<'de> Visitor<'de> for Surface {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object(serde_json::Map::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Array(Vec::new()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
}

/// The most keys that are kept of one map.
const KEYS_MAX: usize = 4096;

/// Reads a map and keeps some of its keys; what is no map is empty.
struct Kept<V> {
    is_kept: fn(&str) -> bool,
    value: PhantomData<V>,
}

impl<'de, V: Deserialize<'de>> Visitor<'de> for Kept<V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut kept = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            if kept.len() < KEYS_MAX && (self.is_kept)(&key) {
                kept.insert(key, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(kept)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(BTreeMap::new())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_runtime_keys_are_kept() {
        let runtime: Runtime = serde_json::from_str(
            r#"{"_ssh_password":"hunter2","_PORT":1,"_PORT__a__b":2,"_PORTER":3,"_PORT__":4,"endpoint":"x","_SERVICE":"EXTERNAL"}"#,
        )
        .unwrap();
        let keys: Vec<&str> = runtime.0.keys().map(String::as_str).collect();
        assert_eq!(keys, ["_PORT", "_PORT__a__b", "endpoint"]);
        assert_eq!(suffix("_PORT__a__b", key::PORT), Some(Some("a__b")));
        assert_eq!(suffix("_PORT", key::PORT), Some(None));
    }

    #[test]
    fn a_runtime_that_is_no_map_is_empty() {
        for text in ["null", "1", "-1", "1.5", "true", r#""x""#, "[1,{}]", "{}"] {
            assert_eq!(
                serde_json::from_str::<Runtime>(text).unwrap(),
                Runtime::default(),
                "{text}"
            );
            assert_eq!(
                serde_json::from_str::<Properties>(text).unwrap(),
                Properties::default(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_lies_deep_in_a_value_is_not_read() {
        let deep = format!(
            r#"{{"_PORT":{}1{},"_ADDRESS":{{"a":[1]}}}}"#,
            "[".repeat(500),
            "]".repeat(500)
        );
        let runtime: Runtime = serde_json::from_str(&deep).unwrap();
        assert_eq!(runtime.0["_PORT"], serde_json::json!([]));
        assert_eq!(runtime.0["_ADDRESS"], serde_json::json!({}));
        let properties: Properties =
            serde_json::from_str(r#"{"portico":{"name":"portico","value":"http:80"},"k8s-queue":{"value":[1]}}"#)
                .unwrap();
        assert_eq!(properties.0["portico"], "http:80");
        assert_eq!(properties.0["k8s-queue"], "[]");
    }

    #[test]
    fn no_more_keys_are_kept_than_anybody_needs() {
        let many: BTreeMap<String, u32> = (0..10_000).map(|at| (format!("_PORT__{at}"), at)).collect();
        let runtime: Runtime = serde_json::from_str(&serde_json::to_string(&many).unwrap()).unwrap();
        assert_eq!(runtime.0.len(), KEYS_MAX);
    }

    #[test]
    fn times_are_read_with_and_without_offset() {
        let expected = Some(Timestamp::from_millis(1_795_327_553_928));
        assert_eq!(moment(Some("2026-11-22T06:05:53.928000+00:00")), expected);
        assert_eq!(moment(Some("2026-11-22T06:05:53.928")), expected);
        assert_eq!(moment(Some("yesterday")), None);
    }
}
