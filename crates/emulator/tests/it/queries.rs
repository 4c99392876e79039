//! What the recording does not show of the calls around it: filters, joins, user properties, batches.

use http::Request;
use http_body_util::Full;
use portico_emulator::{Emulator, FeatureSet, NewTask, Seed, Server};
use serde_json::{Value, json};

use crate::client;

struct World {
    server: Server,
    token: String,
}

impl World {
    async fn new() -> Self {
        let server = Server::start(Emulator::new(Seed::default(), FeatureSet::Basic))
            .await
            .unwrap();
        let token = server.emulator().token("alice").unwrap();
        Self { server, token }
    }

    fn task(&self, new: NewTask) -> String {
        self.server.emulator().create_task(new)
    }

    async fn call(&self, endpoint: &str, arguments: Value) -> Value {
        let answer = client::call(self.server.address(), endpoint, &self.token, &arguments).await;
        assert_eq!(answer["meta"]["result_code"], 200, "{answer}");
        answer["data"].clone()
    }

    async fn found(&self, arguments: Value) -> Vec<String> {
        let data = self.call("tasks.get_all_ex", arguments).await;
        data["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn tagged(tags: &[&str]) -> NewTask {
    NewTask {
        system_tags: tags.iter().map(ToString::to_string).collect(),
        ..NewTask::default()
    }
}

#[tokio::test]
async fn hidden_tasks_are_found_only_when_asked_for() {
    let world = World::new().await;
    let hidden = world.task(tagged(&["hidden"]));
    assert!(world.found(json!({})).await.is_empty());
    assert_eq!(
        world.found(json!({"search_hidden": true})).await,
        std::slice::from_ref(&hidden)
    );
    assert_eq!(world.found(json!({"id": [hidden]})).await, [hidden]);
}

#[tokio::test]
async fn runtime_keys_filter_by_equality() {
    let world = World::new().await;
    let runtime = json!({"_SERVICE": "EXTERNAL_TCP"}).as_object().cloned().unwrap();
    let tcp = world.task(NewTask {
        runtime,
        ..NewTask::default()
    });
    world.task(NewTask::default());
    assert_eq!(world.found(json!({"runtime._SERVICE": "EXTERNAL_TCP"})).await, [tcp]);
}

#[tokio::test]
async fn pages_and_scrolls_go_through_everything_once() {
    let world = World::new().await;
    let mut all: Vec<String> = (0..7).map(|_| world.task(NewTask::default())).collect();
    all.sort();
    let mut paged = Vec::new();
    for page in 0..4 {
        paged.extend(
            world
                .found(json!({"page": page, "page_size": 2, "order_by": ["id"]}))
                .await,
        );
    }
    assert_eq!(paged, all);
    let (mut scrolled, mut scroll) = (Vec::new(), Value::Null);
    loop {
        let data = world
            .call(
                "tasks.get_all_ex",
                json!({"scroll_id": scroll, "size": 3, "order_by": ["-id"]}),
            )
            .await;
        let ids: Vec<String> = data["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["id"].as_str().unwrap().to_owned())
            .collect();
        if ids.is_empty() {
            break;
        }
        scrolled.extend(ids);
        scroll = data["scroll_id"].clone();
    }
    scrolled.reverse();
    assert_eq!(scrolled, all);
}

#[tokio::test]
async fn queues_and_owners_are_joined() {
    let world = World::new().await;
    world.task(NewTask {
        queue: Some("gpu".to_owned()),
        user: "bob".to_owned(),
        ..NewTask::default()
    });
    let data = world
        .call(
            "tasks.get_all_ex",
            json!({"only_fields": ["user.name", "execution.queue.name"]}),
        )
        .await;
    let task = &data["tasks"][0];
    assert_eq!(task["user"]["name"], "Bob Baker");
    assert_eq!(task["execution"]["queue"]["name"], "gpu");
    let queue = task["execution"]["queue"]["id"].as_str().unwrap();
    assert_eq!(world.found(json!({"execution.queue": [queue]})).await.len(), 1);
    assert!(world.found(json!({"execution.queue": ["another"]})).await.is_empty());
}

#[tokio::test]
async fn user_properties_are_kept_as_text() {
    let world = World::new().await;
    let id = world.task(NewTask::default());
    let property = |name: &str, value: Value| json!({"section": "properties", "name": name, "value": value});
    let edit = json!({"task": id, "hyperparams": [property("portico", json!("8888")), property("other", json!(1))], "replace_hyperparams": "none"});
    world.call("v2.23/tasks.edit_hyper_params", edit).await;
    let data = world
        .call("tasks.get_all_ex", json!({"only_fields": ["hyperparams.properties"]}))
        .await;
    let properties = &data["tasks"][0]["hyperparams"]["properties"];
    assert_eq!(
        (&properties["portico"]["value"], &properties["other"]["value"]),
        (&json!("8888"), &json!("1"))
    );
    world
        .call(
            "v2.23/tasks.delete_hyper_params",
            json!({"task": id, "hyperparams": [{"section": "properties", "name": "other"}]}),
        )
        .await;
    let data = world.call("v2.23/tasks.get_hyper_params", json!({"tasks": [id]})).await;
    assert_eq!(data["params"][0]["hyperparams"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_batch_of_events_is_counted_and_its_log_lines_are_read_back() {
    let world = World::new().await;
    let id = world.task(NewTask::default());
    let lines: String = ["log", "training_stats_scalar", "log"]
        .map(|kind| json!({"task": id, "type": kind, "msg": "hello"}).to_string() + "\n")
        .concat();
    let request = Request::post("/v2.23/events.add_batch")
        .header("host", "emulator")
        .header("authorization", format!("Bearer {}", world.token));
    let answer = client::send(world.server.address(), request.body(Full::from(lines)).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.json()["data"]["added"], 3);
    assert_eq!(world.call("events.get_task_log", json!({"task": id})).await["total"], 2);
}

#[tokio::test]
async fn a_user_of_another_company_finds_nothing() {
    let world = World::new().await;
    world.task(NewTask::asking("carol", "hers", "127.0.0.1:9000".parse().unwrap()));
    assert!(
        world
            .found(json!({"system_tags": ["external_service"]}))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn changes_since_a_moment_are_found() {
    let world = World::new().await;
    let old = world.task(NewTask::default());
    world.server.emulator().advance(3600);
    let new = world.task(NewTask::default());
    let since = world.call("tasks.get_by_id", json!({"task": new})).await["task"]["last_change"].clone();
    assert_eq!(
        world
            .found(json!({"last_change": [format!(">={}", since.as_str().unwrap())]}))
            .await,
        std::slice::from_ref(&new)
    );
    assert_eq!(
        world
            .found(json!({"last_change": [format!("<{}", since.as_str().unwrap())]}))
            .await,
        std::slice::from_ref(&old)
    );
    assert_eq!(world.found(json!({"order_by": ["-last_change"]})).await, [new, old]);
}
