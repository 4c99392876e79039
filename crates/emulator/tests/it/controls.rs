//! The controls, in process and over HTTP.

use http::Request;
use http_body_util::Full;
use portico_emulator::{Emulator, FeatureSet, NewTask, Seed, Server, Settings};
use serde_json::{Value, json};

use crate::client;

async fn server(control: bool) -> Server {
    let settings = Settings {
        control,
        feature_set: FeatureSet::Advanced,
        ..Settings::default()
    };
    Server::start(Emulator::new(Seed::default(), settings)).await.unwrap()
}

async fn control(server: &Server, action: &str, body: Option<Value>) -> (u16, Value) {
    let uri = format!("/_emulator/{action}");
    let request = if body.is_some() {
        Request::post(uri)
    } else {
        Request::get(uri)
    };
    let body = body.map_or_else(Full::default, |body| Full::from(body.to_string()));
    let answer = client::send(server.address(), request.header("host", "emulator").body(body).unwrap())
        .await
        .unwrap();
    (answer.status, answer.json())
}

#[tokio::test]
async fn controls_answer_only_when_they_are_enabled() {
    assert_eq!(
        control(&server(true).await, "calls", None).await,
        (200, json!({"calls": {}}))
    );
    assert_eq!(control(&server(false).await, "calls", None).await.0, 400);
}

#[tokio::test]
async fn a_task_is_made_changed_and_deleted_over_http() {
    let server = server(true).await;
    let new = json!({"user": "bob", "name": "svc", "runtime": {"_PORT": 1}, "system_tags": ["external_service"], "queue": "gpu", "properties": {"a": "1", "b": "2"}});
    let (status, made) = control(&server, "task", Some(new)).await;
    assert_eq!(status, 200);
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(
        control(&server, "runtime", Some(json!({"task": id, "runtime": {"_PORT": 2}})))
            .await
            .0,
        200
    );
    assert_eq!(
        control(&server, "status", Some(json!({"task": id, "status": "stopped"})))
            .await
            .0,
        200
    );
    let (_, task) = control(&server, &format!("task?id={id}"), None).await;
    let task = &task["task"];
    assert_eq!(
        (&task["runtime"], &task["status"]),
        (&json!({"_PORT": 2}), &json!("stopped"))
    );
    assert_eq!(task["hyperparams"]["properties"]["b"]["value"], "2");
    assert_eq!(task["hyperparams"]["properties"]["a"]["value"], "1");
    assert!(task["execution"]["queue"].is_string());
    assert_eq!(control(&server, "delete_task", Some(json!({"task": id}))).await.0, 200);
    assert_eq!(control(&server, &format!("task?id={id}"), None).await.0, 404);
    assert_eq!(control(&server, "runtime", Some(json!({"task": id}))).await.0, 404);
    assert_eq!(control(&server, "task", Some(json!({"nosuch": 1}))).await.0, 400);
}

#[tokio::test]
async fn unknown_calls_are_counted_apart() {
    let server = server(true).await;
    let (emulator, address) = (server.emulator(), server.address());
    let token = emulator.token("alice").unwrap();
    for endpoint in [
        "tasks.get_all_ex",
        "tasks.get_all_ex",
        "tasks.nosuch",
        "v2.1/tasks.completed",
    ] {
        client::call(address, endpoint, &token, &json!({})).await;
    }
    assert_eq!(emulator.calls(), [("tasks.get_all_ex".to_owned(), 2)].into());
    // A call that came only with a later version is as unknown as one that never was.
    assert_eq!(
        emulator.unknown_calls(),
        [("tasks.completed".to_owned(), 1), ("tasks.nosuch".to_owned(), 1)]
    );
    emulator.forget_calls();
    assert!(emulator.calls().is_empty() && emulator.unknown_calls().is_empty());
}

#[tokio::test]
async fn a_deleted_users_token_lives_on_without_a_profile() {
    let server = server(true).await;
    let (emulator, address) = (server.emulator(), server.address());
    let (token, task) = (emulator.token("bob").unwrap(), emulator.create_task(NewTask::default()));
    assert_eq!(
        control(&server, "delete_user", Some(json!({"user": "bob"}))).await.0,
        200
    );
    let me = client::call(address, "users.get_current_user", &token, &json!({})).await;
    assert_eq!(
        (&me["meta"]["result_code"], &me["meta"]["result_subcode"]),
        (&json!(400), &json!(300))
    );
    let seen = client::call(address, "tasks.get_by_id", &token, &json!({"task": task})).await;
    assert_eq!(seen["meta"]["result_code"], 200);
    assert_eq!(emulator.token("bob"), None);
}

#[tokio::test]
async fn on_day_31_a_token_has_ended_and_a_new_one_has_not() {
    let server = server(true).await;
    let (emulator, address) = (server.emulator(), server.address());
    let token = emulator.token("alice").unwrap();
    control(&server, "clock", Some(json!({"advance_sec": 31 * 86_400}))).await;
    let answer = client::call(address, "users.get_current_user", &token, &json!({})).await;
    assert_eq!(
        answer["meta"]["result_msg"],
        "Invalid token (invalid jwt token): reason=Signature has expired"
    );
    let (_, fresh) = control(&server, "token", Some(json!({"user": "alice"}))).await;
    let answer = client::call(
        address,
        "users.get_current_user",
        fresh["token"].as_str().unwrap(),
        &json!({}),
    )
    .await;
    assert_eq!(answer["data"]["user"]["name"], "Alice Archer");
}

#[tokio::test]
async fn vaults_exist_only_with_the_advanced_features() {
    for (features, code) in [(FeatureSet::Advanced, 200), (FeatureSet::Basic, 404)] {
        let server = Server::start(Emulator::new(Seed::default(), features)).await.unwrap();
        let token = server.emulator().token("alice").unwrap();
        let answer = client::call(
            server.address(),
            "v2.23/users.get_vaults?enabled=true&types=config",
            &token,
            &json!({}),
        )
        .await;
        assert_eq!(answer["meta"]["result_code"], code);
    }
}

#[tokio::test]
async fn it_is_told_who_wrote_which_key_of_a_task() {
    let server = server(true).await;
    let token = server.emulator().token("admin").unwrap();
    let (_, made) = control(
        &server,
        "task",
        Some(json!({"user": "alice", "runtime": {"kept": "1", "gone": "1"}})),
    )
    .await;
    let task = made["id"].as_str().unwrap();
    for (call, body) in [
        (
            "tasks.edit_runtime",
            json!({"add_or_update": {"a": "1"}, "remove": ["b"]}),
        ),
        ("tasks.edit", json!({"force": true, "runtime": {"kept": "1", "c": "1"}})),
        ("tasks.edit", json!({"runtime": {"refused": "1"}})),
        (
            "tasks.edit_hyper_params",
            json!({"force": true, "hyperparams": [{"section": "properties", "name": "url", "value": "x"}]}),
        ),
    ] {
        let body = merged(body, json!({"task": task}));
        client::call(server.address(), call, &token, &body).await;
    }
    let (_, told) = control(&server, &format!("writes?task={task}"), None).await;
    let told: Vec<_> = told["writes"].as_array().unwrap().iter().collect();
    assert!(
        told.iter()
            .all(|write| write["from"] == "127.0.0.1" && write["task"] == task)
    );
    let keys: Vec<_> = told.iter().map(|write| write["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["a", "b", "a", "c", "gone", "properties/url"]);
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}
