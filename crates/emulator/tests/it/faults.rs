//! Every fault does what it says, to the calls that it names, until it is taken back.

use std::time::{Duration, Instant};

use http::Request;
use http_body_util::Full;
use portico_emulator::{DEFAULT_COMPANY, Emulator, Faults, FeatureSet, NewTask, Seed, Server, WRONG_COMPANY};
use serde_json::{Value, json};

use crate::client::{self, Answer};

async fn server_with_tasks(count: usize) -> (Server, String) {
    let server = Server::start(Emulator::new(Seed::default(), FeatureSet::Basic))
        .await
        .unwrap();
    for _ in 0..count {
        server.emulator().create_task(NewTask::default());
    }
    let token = server.emulator().token("alice").unwrap();
    (server, token)
}

async fn tasks(server: &Server, token: &str) -> Value {
    client::call(
        server.address(),
        "tasks.get_all_ex",
        token,
        &json!({"only_fields": ["id", "company"]}),
    )
    .await["data"]["tasks"]
        .clone()
}

async fn ping(server: &Server) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let request = Request::get("/debug.ping")
        .header("host", "emulator")
        .body(Full::default())
        .unwrap();
    client::send(server.address(), request).await
}

#[tokio::test]
async fn an_unreachable_server_closes_the_connection_until_it_recovers() {
    let (server, _) = server_with_tasks(0).await;
    server.emulator().set_faults(Faults {
        unreachable: true,
        ..Faults::default()
    });
    assert!(ping(&server).await.is_err());
    server.emulator().set_faults(Faults::default());
    assert_eq!(ping(&server).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_stopped_server_refuses_and_comes_back_with_its_memory() {
    let (server, token) = server_with_tasks(1).await;
    let address = server.address();
    let emulator = server.stop().await;
    let request = Request::get("/debug.ping")
        .header("host", "emulator")
        .body(Full::default())
        .unwrap();
    assert!(client::send(address, request).await.is_err());
    let server = Server::start_at(emulator, address).await.unwrap();
    assert_eq!(tasks(&server, &token).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn errors_and_pages_of_html_take_the_place_of_answers() {
    let (server, token) = server_with_tasks(1).await;
    server.emulator().set_faults(Faults {
        status: Some(500),
        ..Faults::default()
    });
    let answer = ping(&server).await.unwrap();
    assert_eq!(
        (answer.status, answer.json()["meta"]["result_code"].clone()),
        (500, json!(500))
    );
    server.emulator().set_faults(Faults {
        html: true,
        endpoints: vec!["tasks.get_all_ex".to_owned()],
        ..Faults::default()
    });
    assert_eq!(tasks(&server, &token).await, Value::Null);
    assert_eq!(ping(&server).await.unwrap().json()["data"]["msg"], "ClearML server");
}

#[tokio::test]
async fn lists_come_empty_halved_or_of_another_company() {
    let (server, token) = server_with_tasks(4).await;
    for (faults, count, company) in [
        (
            Faults {
                empty: true,
                ..Faults::default()
            },
            0,
            DEFAULT_COMPANY,
        ),
        (
            Faults {
                half: true,
                ..Faults::default()
            },
            2,
            DEFAULT_COMPANY,
        ),
        (
            Faults {
                wrong_company: true,
                ..Faults::default()
            },
            4,
            WRONG_COMPANY,
        ),
        (Faults::default(), 4, DEFAULT_COMPANY),
    ] {
        server.emulator().set_faults(faults);
        let tasks = tasks(&server, &token).await;
        assert_eq!(tasks.as_array().unwrap().len(), count);
        assert!(
            tasks
                .as_array()
                .unwrap()
                .iter()
                .all(|task| task["company"]["id"] == company)
        );
    }
}

#[tokio::test]
async fn a_slow_server_waits_and_a_huge_answer_has_its_size() {
    let (server, _) = server_with_tasks(0).await;
    server.emulator().set_faults(Faults {
        slow_millis: Some(80),
        ..Faults::default()
    });
    let before = Instant::now();
    assert_eq!(ping(&server).await.unwrap().status, 200);
    assert!(before.elapsed() >= Duration::from_millis(80));
    server.emulator().set_faults(Faults {
        huge_bytes: Some(3 << 20),
        ..Faults::default()
    });
    let answer = ping(&server).await.unwrap();
    assert!(answer.body.len() >= 3 << 20);
    assert_eq!(answer.json()["meta"]["result_code"], 200);
}
