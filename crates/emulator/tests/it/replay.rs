//! The exchanges recorded with the real server, against the emulated one. The form is described in `exchanges/README.md`.

use std::{collections::BTreeMap, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Request;
use http_body_util::Full;
use portico_emulator::{Emulator, FeatureSet, NewTask, Seed, Server, Settings};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    client::{self, Answer},
    matching::{self, Names},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    #[serde(rename = "section")]
    title: String,
    server: Option<OwnServer>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct OwnServer {
    fresh: bool,
    out_of_the_box: bool,
    cookie_domain: Option<String>,
    cookie_secure: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Step {
    Given { given: Value },
    Exchange(Box<Exchange>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    name: String,
    request: Asked,
    expect: Expected,
    #[serde(default)]
    capture: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    basic: Option<[String; 2]>,
    body: Option<Value>,
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: u16,
    #[serde(default)]
    subcode: u16,
    msg: Option<String>,
    version: Option<[Option<String>; 2]>,
    data: Option<Value>,
    text: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    count: BTreeMap<String, usize>,
    token: Option<ExpectedToken>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedToken {
    lifetime_sec: Option<i64>,
    payload: Value,
}

#[tokio::test]
async fn recorded_exchanges_are_answered_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/exchanges");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();

    let mut shared = World::new(&OwnServer::default()).await;
    let (mut exchanges, mut differences) = (0, Vec::new());
    for file in files {
        let section: Section = serde_json::from_slice(&std::fs::read(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut own = match &section.server {
            Some(settings) => Some(World::new(settings).await),
            None => None,
        };
        let world = own.as_mut().unwrap_or(&mut shared);
        for step in section.steps {
            match step {
                Step::Given { given } => world.prepare(&given),
                Step::Exchange(exchange) => {
                    exchanges += 1;
                    let found = world.replay(&exchange).await;
                    differences.extend(
                        found
                            .into_iter()
                            .map(|found| format!("{} / {}: {found}", section.title, exchange.name)),
                    );
                }
            }
        }
    }
    assert!(exchanges > 200, "only {exchanges} exchanges were found");
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// A server and the names that were learnt from it.
struct World {
    server: Server,
    names: Names,
}

impl World {
    async fn new(own: &OwnServer) -> Self {
        let settings = Settings {
            feature_set: FeatureSet::Basic,
            fixed_users: !own.out_of_the_box,
            cookie_domain: own.cookie_domain.clone(),
            cookie_secure: own.cookie_secure,
            control: false,
        };
        let seed = if own.out_of_the_box {
            Seed::out_of_the_box()
        } else {
            Seed::default()
        };
        let mut names = Names::new();
        for actor in &seed.actors {
            let mut learn = |what: &str, value: &str| names.insert(format!("{}.{what}", actor.login), value.to_owned());
            learn("id", &actor.id);
            learn("name", &actor.name);
            learn("company", &actor.company);
            learn("login", &actor.login);
            if let Some(password) = &actor.password {
                learn("password", password);
            }
            if let Some(key) = &actor.key {
                learn("access_key", &key.access_key);
                learn("secret_key", &key.secret_key);
            }
        }
        Self {
            server: Server::start(Emulator::new(seed, settings)).await.unwrap(),
            names,
        }
    }

    /// Makes something that the recording had made in a way that it does not show.
    fn prepare(&mut self, given: &Value) {
        let emulator = self.server.emulator();
        let made = if let Some(secs) = given["advance_sec"].as_i64() {
            emulator.advance(secs);
            None
        } else if let Some(who) = given["token_of"].as_str() {
            emulator.token(who)
        } else if given["signed"].is_object() {
            emulator.sign(&matching::fill_value(&given["signed"], &self.names))
        } else if given["unsigned"].is_object() {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            Some(format!(
                "{}.{}.",
                part(&json!({"alg": "none", "typ": "JWT"})),
                part(&matching::fill_value(&given["unsigned"], &self.names))
            ))
        } else if let Some(token) = given["tampered"].as_str() {
            let token = matching::fill(token, &self.names);
            Some(format!("{}AAAAAA", &token[..token.len() - 6]))
        } else if given["task"].is_object() {
            let new: NewTask = serde_json::from_value(given["task"].clone()).unwrap();
            for _ in 1..given["count"].as_u64().unwrap_or(1) {
                emulator.create_task(new.clone());
            }
            Some(emulator.create_task(new))
        } else {
            panic!("nothing known is given: {given}");
        };
        if let Some(name) = given["as"].as_str() {
            self.names.insert(name.to_owned(), made.unwrap());
        }
    }

    async fn replay(&mut self, exchange: &Exchange) -> Vec<String> {
        let answer = client::send(self.server.address(), self.request(&exchange.request))
            .await
            .unwrap();
        let differences = self.compare(&exchange.expect, &answer);
        let body = answer.json();
        for (name, path) in &exchange.capture {
            let found = path.split('.').fold(&body["data"], |value, key| &value[key]);
            if let Some(found) = found.as_str() {
                self.names.insert(name.clone(), found.to_owned());
            }
        }
        differences
    }

    fn request(&self, asked: &Asked) -> Request<Full<hyper::body::Bytes>> {
        let mut request = Request::builder()
            .method(asked.method.as_str())
            .uri(matching::fill(&asked.path, &self.names))
            .header("host", "emulator");
        for (name, value) in &asked.headers {
            request = request.header(name, matching::fill(value, &self.names));
        }
        if let Some([name, secret]) = &asked.basic {
            request = request.header(
                "authorization",
                client::basic(&matching::fill(name, &self.names), &matching::fill(secret, &self.names)),
            );
        }
        let body = match (&asked.body, &asked.text) {
            (Some(body), _) => matching::fill_value(body, &self.names).to_string(),
            (None, text) => text.clone().unwrap_or_default(),
        };
        request.body(Full::from(body)).unwrap()
    }

    fn compare(&self, expect: &Expected, answer: &Answer) -> Vec<String> {
        let mut differences = Vec::new();
        if answer.status != expect.status {
            differences.push(format!(
                "status: expected {}, got {}: {:?}",
                expect.status, answer.status, answer.body
            ));
            return differences;
        }
        for (name, pattern) in &expect.headers {
            let got = answer
                .headers
                .get(name)
                .map(|value| value.to_str().unwrap())
                .unwrap_or_default();
            differences.extend(matching::text(name, pattern, got, &self.names));
        }
        if let Some(text) = &expect.text {
            differences.extend(matching::text(
                "text",
                text,
                std::str::from_utf8(&answer.body).unwrap(),
                &self.names,
            ));
        }
        let body = answer.json();
        if let Some([requested, actual]) = &expect.version {
            differences.extend(self.meta(expect, &body["meta"], [requested.as_ref(), actual.as_ref()]));
            differences.extend(only("body", &body, &["data", "meta"]));
            // A cookie comes only where the recording shows one.
            if !expect.headers.contains_key("Set-Cookie") && answer.headers.contains_key("set-cookie") {
                differences.push("set-cookie: not expected".to_owned());
            }
        }
        if let Some(data) = &expect.data {
            differences.extend(matching::value("data", data, &body["data"], &self.names));
        }
        for (list, count) in &expect.count {
            let got = body["data"][list].as_array().map_or(0, Vec::len);
            if got != *count {
                differences.push(format!("{list}: expected {count}, got {got}"));
            }
        }
        if let Some(token) = &expect.token {
            differences.extend(self.token(token, body["data"]["token"].as_str().unwrap_or_default()));
        }
        differences
    }

    fn meta(&self, expect: &Expected, meta: &Value, versions: [Option<&String>; 2]) -> Vec<String> {
        let mut differences = only(
            "meta",
            meta,
            &[
                "endpoint",
                "error_data",
                "error_stack",
                "id",
                "result_code",
                "result_msg",
                "result_subcode",
                "trx",
            ],
        );
        differences.extend(only(
            "meta.endpoint",
            &meta["endpoint"],
            &["actual_version", "name", "requested_version"],
        ));
        differences.extend(matching::value(
            "code",
            &json!([expect.status, expect.subcode]),
            &json!([meta["result_code"], meta["result_subcode"]]),
            &self.names,
        ));
        let msg = expect.msg.as_deref().unwrap_or("OK");
        differences.extend(matching::text(
            "msg",
            msg,
            meta["result_msg"].as_str().unwrap_or_default(),
            &self.names,
        ));
        for (which, expected) in ["requested_version", "actual_version"].into_iter().zip(versions) {
            let got = match &meta["endpoint"][which] {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                number => Some(number.to_string()),
            };
            if got.as_ref() != expected {
                differences.push(format!("{which}: expected {expected:?}, got {got:?}"));
            }
        }
        differences
    }

    fn token(&self, expected: &ExpectedToken, token: &str) -> Vec<String> {
        let part = |index| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
        };
        let mut payload = part(1);
        let claims = payload.as_object_mut().unwrap();
        let issued = claims.remove("iat").and_then(|value| value.as_i64()).unwrap();
        let lifetime = claims
            .remove("exp")
            .and_then(|value| value.as_i64())
            .map(|end| end - issued);
        let mut differences = matching::value("token", &expected.payload, &payload, &self.names);
        differences.extend(matching::value(
            "token header",
            &json!({"alg": "HS256", "typ": "JWT"}),
            &part(0),
            &self.names,
        ));
        if lifetime != expected.lifetime_sec {
            differences.push(format!(
                "token lifetime: expected {:?}, got {lifetime:?}",
                expected.lifetime_sec
            ));
        }
        differences
    }
}

/// Says when an object has other keys than these.
fn only(at: &str, value: &Value, keys: &[&str]) -> Vec<String> {
    let found: Vec<&str> = value
        .as_object()
        .into_iter()
        .flat_map(|map| map.keys().map(String::as_str))
        .collect();
    if found == keys {
        Vec::new()
    } else {
        vec![format!("{at}: expected the keys {keys:?}, got {found:?}")]
    }
}
