//! The few fields of a pod's manifest that are kept. Everything else – the container's arguments and other annotations hold its
//! owner's ClearML keys – is passed over while reading.

use std::{fmt, net::IpAddr, sync::Arc};

use portico_core::{
    endpoint::Protocol,
    notation,
    observe::{Request, RequestFault, RequestOrigin},
    pods::Pod,
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

use super::identity::{Marks, identify};
use crate::watch::{Metadata, Object};

/// The longest annotation that is read, in bytes.
const LONGEST: usize = 4096;

/// The longest value of a label, and the longest name of an object.
const LABEL: usize = 63;
const NAME: usize = 253;
/// The most addresses of a pod; Kubernetes gives two.
const ADDRESSES: usize = 4;

/// A pod, as far as it is of interest.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Manifest {
    metadata: Named,
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Named {
    name: String,
    uid: String,
    resource_version: String,
    deletion_timestamp: Option<String>,
    labels: Labels,
    annotations: Annotations,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Labels {
    #[serde(rename = "clearml-task-id")]
    task: Option<String>,
    #[serde(rename = "clearml-agent-queue-name")]
    queue_name: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "portico/endpoints")]
    endpoints: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    host_network: bool,
    service_account_name: Option<String>,
    containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Container {
    #[serde(rename = "env", deserialize_with = "worker")]
    worker: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: String,
    #[serde(rename = "podIP")]
    address: String,
    #[serde(rename = "podIPs")]
    addresses: Vec<Address>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Address {
    ip: String,
}

impl Object for Manifest {
    fn metadata(&self) -> Metadata {
        Metadata {
            name: self.metadata.name.clone(),
            resource_version: self.metadata.resource_version.clone(),
        }
    }
}

impl Manifest {
    /// The account as which the pod runs.
    pub(super) fn account(&self) -> Arc<str> {
        let named = self.spec.service_account_name.as_deref();
        // Kubernetes takes no longer name.
        let named = named.filter(|name| !name.is_empty() && name.len() <= NAME);
        named.unwrap_or("default").into()
    }

    /// The pod, if it lives – it runs, has an address, and nobody has asked for its end – and runs a task.
    pub(super) fn living(self, prefix: &str) -> Option<Pod> {
        let Self { metadata, spec, status } = self;
        if status.phase != "Running" || metadata.deletion_timestamp.is_some() {
            return None;
        }
        // One that is none is no reason to see no pod at all.
        let told = std::iter::once(&status.address).chain(status.addresses.iter().map(|address| &address.ip));
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in told.filter_map(|text| text.parse::<IpAddr>().ok()) {
            if !addresses.contains(&address.to_canonical()) && addresses.len() < ADDRESSES {
                addresses.push(address.to_canonical());
            }
        }
        if addresses.is_empty() || metadata.name.len() > NAME || metadata.uid.len() > NAME {
            return None;
        }
        let marks = Marks {
            name: &metadata.name,
            label: metadata.labels.task.as_deref(),
            worker: spec.containers.iter().find_map(|container| container.worker.as_deref()),
        };
        let (task, rank) = identify(marks, prefix)?;
        let asked = metadata.annotations.endpoints.as_deref().unwrap_or_default();
        Some(Pod {
            task,
            rank,
            // The agent's word for a queue whose name it could not read.
            queue_label: label(metadata.labels.queue_name).filter(|name| **name != *"k8s"),
            addresses,
            has_host_network: spec.host_network,
            requests: requests(asked),
            gateway: gateway(asked),
            uid: metadata.uid.into(),
            name: metadata.name.into(),
        })
    }
}

/// A label's value; Kubernetes takes no longer one.
fn label(value: Option<String>) -> Option<Arc<str>> {
    value
        .filter(|value| !value.is_empty() && value.len() <= LABEL)
        .map(Arc::from)
}

/// What the annotation asks for. One that is too long asks for nothing: an end that was cut off may be the access rule.
fn requests(asked: &str) -> Vec<Request> {
    if asked.len() <= LONGEST {
        return notation::parse(asked, RequestOrigin::Annotation);
    }
    let told = format!("the annotation portico/endpoints is longer than {LONGEST} bytes");
    vec![Request {
        protocol: Protocol::Http,
        name: None,
        origin: RequestOrigin::Annotation,
        ask: Err(RequestFault::Notation(told)),
    }]
}

/// The gateway that the annotation names.
fn gateway(asked: &str) -> Option<Arc<str>> {
    let is_read = asked.len() <= LONGEST;
    notation::gateway(asked).filter(|_| is_read).map(Arc::from)
}

/// The value of `CLEARML_WORKER_ID`; no other variable's value is ever held.
fn worker<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    struct Variables;
    impl<'de> Visitor<'de> for Variables {
        type Value = Option<String>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a list of variables")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(Variable(worker)) = list.next_element()? {
                found = found.or(worker);
            }
            Ok(found)
        }
    }
    from.deserialize_any(Variables)
}

