//! TCP endpoints: how their public address gets into tasks, and out of them.

mod beside;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use portico_clearml::{Publisher, PublisherSettings, PublisherStatus};
use portico_core::{
    access::Who,
    access_policy::AccessPolicy,
    clock::{Clock, ManualClock},
    dial::DialRules,
    live::{Live, Publish, live},
    observe::{Observation, ObservedTask, Workload},
    port_range::PortRange,
    ports::{Leases, OpenPorts, Rules, allocate},
    routes::{Policy, RouteTable},
    site::{Origin, Site},
    streams::{Admission, StreamPolicy},
};
use portico_emulator::{FeatureSet, NewTask};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{Bench, eventually, task_id},
    publisher::quick,
    source::{Running, fast, run},
};

const HOST: &str = "tcp.example.com";

/// A source, leases and a table that follow it, a data plane that opens every port at once if it may, and a publisher.
struct Gateway {
    source: Running,
    table: Live<RouteTable>,
    status: Live<PublisherStatus>,
    may_open: Publish<bool>,
    _stops: tokio_util::sync::DropGuard,
    _tasks: JoinSet<()>,
}

/// What is the one gateway's and not the other's.
struct Place {
    host: &'static str,
    queues: &'static [&'static str],
    /// What became of all pods.
    workload: Workload,
    leases: Arc<Leases>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            host: HOST,
            queues: &[],
            workload: Workload::Known,
            leases: Arc::default(),
        }
    }
}

struct Follower {
    place: Place,
    observation: Live<Observation>,
    seen: Publish<Observation>,
    may_open: Live<bool>,
    policy: Arc<Policy>,
    table: Publish<RouteTable>,
    open: Publish<OpenPorts>,
    clock: ManualClock,
}

impl Follower {
    async fn run(mut self) {
        let mut leases = self.place.leases.clone();
        loop {
            let seen = Arc::new(self.through_pods());
            let wishes = RouteTable::wishes(&seen, &self.policy, &leases);
            let book = allocate(&wishes, &leases, &rules(), &BTreeSet::new(), self.clock.now());
            leases = book.leases.clone();
            let table = RouteTable::build_with_ports(&seen, &self.policy, &Arc::new(book), Some(&self.table.get()));
            let ports = table
                .endpoints()
                .filter_map(|endpoint| Some((endpoint.port?, endpoint.id)));
            let open = OpenPorts {
                open: ports.filter(|_| *self.may_open.get()).collect(),
                ..OpenPorts::default()
            };
            self.seen.publish(seen);
            self.table.publish(table);
            self.open.publish(open);
            tokio::select! {
                Some(_) = self.observation.changed() => {}
                Some(_) = self.may_open.changed() => {}
                else => return,
            }
        }
    }

    fn through_pods(&self) -> Observation {
        let observation = self.observation.get();
        let tasks = observation.tasks().iter().map(|task| match self.place.workload {
            Workload::Known => task.clone(),
            ref workload => {
                let mut seen = ObservedTask::clone(task);
                seen.standing.workload = workload.clone();
                Arc::new(seen)
            }
        });
        Observation::new(tasks.collect())
    }
}

fn rules() -> Rules {
    Rules {
        range: PortRange::new(30000, 30009).unwrap(),
        cooling: Duration::from_mins(10),
    }
}

fn gateway(bench: &Bench, settings: PublisherSettings, opens: bool) -> Gateway {
    gateway_at(bench, settings, opens, Place::default())
}

