//! Tasks as the SDK leaves them.

use std::{net::SocketAddr, time::Duration};

use http_body_util::BodyExt as _;
use portico_emulator::NewTask;
use serde_json::{Map, Value, json};

use super::{World, place, until, within};

/// The runtime of a task that asks for these endpoints: name (empty for none) and address.
pub(crate) fn runtime(endpoints: &[(&str, SocketAddr)]) -> Map<String, Value> {
    let mut runtime = Map::from_iter([("_SERVICE".to_owned(), json!("EXTERNAL"))]);
    for (name, address) in endpoints {
        let suffix = if name.is_empty() {
            String::new()
        } else {
            format!("__{name}")
        };
        runtime.insert(format!("_ADDRESS{suffix}"), json!(address.ip().to_string()));
        runtime.insert(format!("_PORT{suffix}"), json!(address.port()));
    }
    runtime
}

/// The code in a refusal for programs.
pub(crate) fn code_of(body: &[u8]) -> String {
    let refusal: Value = serde_json::from_slice(body).unwrap_or_default();
    refusal["error"]["code"].as_str().unwrap_or_default().to_owned()
}

impl World {
    /// A running task of `user` that asks for the first application.
    pub(crate) fn asks(&self, user: &str, name: &str) -> String {
        self.asks_for(user, name, self.applications[0].address)
    }

    pub(crate) fn asks_for(&self, user: &str, name: &str, address: SocketAddr) -> String {
        self.emulator.create_task(NewTask::asking(user, name, address))
    }

    /// A running task of `user` with this runtime.
    pub(crate) fn asks_with(&self, user: &str, name: &str, runtime: Map<String, Value>) -> String {
        self.emulator.create_task(NewTask {
            user: user.to_owned(),
            name: name.to_owned(),
            runtime,
            system_tags: vec!["development".to_owned(), "external_service".to_owned()],
            ..NewTask::default()
        })
    }

    /// A running task of `user` that asks for the first application and is routed.
    pub(crate) async fn routed(&self, user: &str, name: &str) -> String {
        let task = self.asks(user, name);
        self.sees(&task).await;
        task
    }

    /// Waits until the gateway knows the task.
    pub(crate) async fn sees(&self, task: &str) {
        let id = portico_core::endpoint::TaskId::parse(task).unwrap();
        until("the gateway knows the task", async || {
            self.inside().table.get().task(id).map(drop)
        })
        .await;
    }

    /// A key of the task's runtime, once it is there.
    pub(crate) async fn published(&self, task: &str, key: &str) -> String {
        until(&format!("{key} is published"), async || {
            Some(self.emulator.runtime(task).get(key)?.as_str()?.to_owned())
        })
        .await
    }

    /// How often the tasks were written to.
    pub(crate) fn writes(&self) -> u64 {
        let calls = self.emulator.calls();
        [
            "tasks.edit",
            "tasks.edit_runtime",
            "tasks.edit_hyper_params",
            "tasks.delete_hyper_params",
        ]
        .iter()
        .filter_map(|name| calls.get(*name))
        .sum()
    }

    /// Waits until the gateway has asked the server so many more times.
    pub(crate) async fn polls(&self, more: u64) {
        let count = || {
            self.emulator
                .calls()
                .get("tasks.get_all_ex")
                .copied()
                .unwrap_or_default()
        };
        let goal = count() + more;
        within(Duration::from_secs(30), "the gateway asks", async || {
            (count() >= goal).then_some(())
        })
        .await;
    }
}

impl World {
    /// A worker on this machine tells the ClearML server that it is there.
    pub(crate) async fn worker_registers(&self, worker: &str) {
        let token = self.emulator.token("alice").unwrap();
        let body = json!({"worker": worker, "timeout": 600}).to_string();
        let request = http::Request::post("/workers.register")
            .header("host", "clearml.test")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(http_body_util::Full::from(body).boxed_unsync())
            .unwrap();
        let answer = place::send(self.api, request).await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// A running task of `user` that asks without the SDK, by the property `portico`.
    pub(crate) async fn asks_by_property(&self, user: &str, property: &str) -> String {
        self.worker_registers("machine:0").await;
        let task = self.emulator.create_task(NewTask {
            user: user.to_owned(),
            name: "by property".to_owned(),
            properties: [("portico".to_owned(), property.to_owned())].into(),
            ..NewTask::default()
        });
        self.emulator.set(&task, "last_worker", json!("machine:0"));
        task
    }

    /// Changes the property `portico`.
    pub(crate) fn sets_property(&self, task: &str, property: &str) {
        let entry = json!({"section": "properties", "name": "portico", "type": "str", "value": property});
        assert!(self.emulator.set(task, "hyperparams.properties.portico", entry));
    }
}