struct Variable(Option<String>);

impl<'de> Deserialize<'de> for Variable {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Variable;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a variable")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut fields: A) -> Result<Variable, A::Error> {
                let (mut is_worker, mut value) = (false, None);
                while let Some(key) = fields.next_key::<String>()? {
                    match key.as_str() {
                        "name" => is_worker = fields.next_value::<String>()? == "CLEARML_WORKER_ID",
                        // Kubernetes writes the name first.
                        "value" if is_worker => value = fields.next_value()?,
                        _ => {
                            fields.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Variable(value))
            }
        }
        from.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MARKER: &str = "hush-4711";
    const ID: &str = "801f81e9e52641fda8dfd6c749a72ccd";

    /// A pod as clearml-agent 3.0.3 makes it, with a secret wherever one may be.
    fn pod() -> serde_json::Value {
        json!({
            "metadata": {
                "name": format!("clearml-id-{ID}"), "namespace": "ns", "uid": "u-1", "resourceVersion": "7",
                "labels": {"CLEARML": "agent-2214c01d", "clearml-agent-queue": "929b", "clearml-agent-queue-name": "gpu-queue", "x": MARKER},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": MARKER, "portico/endpoints": "ui=http:7860"},
                "managedFields": [{"manager": MARKER}],
            },
            "spec": {
                "containers": [{
                    "name": "x", "args": [MARKER], "command": [MARKER], "image": MARKER,
                    "env": [
                        {"name": "SECRET", "value": MARKER},
                        {"name": "FROM", "valueFrom": {"secretKeyRef": {"name": MARKER, "key": "k"}}},
                        {"name": "CLEARML_WORKER_ID", "value": format!("vm:0:{ID}")},
                    ],
                }, {"name": "y"}, {"name": "z", "env": null}],
                "initContainers": [{"args": [MARKER]}],
            },
            "status": {
                "phase": "Running", "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}, {"ip": "fd00::7"}],
                "conditions": [{"type": "Ready", "status": "True"}], "message": MARKER,
            },
        })
    }

    fn living(pod: &serde_json::Value) -> Option<Pod> {
        let manifest: Manifest = serde_json::from_str(&pod.to_string()).expect("a pod");
        manifest.living("clearml-id-")
    }

    #[test]
    fn no_secret_of_a_pod_is_kept() {
        let manifest: Manifest = serde_json::from_str(&pod().to_string()).expect("a pod");
        assert!(!format!("{manifest:?}").contains(MARKER));
        assert!(!format!("{:?}", manifest.living("clearml-id-")).contains(MARKER));
    }

