//! What `clearml-agent` 3.0.3 and `clearml-session` 0.17.0 rely on beyond the recorded exchanges. Observed with a real server
//! under both, or, where it says so, read in the server's source.

use portico_emulator::{Emulator, FeatureSet, NewTask, Seed, Server};
use serde_json::{Value, json};

use crate::client;

/// A server, and alice who calls it.
struct World {
    server: Server,
    token: String,
}

impl World {
    async fn new(features: FeatureSet) -> Self {
        let server = Server::start(Emulator::new(Seed::default(), features)).await.unwrap();
        let token = server.emulator().token("alice").unwrap();
        Self { server, token }
    }

    async fn call(&self, endpoint: &str, arguments: Value) -> Value {
        client::call(self.server.address(), endpoint, &self.token, &arguments).await
    }

    /// The call's data; it must be answered.
    async fn data(&self, endpoint: &str, arguments: Value) -> Value {
        let answer = self.call(endpoint, arguments).await;
        assert_eq!(answer["meta"]["result_code"], 200, "{endpoint}: {answer}");
        answer["data"].clone()
    }

    /// A session as the client makes it and enqueues it; its id.
    async fn enqueued(&self) -> String {
        let id = self.task("created", &["interactive"]);
        self.data("tasks.enqueue", json!({"task": id, "queue_name": "default"}))
            .await;
        id
    }

    /// A task that an agent runs; its id.
    async fn run_by_agent(&self) -> String {
        let id = self.enqueued().await;
        self.data("tasks.started", json!({"task": id, "force": true})).await;
        self.data(
            "workers.status_report",
            json!({"worker": "machine:0", "task": id, "timestamp": 0}),
        )
        .await;
        id
    }

    fn task(&self, status: &str, tags: &[&str]) -> String {
        self.server.emulator().create_task(NewTask {
            user: "alice".to_owned(),
            status: status.to_owned(),
            system_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..NewTask::default()
        })
    }

    /// The task's status, reason and message.
    fn said(&self, task: &str) -> [String; 3] {
        let task = self.server.emulator().task(task).unwrap();
        ["status", "status_reason", "status_message"].map(|field| task[field].as_str().unwrap().to_owned())
    }

    async fn waiting(&self) -> usize {
        let answer = self.data("queues.get_all", json!({"name": "default"})).await;
        answer["queues"][0]["entries"].as_array().unwrap().len()
    }
}

#[tokio::test]
async fn a_running_session_is_asked_to_stop_and_its_agent_says_when_it_has() {
    let world = World::new(FeatureSet::Basic).await;
    let task = world.run_by_agent().await;
    let answer = world
        .data("tasks.stop", json!({"task": task, "status_reason": "abort request"}))
        .await;
    assert_eq!(
        (
            &answer["updated"],
            &answer["fields"]["status"],
            &answer["fields"]["status_message"]
        ),
        (&json!(1), &json!("in_progress"), &json!("stopping"))
    );
    assert_eq!(world.said(&task), ["in_progress", "abort request", "stopping"]);
    world.data("tasks.stopped", json!({"task": task, "force": true})).await;
    assert_eq!(world.said(&task)[0], "stopped");
}

/// From the server's source (`stop_task`).
#[tokio::test]
async fn what_no_worker_runs_stops_at_once() {
    let world = World::new(FeatureSet::Basic).await;
    let waits = world.enqueued().await;
    let (local, forgotten) = (world.run_by_agent().await, world.run_by_agent().await);
    world.server.emulator().set_system_tags(&local, &["development"]);
    assert_eq!(world.waiting().await, 1);
    for task in [&waits, &local] {
        world.data("tasks.stop", json!({"task": task})).await;
        assert_eq!(world.said(task), ["stopped", "", "Stopped by Alice Archer"]);
    }
    assert_eq!(world.waiting().await, 0);
    world.server.emulator().advance(601);
    world.data("tasks.stop", json!({"task": forgotten})).await;
    assert_eq!(world.said(&forgotten)[0], "stopped");
}

/// From the server's source (`dequeue_and_change_status`).
#[tokio::test]
async fn an_agent_takes_a_task_out_of_its_queue_before_it_runs_it() {
    let world = World::new(FeatureSet::Basic).await;
    let task = world.enqueued().await;
    let answer = world
        .data("tasks.dequeue", json!({"task": task, "new_status": "in_progress"}))
        .await;
    assert_eq!(
        (&answer["dequeued"], &answer["updated"], &answer["fields"]["status"]),
        (&json!(1), &json!(1), &json!("in_progress"))
    );
    assert_eq!(
        (world.waiting().await, world.said(&task)[0].as_str()),
        (0, "in_progress")
    );

    let stopped = world.task("stopped", &[]);
    world.data("tasks.enqueue", json!({"task": stopped})).await;
    world.data("tasks.dequeue", json!({"task": stopped})).await;
    assert_eq!(world.said(&stopped)[0], "stopped", "it is what it was before");
    let again = world.data("tasks.dequeue", json!({"task": stopped})).await;
    assert_eq!(again, json!({"dequeued": 1, "updated": 0}));
}

