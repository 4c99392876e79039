//! TCP endpoints beside another gateway, and after this one moved.

use portico_core::{
    endpoint::{EndpointKey, Protocol},
    observe::Workload,
};
use portico_emulator::{FeatureSet, NewTask};
use serde_json::{Value, json};

use super::{
    Gateway, HOST, Place, asking, gateway, gateway_at, looked_on, nothing, object, public, session, settled, stands,
    values, write,
};
use crate::{
    bench::{Bench, eventually, task_id},
    publisher::quick,
};

/// Waits until the task's TCP endpoint is refused for this reason.
async fn refused(gateway: &Gateway, id: &str, code: &str) {
    let key = tcp(id);
    eventually(code, || {
        let table = gateway.table.get();
        let refusal = table.route(&key)?.outcome.as_ref().err()?.code();
        (refusal == code).then_some(())
    })
    .await;
}

/// Waits until the gateway has seen this host in the task: what is written over before then, it takes for what stood there before.
async fn observed(gateway: &Gateway, id: &str, host: &str) {
    eventually("the host is seen", || {
        let table = gateway.table.get();
        let request = table.task(task_id(id))?.task.requests.first()?;
        let seen = request.ask.as_ref().ok()?.stream.host.as_deref();
        (seen == Some(host)).then_some(())
    })
    .await;
}

fn tcp(id: &str) -> EndpointKey {
    EndpointKey {
        task: task_id(id),
        protocol: Protocol::Tcp,
        name: None,
    }
}

/// What a second gateway publishes that has the same public host and other ports.
fn neighbors() -> Value {
    json!({"external_address": HOST, "external_tcp_port": "31000", "upstream_task_port": "10022"})
}

#[tokio::test]
async fn another_gateways_port_at_the_same_host_stays_in_its_tasks() {
    let elsewhere = |queues, workload| Place {
        queues,
        workload,
        ..Place::default()
    };
    for (place, code) in [
        (elsewhere(&["ours"], Workload::Known), "wrong_queue"),
        (elsewhere(&[], Workload::Gone), "pod_gone"),
    ] {
        let bench = Bench::with(FeatureSet::Basic, |_| ()).await;
        let mut runtime = session();
        runtime.as_object_mut().unwrap().extend(object(&neighbors()));
        let id = bench.emulator().create_task(NewTask {
            queue: Some("theirs".into()),
            ..asking(&runtime)
        });
        let gateway = gateway_at(&bench, quick(), true, place);
        for (status, code) in [("in_progress", code), ("stopped", "ended"), ("queued", "not_running")] {
            bench.emulator().set_status(&id, status);
            refused(&gateway, &id, code).await;
            looked_on(&bench).await;
            assert_eq!(Value::Object(bench.emulator().runtime(&id)), runtime, "{code}");
        }
        assert_eq!(gateway.status.get().writes, 0);
    }
}

#[tokio::test]
async fn a_task_that_runs_from_another_gateways_queue_now_is_that_gateways() {
    let bench = Bench::new().await;
    let from = |queue: &str, runtime: &Value| {
        bench.emulator().create_task(NewTask {
            queue: Some(queue.into()),
            ..asking(runtime)
        })
    };
    let (id, other) = (from("ours", &session()), from("theirs", &session()));
    let place = Place {
        queues: &["ours"],
        ..Place::default()
    };
    let gateway = gateway_at(&bench, quick(), true, place);
    stands(&bench, &id, "", public("30000", "10022")).await;
    bench.emulator().set_status(&id, "stopped");
    stands(&bench, &id, "", nothing()).await;
    let queue = bench.emulator().task(&other).unwrap()["execution"]["queue"].clone();
    assert!(bench.emulator().set(&id, "execution.queue", queue));
    bench.emulator().set_status(&id, "in_progress");
    write(&bench, &id, &session());
    refused(&gateway, &id, "wrong_queue").await;
    write(&bench, &id, &neighbors());
    looked_on(&bench).await;
    assert_eq!(values(&bench, &id, ""), public("31000", "10022"));
    let kept = gateway.table.get().ports().leases.of(&tcp(&id)).cloned();
    assert!(kept.is_some(), "its port here has not cooled down yet");
}

#[tokio::test]
async fn a_new_public_host_is_written_over_the_old_one() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(asking(&session()));
    let before = gateway(&bench, quick(), true);
    stands(&bench, &id, "", public("30000", "10022")).await;
    settled(&before).await;
    let leases = before.table.get().ports().leases.clone();
    drop(before);
    let moved = Place {
        host: "new.example.com",
        leases,
        ..Place::default()
    };
    let _after = gateway_at(&bench, quick(), true, moved);
    let expected = [json!("new.example.com"), json!("30000"), json!("10022")];
    stands(&bench, &id, "", expected).await;
}

#[tokio::test]
async fn another_gateway_that_gave_the_same_port_is_not_written_over_for_ever() {
    let bench = Bench::new().await;
    let id = bench.emulator().create_task(asking(&session()));
    let gateway = gateway(&bench, quick(), true);
    let theirs = json!({"external_address": "other.example.com"});
    for _ in 0..3 {
        stands(&bench, &id, "", public("30000", "10022")).await;
        observed(&gateway, &id, HOST).await;
        write(&bench, &id, &theirs);
    }
    let contested = eventually("a contest", || {
        let contested = gateway.status.get().contested.clone();
        (!contested.is_empty()).then_some(contested)
    })
    .await;
    assert_eq!((contested.len(), &*contested[0].key), (1, "external_address"));
    looked_on(&bench).await;
    let left = [json!("other.example.com"), json!("30000"), json!("10022")];
    assert_eq!(values(&bench, &id, ""), left);
}
