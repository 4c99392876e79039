//! How a gateway's facts stand in a Lease.

use std::sync::Arc;

use portico_core::{
    clock::Timestamp,
    ownership::{Gateway, SILENCE, StreamPlace},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::GatewaySettings;
use crate::watch::{Metadata, Object};

/// A Lease, as far as it is of interest.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Lease {
    metadata: Named,
    spec: Spec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Named {
    name: String,
    resource_version: String,
    labels: Labels,
    annotations: Annotations,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Labels {
    #[serde(rename = "portico/gateway")]
    gateway: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "portico/url")]
    url: String,
    #[serde(rename = "portico/streams")]
    streams: String,
    #[serde(rename = "portico/queues")]
    queues: String,
    #[serde(rename = "portico/publish")]
    publish: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    acquire_time: Option<String>,
    renew_time: Option<String>,
}

impl Object for Lease {
    fn metadata(&self) -> Metadata {
        Metadata {
            name: self.metadata.name.clone(),
            resource_version: self.metadata.resource_version.clone(),
        }
    }
}

/// What a gateway says of itself, and when it said so by its own clock.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) gateway: Gateway,
    renewed: Timestamp,
}

impl Told {
    /// When it was heard of, if it is seen for the first time: now, unless its own clock says that it has been silent for long.
    pub(super) fn first_heard(&self, now: Timestamp) -> Timestamp {
        if now.since(self.renewed) < SILENCE {
            now
        } else {
            self.renewed
        }
    }
}

/// The longest name, URL or host, and the most queues, that a gateway may have.
const TEXT: usize = 2048;
const QUEUES: usize = 1000;

/// The gateway of a Lease that was ever held, and a text that changes with each renewal.
pub(super) fn read(lease: Lease) -> Option<(Told, String)> {
    let Lease { metadata, spec } = lease;
    let renewal = spec.renew_time.filter(|text| text.len() <= TEXT)?;
    let Annotations { url, streams, .. } = &metadata.annotations;
    // What is absurd says nothing: a filter that cannot be read would be no filter.
    if [&metadata.labels.gateway, url, streams]
        .iter()
        .any(|text| text.len() > TEXT)
    {
        return None;
    }
    let queues = queues(&metadata.annotations.queues)?;
    let gateway = Gateway {
        name: Some(metadata.labels.gateway).filter(|name| !name.is_empty())?.into(),
        url: metadata.annotations.url.into(),
        streams: stream_place(&metadata.annotations.streams),
        queues,
        publishes: metadata.annotations.publish != "never",
        since: timestamp(&spec.acquire_time?)?,
        heard: Timestamp::default(),
    };
    let renewed = timestamp(&renewal)?;
    Some((Told { gateway, renewed }, renewal))
}

/// Writes what we are into our Lease. Since when is said once, and stays.
pub(super) fn write(lease: &mut Value, settings: &GatewaySettings, now: Timestamp) {
    let own = &settings.own;
    let moment = format!("{now:.6}");
    let streams = own.streams.as_ref().map_or_else(String::new, |place| {
        format!("{} {}-{}", place.address, place.first, place.last)
    });
    let since = match &lease["spec"]["acquireTime"] {
        Value::String(since) if lease["spec"]["holderIdentity"].is_string() => since.clone(),
        _ => moment.clone(),
    };
    merge(&mut lease["metadata"]["labels"], json!({"portico/gateway": own.name}));
    merge(
        &mut lease["metadata"]["annotations"],
        json!({
            "portico/url": own.url, "portico/streams": streams, "portico/queues": json!(own.queues).to_string(),
            "portico/publish": if own.publishes { "always" } else { "never" },
        }),
    );
    let spec = json!({
        "holderIdentity": settings.holder, "acquireTime": since, "renewTime": moment, "leaseDurationSeconds": SILENCE.as_secs(),
    });
    merge(&mut lease["spec"], spec);
}

fn merge(into: &mut Value, fields: Value) {
    match (into, fields) {
        (Value::Object(known), Value::Object(fields)) => known.extend(fields),
        (into, fields) => *into = fields,
    }
}