    #[test]
    fn what_is_needed_is_kept() {
        let pod = living(&pod()).expect("it lives");
        assert_eq!(pod.task.to_string(), ID);
        assert_eq!(pod.queue_label.as_deref(), Some("gpu-queue"));
        let told: Vec<String> = pod.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["10.0.0.7", "fd00::7"]);
        assert!(!pod.has_host_network);
        assert_eq!(
            pod.requests.first().and_then(|request| request.name.as_deref()),
            Some("ui")
        );
    }

    #[test]
    fn a_pod_runs_as_the_account_that_it_names_or_the_default() {
        let long = "x".repeat(NAME + 1);
        for (named, account) in [
            (json!("runs-tasks"), "runs-tasks"),
            (json!(null), "default"),
            (json!(""), "default"),
            (json!(long), "default"),
        ] {
            let mut pod = pod();
            pod["spec"]["serviceAccountName"] = named;
            let manifest: Manifest = serde_json::from_str(&pod.to_string()).expect("a pod");
            assert_eq!(&*manifest.account(), account);
        }
        let manifest: Manifest = serde_json::from_str(&pod().to_string()).expect("a pod");
        assert_eq!(&*manifest.account(), "default");
    }

    #[test]
    fn an_annotation_that_is_too_long_is_a_fault_and_never_cut() {
        let rule = "ui=http:7860,access=owner";
        let full = format!("{}{rule}", " ".repeat(LONGEST - rule.len()));
        // Cut, these would lose their access rule; the second has no character that ends at the bound.
        let longer = [
            format!("{}{rule}", " ".repeat(LONGEST - 12)),
            format!("ui=http:7860;{}{rule}", "é".repeat(LONGEST / 2)),
        ];
        let requests = |asked: &str| {
            let mut pod = pod();
            pod["metadata"]["annotations"]["portico/endpoints"] = asked.into();
            living(&pod).expect("it lives").requests
        };
        assert!(matches!(requests(&full).as_slice(), [Request { ask: Ok(_), .. }]));
        for asked in longer {
            let told = requests(&asked);
            let [
                Request {
                    ask: Err(RequestFault::Notation(told)),
                    ..
                },
            ] = told.as_slice()
            else {
                panic!("{told:?}");
            };
            assert_eq!(told, "the annotation portico/endpoints is longer than 4096 bytes");
        }
    }

    #[test]
    fn absurd_values_harm_nobody_else() {
        let long = "x".repeat(1 << 20);
        for (path, value) in [
            ("/metadata/labels/clearml-agent-queue-name", json!(long)),
            ("/metadata/labels/clearml-agent-queue", json!(long)),
            ("/metadata/labels/x", json!(long)),
            ("/metadata/annotations/portico~1endpoints", json!(long)),
            (
                "/metadata/annotations/portico~1endpoints",
                json!("gateway=".to_owned() + &long),
            ),
            (
                "/metadata/annotations/portico~1endpoints",
                json!("ui=http:-1;=;;=tcp:99999999999999999999;\u{0}\u{202e}"),
            ),
            ("/status/podIP", json!("")),
            ("/status/podIP", json!("none")),
            ("/status/podIPs", json!([{}, {"ip": "::1%eth0"}, {"ip": "10.0.0.9"}])),
            (
                "/status/podIPs",
                json!(
                    (0..1000)
                        .map(|at| json!({"ip": format!("10.0.{}.{}", at / 250, at % 250)}))
                        .collect::<Vec<_>>()
                ),
            ),
            ("/status/phase", json!("Running")),
        ] {
            let mut pod = pod();
            *pod.pointer_mut(path).expect("a field") = value;
            let seen = living(&pod).expect("it lives");
            assert!((1..=ADDRESSES).contains(&seen.addresses.len()), "{path}");
            let kept = format!("{seen:?}").len();
            assert!(kept < 4096, "{path}: {kept} bytes are kept");
        }
        let mut nameless = pod();
        nameless["metadata"]["uid"] = long.into();
        assert_eq!(living(&nameless), None);
    }

    #[test]
    fn the_workers_id_tells_the_task_where_the_name_does_not() {
        let mut pod = pod();
        pod["metadata"]["name"] = "notebook".into();
        assert_eq!(living(&pod).map(|pod| pod.task.to_string()).as_deref(), Some(ID));
    }

    #[test]
    fn only_a_running_pod_with_an_address_that_nobody_ends_lives() {
        assert!(living(&pod()).is_some());
        for (path, value) in [
            ("/status/phase", json!("Pending")),
            ("/status/phase", json!("Succeeded")),
            ("/status/phase", json!("Failed")),
            ("/metadata/name", json!("nobody's")),
        ] {
            let mut pod = pod();
            *pod.pointer_mut(path).expect("a field") = value;
            if path == "/metadata/name" {
                pod["spec"]["containers"] = json!([]);
            }
            assert!(living(&pod).is_none(), "{path}");
        }
        let mut ending = pod();
        ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert!(living(&ending).is_none());
        let mut young = pod();
        young["status"]["podIPs"] = json!([]);
        young["status"].as_object_mut().map(|status| status.remove("podIP"));
        assert!(living(&young).is_none());
    }
}