fn gateway_at(bench: &Bench, settings: PublisherSettings, opens: bool, place: Place) -> Gateway {
    let source = run(bench, fast(), None);
    let policy = Arc::new(Policy {
        queues: place.queues.iter().map(ToString::to_string).collect(),
        dial: DialRules {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            ..DialRules::default()
        },
        access: AccessPolicy::only(Who::Owner),
        streams: Some(StreamPolicy {
            host: place.host.into(),
            range: rules().range,
            admission: Admission::Open,
        }),
    });
    let (publish_table, table) = live(RouteTable::empty(policy.clone()));
    let (publish_status, status) = live(PublisherStatus::default());
    let (publish_seen, seen) = live(Observation::default());
    let (publish_open, open) = live(OpenPorts::default());
    let (may_open, follow_may_open) = live(opens);
    let site = Site {
        name: "main".into(),
        router: Origin::parse("https://gateway.example.com").unwrap(),
        console: None,
        extra_hosts: Vec::new(),
    };
    let publisher = Publisher::with(bench.clearml.clone(), Arc::new(site), true, settings).with_streams(open);
    let shutdown = CancellationToken::new();
    let follower = Follower {
        place,
        seen: publish_seen,
        observation: source.observation.clone(),
        may_open: follow_may_open,
        policy,
        table: publish_table,
        open: publish_open,
        clock: bench.clock.clone(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(follower.run());
    tasks.spawn(publisher.run(
        table.clone(),
        seen,
        publish_status,
        source.nudge.clone(),
        shutdown.clone(),
    ));
    Gateway {
        source,
        table,
        status,
        may_open,
        _stops: shutdown.drop_guard(),
        _tasks: tasks,
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn asking(runtime: &Value) -> NewTask {
    NewTask {
        runtime: object(runtime),
        system_tags: vec!["external_service".into()],
        properties: [("external_address".to_owned(), "10.1.2.3".to_owned())].into(),
        ..NewTask::default()
    }
}

/// What clearml-session 0.17.0 leaves in the runtime.
fn session() -> Value {
    json!({
        "_SERVICE": "EXTERNAL_TCP", "external_address": "10.1.2.3", "external_tcp_port": 10022, "internal_ssh_port": "10022",
        "_ssh_password": "hunter2", "_jupyter_url": "http://10.1.2.3:8888?token=x\n",
    })
}

/// The three values of an endpoint, as they stand there.
fn values(bench: &Bench, id: &str, suffix: &str) -> [Value; 3] {
    let runtime = bench.emulator().runtime(id);
    ["external_address", "external_tcp_port", "upstream_task_port"]
        .map(|key| runtime.get(&format!("{key}{suffix}")).cloned().unwrap_or(Value::Null))
}

async fn stands(bench: &Bench, id: &str, suffix: &str, expected: [Value; 3]) {
    eventually(&format!("{expected:?} in {:?}", values(bench, id, suffix)), || {
        bench.clock.advance(Duration::from_millis(30));
        (values(bench, id, suffix) == expected).then_some(())
    })
    .await;
}

fn public(port: &str, upstream: &str) -> [Value; 3] {
    [json!(HOST), json!(port), json!(upstream)]
}

fn nothing() -> [Value; 3] {
    [Value::Null, Value::Null, Value::Null]
}

fn shown(bench: &Bench, id: &str, name: &str) -> Option<String> {
    let task = bench.emulator().task(id)?;
    let property = task["hyperparams"]["properties"].get(name)?;
    Some(property["value"].as_str()?.to_owned())
}

async fn settled(gateway: &Gateway) {
    eventually("nothing pending", || {
        let status = gateway.status.get();
        (status.pending == 0 && status.writes > 0).then_some(())
    })
    .await;
}

/// Waits until the gateway has looked at everything some times more.
async fn looked_on(bench: &Bench) {
    let reads = bench.calls("tasks.get_all_ex");
    eventually("some looks", || {
        (bench.calls("tasks.get_all_ex") > reads + 20).then_some(())
    })
    .await;
}

/// Changes some keys of a runtime, as the script in the task does.
fn write(bench: &Bench, id: &str, changes: &Value) {
    let mut runtime = bench.emulator().runtime(id);
    runtime.extend(object(changes));
    bench.emulator().set_runtime(id, runtime);
}

#[tokio::test]
async fn a_session_gets_its_public_address_key_by_key() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(asking(&session()));
    let gateway = gateway(&bench, quick(), true);
    stands(&bench, &id, "", public("30000", "10022")).await;
    settled(&gateway).await;
    assert_eq!((bench.calls("tasks.edit_runtime"), bench.calls("tasks.edit")), (1, 0));
    assert_eq!(bench.emulator().runtime(&id)["_ssh_password"], json!("hunter2"));
    assert_eq!(shown(&bench, &id, "gateway_url"), None);
    assert_eq!(bench.emulator().unknown_calls(), []);
}

#[tokio::test]
async fn on_an_open_source_server_people_find_host_and_port_among_the_properties() {
    let bench = Bench::with(FeatureSet::Basic, |_| ()).await;
    let mut runtime = session();
    for (key, value) in object(&json!({
        "external_address__db": "10.1.2.3", "external_tcp_port__db": "5432", "external_address__web": "10.1.2.3",
        "external_tcp_port__web": 81, "_ADDRESS__web": "10.1.2.3", "_PORT__web": 80,
    })) {
        runtime[key] = value;
    }
    let id = bench.emulator().create_task(asking(&runtime));
    let gateway = gateway(&bench, quick(), true);
    eventually("the addresses", || {
        let both = [shown(&bench, &id, "gateway_url"), shown(&bench, &id, "gateway_url__db")];
        (both.iter().all(Option::is_some)).then_some(both)
    })
    .await;
    settled(&gateway).await;
    let port = |name: &str| {
        let shown = shown(&bench, &id, name).unwrap();
        shown.strip_prefix("tcp.example.com:").unwrap().to_owned()
    };
    assert_eq!(values(&bench, &id, ""), public(&port("gateway_url"), "10022"));
    assert_eq!(values(&bench, &id, "__db"), public(&port("gateway_url__db"), "5432"));
    let web = shown(&bench, &id, "gateway_url__web").unwrap();
    assert!(web.starts_with("https://"), "the page comes before the port: {web}");
    bench.emulator().set_status(&id, "stopped");
    for suffix in ["", "__db", "__web"] {
        stands(&bench, &id, suffix, nothing()).await;
        eventually("nothing shown", || {
            shown(&bench, &id, &format!("gateway_url{suffix}"))
                .is_none()
                .then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_named_endpoint_is_published_by_an_edit_that_keeps_every_other_key() {
    let bench = Bench::new().await;
    let before = json!({
        "_SERVICE__My DB": "EXTERNAL_TCP", "external_address__My DB": "10.1.2.3", "external_tcp_port__My DB": 5432,
        "upstream_task_port__My DB": 5432, "progress": "7", "nested": {"a": [1, null]},
    });
    let id = bench.emulator().create_task(asking(&before));
    let gateway = gateway(&bench, quick(), true);
    // What the SDK wrote there is right already.
    stands(&bench, &id, "__My DB", [json!(HOST), json!("30000"), json!(5432)]).await;
    settled(&gateway).await;
    assert_eq!((bench.calls("tasks.edit_runtime"), bench.calls("tasks.edit")), (0, 1));
    let after = bench.emulator().runtime(&id);
    for key in ["_SERVICE__My DB", "progress", "nested"] {
        assert_eq!(after.get(key), before.get(key), "{key}");
    }
}

#[tokio::test]
async fn nothing_is_published_before_the_port_stands_open() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(asking(&session()));
    let gateway = gateway(&bench, quick(), false);
    eventually("a route", || (gateway.table.get().len() == 1).then_some(())).await;
    looked_on(&bench).await;
    assert_eq!(values(&bench, &id, ""), [json!("10.1.2.3"), json!(10022), Value::Null]);
    gateway.may_open.publish(true);
    stands(&bench, &id, "", public("30000", "10022")).await;
    // A port that closes for a moment, as in a restart, takes nothing back.
    gateway.may_open.publish(false);
    looked_on(&bench).await;
    assert_eq!(values(&bench, &id, ""), public("30000", "10022"));
}

#[tokio::test]
async fn an_ended_task_holds_nothing_that_points_at_us() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(asking(&session()));
    let gateway = gateway(&bench, quick(), true);
    stands(&bench, &id, "", public("30000", "10022")).await;
    settled(&gateway).await;
    bench.emulator().set_status(&id, "completed");
    stands(&bench, &id, "", nothing()).await;
    let runtime = bench.emulator().runtime(&id);
    assert_eq!(runtime["_ssh_password"], json!("hunter2"));
    assert_eq!(runtime["internal_ssh_port"], json!("10022"));
}

#[tokio::test]
async fn an_ended_task_keeps_another_gateways_address() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(asking(&session()));
    let gateway = gateway(&bench, quick(), true);
    stands(&bench, &id, "", public("30000", "10022")).await;
    settled(&gateway).await;
    let theirs = json!({"external_address": "other.example.com", "external_tcp_port": "31000"});
    write(&bench, &id, &theirs);
    gateway
        .source
        .sees("the other gateway", &id, |task| {
            let ask = task.requests.first().and_then(|request| request.ask.as_ref().ok());
            ask.is_some_and(|ask| ask.stream.host.as_deref() == Some("other.example.com"))
        })
        .await;
    bench.emulator().set_status(&id, "completed");
    gateway.source.sees("the end", &id, |task| task.status.is_ended()).await;
    settled(&gateway).await;
    let left = [json!("other.example.com"), json!("31000"), json!("10022")];
    assert_eq!(values(&bench, &id, ""), left);
}

#[tokio::test]
async fn a_task_that_runs_again_without_reset_gets_the_same_port_however_often() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(asking(&session()));
    let gateway = gateway(&bench, quick(), true);
    stands(&bench, &id, "", public("30000", "10022")).await;
    for run in 0..12 {
        settled(&gateway).await;
        // The script takes our host for its own and writes a fresh port beside it; what it led to before stays.
        let port = 10023 + run;
        write(&bench, &id, &json!({"external_tcp_port": port}));
        if run >= 8 {
            bench.emulator().set_status(&id, "queued");
            bench.emulator().set_status(&id, "in_progress");
        }
        stands(&bench, &id, "", public("30000", &port.to_string())).await;
    }
    assert_eq!(gateway.status.get().contested, []);
}

#[tokio::test]
async fn what_the_sdk_wrote_back_as_it_was_is_published_again() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(asking(&session()));
    let gateway = gateway(&bench, quick(), true);
    for _ in 0..5 {
        stands(&bench, &id, "", public("30000", "10022")).await;
        settled(&gateway).await;
        bench.emulator().set_runtime(&id, object(&session()));
    }
    stands(&bench, &id, "", public("30000", "10022")).await;
}

#[tokio::test]
async fn a_running_task_that_may_not_be_reached_any_more_gets_its_own_address_back() {
    let bench = Bench::with(FeatureSet::Basic, |_| ()).await;
    let id = bench.emulator().create_task(asking(&session()));
    let gateway = gateway(&bench, quick(), true);
    stands(&bench, &id, "", public("30000", "10022")).await;
    eventually("shown", || shown(&bench, &id, "gateway_url")).await;
    settled(&gateway).await;
    // Its owner wants to let certain people in; ports cannot.
    let note = |text: &str| {
        let value = json!({"section": "properties", "name": "portico", "type": "str", "value": text});
        assert!(bench.emulator().set(&id, "hyperparams.properties.portico", value));
    };
    note("tcp:10022,access=owner");
    stands(&bench, &id, "", [json!("10.1.2.3"), json!("10022"), json!("10022")]).await;
    eventually("not shown", || {
        shown(&bench, &id, "gateway_url").is_none().then_some(())
    })
    .await;
    note("tcp:10022");
    stands(&bench, &id, "", public("30000", "10022")).await;
}

#[tokio::test]
async fn a_copy_of_anothers_values_is_cleared_and_the_original_is_not() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(asking(&session()));
    let gateway = gateway(&bench, quick(), true);
    stands(&bench, &id, "", public("30000", "10022")).await;
    settled(&gateway).await;
    let copied = Value::Object(bench.emulator().runtime(&id));
    let copy = bench.emulator().create_task(asking(&copied));
    stands(&bench, &copy, "", nothing()).await;
    assert_eq!(values(&bench, &id, ""), public("30000", "10022"));
    let lease = gateway.table.get().ports().leases.holder(30000).cloned();
    assert_eq!(lease.map(|key| key.task), Some(task_id(&id)));
}

#[tokio::test]
async fn a_clone_loses_the_public_address_that_its_properties_show() {
    let bench = Bench::with(FeatureSet::Basic, |_| ()).await;
    let gateway = gateway(&bench, quick(), true);
    gateway.source.is_up().await;
    let properties = [
        ("gateway_url".to_owned(), format!("{HOST}:30000")),
        ("gateway_url__b".to_owned(), format!("{HOST}:31000")),
        ("gateway_url__c".to_owned(), "other.example.com:30000".to_owned()),
    ];
    let id = bench.emulator().create_task(NewTask {
        system_tags: vec!["external_service".into()],
        properties: properties.into(),
        ..NewTask::default()
    });
    eventually("removal", || shown(&bench, &id, "gateway_url").is_none().then_some(())).await;
    assert!(shown(&bench, &id, "gateway_url__b").is_some(), "no port of ours");
    assert!(shown(&bench, &id, "gateway_url__c").is_some(), "no host of ours");
}