fn queues(text: &str) -> Option<Vec<Arc<str>>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let queues: Vec<Arc<str>> = serde_json::from_str(text).ok()?;
    (queues.len() <= QUEUES).then_some(queues)
}

fn stream_place(text: &str) -> Option<StreamPlace> {
    let (address, ports) = text.split_once(' ')?;
    let (first, last) = ports.split_once('-')?;
    Some(StreamPlace {
        address: address.into(),
        first: first.parse().ok()?,
        last: last.parse().ok()?,
    })
}

fn timestamp(text: &str) -> Option<Timestamp> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_millis(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> GatewaySettings {
        GatewaySettings {
            namespace: "ns".to_owned(),
            lease: "portico-a".to_owned(),
            holder: "pod-1".to_owned(),
            own: Gateway {
                name: "a".into(),
                url: "https://a.example".into(),
                streams: Some(StreamPlace {
                    address: "s.example".into(),
                    first: 30000,
                    last: 30010,
                }),
                queues: vec!["gpu queue".into(), "a,b".into()],
                publishes: true,
                since: Timestamp::default(),
                heard: Timestamp::default(),
            },
        }
    }

    fn told(lease: &Value) -> Option<(Told, String)> {
        read(serde_json::from_value(lease.clone()).expect("a lease"))
    }

    #[test]
    fn what_was_written_is_read() {
        let mut lease = json!({"metadata": {"name": "portico-a", "labels": {"app": "x"}}});
        assert_eq!(told(&lease), None, "nobody ever held it");
        write(&mut lease, &settings(), Timestamp::from_secs(100));
        write(&mut lease, &settings(), Timestamp::from_secs(115));
        let (told, _) = told(&lease).expect("a gateway");
        let expected = Gateway {
            since: Timestamp::from_secs(100),
            ..settings().own
        };
        assert_eq!(told.gateway, expected);
        assert_eq!(lease["metadata"]["labels"]["app"], "x", "others' labels stay");
    }

    #[test]
    fn a_lease_with_absurd_values_is_no_gateways() {
        let mut lease = json!({"metadata": {"name": "portico-a"}});
        write(&mut lease, &settings(), Timestamp::from_secs(100));
        let long = "x".repeat(200_000);
        for (path, value) in [
            ("/metadata/annotations/portico~1url", json!(long)),
            ("/metadata/annotations/portico~1streams", json!(long)),
            ("/metadata/annotations/portico~1queues", json!("[")),
            (
                "/metadata/annotations/portico~1queues",
                json!(json!(vec!["q"; 1001]).to_string()),
            ),
            ("/metadata/labels/portico~1gateway", json!("")),
            ("/spec/renewTime", json!("yesterday")),
            ("/spec/acquireTime", json!("-9999999-01-01T00:00:00Z")),
        ] {
            let mut absurd = lease.clone();
            *absurd.pointer_mut(path).expect("a field") = value;
            assert_eq!(told(&absurd), None, "{path}");
        }
        // Who holds it is nobody's business.
        lease["spec"]["holderIdentity"] = json!("pod\n\"}<script>\u{202e}");
        assert!(told(&lease).is_some());
    }

    #[test]
    fn a_gateway_whose_clock_is_wrong_is_heard_by_ours() {
        let mut lease = json!({"metadata": {"name": "portico-a"}});
        let now = Timestamp::from_secs(1_000_000);
        write(&mut lease, &settings(), Timestamp::from_secs(2_000_000));
        let (ahead, _) = told(&lease).expect("a gateway");
        assert_eq!(ahead.first_heard(now), now);
        write(&mut lease, &settings(), Timestamp::from_secs(500_000));
        let (behind, _) = told(&lease).expect("a gateway");
        assert!(now.since(behind.first_heard(now)) >= SILENCE, "until it renews");
    }

    #[test]
    fn a_lease_left_behind_is_silent_from_the_start() {
        let mut lease = json!({});
        write(&mut lease, &settings(), Timestamp::from_secs(100));
        let (told, _) = told(&lease).expect("a gateway");
        let late = Timestamp::from_secs(1000);
        assert_eq!(told.first_heard(late), Timestamp::from_secs(100));
        let soon = Timestamp::from_secs(130);
        assert_eq!(told.first_heard(soon), soon);
    }
}