/// `clearml_agent.glue.k8s` passes what it took from a queue on to one of its own, and tolerates the refusal. From the
/// server's source (`remove_task`, `enqueue_task`, `errors.conf`).
#[tokio::test]
async fn an_agent_passes_a_task_on_to_its_own_queue() {
    let world = World::new(FeatureSet::Advanced).await;
    let task = world.enqueued().await;
    let default = world.data("queues.get_all", json!({"name": "default"})).await["queues"][0]["id"].clone();
    let own = world.data("queues.create", json!({"name": "k8s_scheduler"})).await["id"].clone();
    world.data("queues.get_next_task", json!({"queue": default})).await;
    world.data("tasks.stop", json!({"task": task, "force": true})).await;
    let refused = world
        .call("queues.remove_task", json!({"queue": own, "task": task}))
        .await;
    let meta = &refused["meta"];
    assert_eq!(
        (&meta["result_code"], &meta["result_subcode"]),
        (&json!(400), &json!(703))
    );
    let told = meta["result_msg"].as_str().unwrap();
    assert!(
        told.starts_with("Invalid queue id or task not in queue: task="),
        "{told}"
    );

    let enqueue = json!({"task": task, "queue": own, "update_execution_queue": false});
    world.data("tasks.enqueue", enqueue).await;
    let kept = world.server.emulator().task(&task).unwrap();
    assert_eq!(kept["execution"]["queue"], default);
    let removed = world
        .data("queues.remove_task", json!({"queue": own, "task": task}))
        .await;
    assert_eq!(removed, json!({"removed": 1}));
    assert_eq!(world.said(&task)[0], "queued");

    world.data("tasks.enqueue", json!({"task": task, "queue": own})).await;
    let moved = world.server.emulator().task(&task).unwrap();
    assert_eq!(moved["execution"]["queue"], own);
}

/// From the server's source (`delete_task`, `errors.conf`).
#[tokio::test]
async fn an_earlier_session_is_deleted_by_force_or_once_archived() {
    let world = World::new(FeatureSet::Basic).await;
    let (forced, archived) = (world.task("stopped", &[]), world.task("stopped", &[]));
    let refused = world.call("tasks.delete", json!({"task": forced})).await;
    assert_eq!(
        (
            &refused["meta"]["result_code"],
            &refused["meta"]["result_subcode"],
            &refused["meta"]["result_msg"]
        ),
        (
            &json!(400),
            &json!(123),
            &json!(format!(
                "Task cannot be deleted (due to status, use force=True): task={forced}, expected=created, current=stopped"
            ))
        )
    );
    world.data("tasks.delete", json!({"task": forced, "force": true})).await;
    world.data("tasks.archive", json!({"tasks": [archived]})).await;
    world.data("tasks.delete", json!({"task": archived})).await;
    let left = world
        .data(
            "tasks.get_all",
            json!({"id": [forced, archived], "only_fields": ["id"]}),
        )
        .await;
    assert_eq!(left, json!({"tasks": []}));
}

/// `Task.delete`, by which the client takes earlier sessions away, looks for images among the events first.
#[tokio::test]
async fn events_are_found_by_their_type_once() {
    let world = World::new(FeatureSet::Basic).await;
    let task = world.run_by_agent().await;
    world
        .data("events.add", json!({"task": task, "type": "log", "msg": "hello"}))
        .await;
    let images = world
        .data(
            "events.get_task_events",
            json!({"task": task, "event_type": "training_debug_image"}),
        )
        .await;
    assert_eq!((&images["events"], &images["total"]), (&json!([]), &json!(0)));
    let lines = world
        .data("events.get_task_events", json!({"task": task, "event_type": "log"}))
        .await;
    assert_eq!(
        (&lines["events"][0]["msg"], &lines["returned"], &lines["total"]),
        (&json!("hello"), &json!(1), &json!(1))
    );
    let more = json!({"task": task, "event_type": "log", "scroll_id": lines["scroll_id"]});
    let more = world.data("events.get_task_events", more).await;
    assert_eq!((&more["events"], &more["returned"]), (&json!([]), &json!(0)));
}

#[tokio::test]
async fn what_only_the_enterprise_server_has_is_refused_and_still_known() {
    let world = World::new(FeatureSet::Basic).await;
    for endpoint in ["users.get_vaults", "workers.get_runtime_properties"] {
        let answer = world.call(endpoint, json!({"worker": "machine:0"})).await;
        assert_eq!(answer["meta"]["result_code"], 404, "{endpoint}");
    }
    assert_eq!(world.server.emulator().unknown_calls(), []);
    assert_eq!(world.server.emulator().calls()["workers.get_runtime_properties"], 1);
}

/// From the published reference of the enterprise server.
#[tokio::test]
async fn the_enterprise_server_keeps_properties_of_workers() {
    let world = World::new(FeatureSet::Advanced).await;
    let worker = json!({"worker": "machine:0"});
    let none = world.data("workers.get_runtime_properties", worker.clone()).await;
    assert_eq!(none, json!({"runtime_properties": []}));
    let kept = json!({"key": "max_num_instances", "value": "2"});
    let set = json!({"worker": "machine:0", "runtime_properties": [kept]});
    let answer = world.data("workers.set_runtime_properties", set).await;
    assert_eq!(
        answer,
        json!({"added": ["max_num_instances"], "removed": [], "errors": []})
    );
    let some = world.data("workers.get_runtime_properties", worker.clone()).await;
    assert_eq!(some, json!({"runtime_properties": [kept]}));
    let away = json!({"worker": "machine:0", "runtime_properties": [{"key": "max_num_instances", "expiry": 0}]});
    world.data("workers.set_runtime_properties", away).await;
    assert_eq!(world.data("workers.get_runtime_properties", worker).await, none);
}
