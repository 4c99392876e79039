//! The API server of the tests, and objects in it. Every test has a namespace of its own.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::client::Body;
use portico_core::{
    clock::{Clock, Timestamp},
    endpoint::TaskId,
    live::Live,
    secret::Secret,
};
use portico_kubernetes::{Kube, Settings, connect};
use serde_json::{Value, json};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A secret that is put wherever a pod may have one.
pub(crate) const MARKER: &str = "hush-4711-marker";

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A namespace, and both ways to ask for it: the crate's, and a bare client.
pub(crate) struct World {
    pub(crate) kube: Kube,
    pub(crate) namespace: String,
    bare: kube::Client,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment where the server is"
)]
pub(crate) fn settings() -> Settings {
    let told = |name| {
        std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask cluster test --only-api`"))
    };
    Settings {
        server: told("PORTICO_TEST_API_SERVER"),
        ca_file: Some(PathBuf::from(told("PORTICO_TEST_API_CA"))),
        token_file: None,
        token: Some(Secret::new(told("PORTICO_TEST_API_TOKEN"))),
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        logged();
        let settings = settings();
        let mut config = kube::Config::new(settings.server.parse().unwrap());
        config.root_cert_file.clone_from(&settings.ca_file);
        config.auth_info.token = settings.token.as_ref().map(|token| token.reveal().to_owned().into());
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let world = Self {
            kube: connect(&settings).unwrap(),
            namespace: format!("test-{}-{number}", std::process::id()),
            bare: kube::Client::try_from(config).unwrap(),
        };
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}});
        world.ask(Method::POST, "/api/v1/namespaces", &namespace).await;
        world
    }

    /// A client as somebody who may do what these rules say, in this namespace.
    pub(crate) async fn account(&self, rules: Value) -> Kube {
        let namespace = &self.namespace;
        let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
        let account = json!({"metadata": {"name": "gateway"}});
        self.ask(Method::POST, &self.core("serviceaccounts"), &account).await;
        let role = json!({"metadata": {"name": "gateway"}, "rules": rules});
        self.ask(Method::POST, &format!("{rbac}/roles"), &role).await;
        let binding = json!({
            "metadata": {"name": "gateway"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "gateway"},
            "subjects": [{"kind": "ServiceAccount", "name": "gateway", "namespace": namespace}],
        });
        self.ask(Method::POST, &format!("{rbac}/rolebindings"), &binding).await;
        let path = self.core("serviceaccounts/gateway/token");
        let token = self
            .ask(Method::POST, &path, &json!({"spec": {"expirationSeconds": 3600}}))
            .await;
        let token = token["status"]["token"].as_str().unwrap();
        let settings = Settings {
            token: Some(Secret::new(token)),
            ..settings()
        };
        connect(&settings).unwrap()
    }

    pub(crate) fn core(&self, what: &str) -> String {
        format!("/api/v1/namespaces/{}/{what}", self.namespace)
    }

    /// Asks, and panics if the server says no.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let is_merge = method == Method::PATCH;
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(
                "content-type",
                if is_merge {
                    "application/merge-patch+json"
                } else {
                    "application/json"
                },
            )
            .body(Body::from(body.to_string().into_bytes()))
            .unwrap();
        let response = self.bare.send(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        assert!(status.is_success(), "{method} {path}: {answer}");
        answer
    }

    /// A pod as the agent makes it, with secrets in it, that runs at this address.
    pub(crate) async fn run_pod(&self, name: &str, address: &str) {
        self.make_pod(name, &json!({})).await;
        self.give_address(name, address).await;
    }

    pub(crate) async fn make_pod(&self, name: &str, annotations: &Value) {
        let mut annotations = annotations.clone();
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = MARKER.into();
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": name, "annotations": annotations,
                "labels": {"CLEARML": "agent-2214c01d", "clearml-agent-queue": "929b", "clearml-agent-queue-name": "gpu-queue"},
            },
            "spec": {
                "restartPolicy": "Never", "nodeName": "node",
                "containers": [{"name": "c", "image": "i", "args": [MARKER], "env": [{"name": "KEY", "value": MARKER}]}],
            },
        });
        self.ask(Method::POST, &self.core("pods"), &pod).await;
    }

    pub(crate) async fn give_address(&self, name: &str, address: &str) {
        let status = json!({"status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }});
        self.ask(Method::PATCH, &self.core(&format!("pods/{name}/status")), &status)
            .await;
    }

    /// Ends a pod at once, as if its node had already reported it gone.
    pub(crate) async fn remove_pod(&self, name: &str) {
        let at_once = json!({"gracePeriodSeconds": 0});
        self.ask(Method::DELETE, &self.core(&format!("pods/{name}")), &at_once)
            .await;
    }
}

/// Waits for a value that a follower shows.
pub(crate) async fn until<T>(live: &mut Live<T>, what: &str, is_so: impl Fn(&T) -> bool) -> Arc<T> {
    let wait = async {
        loop {
            let value = live.get();
            if is_so(&value) {
                return value;
            }
            live.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come"))
}

pub(crate) fn task(number: u32) -> TaskId {
    TaskId::parse(&format!("{number:032x}")).unwrap()
}

/// The machine's clock: what the server tells is told by it, too.
pub(crate) struct MachineClock;

impl Clock for MachineClock {
    #[expect(clippy::disallowed_methods, reason = "the server's clock is the machine's")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    }
}

/// Everything that the tests have logged so far, at the finest level. One for the process: a thread's own would miss what another
/// test's thread reached first.
pub(crate) fn logged() -> &'static Logged {
    static LOGGED: OnceLock<Logged> = OnceLock::new();
    LOGGED.get_or_init(|| {
        let logged = Logged::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(logged.clone());
        tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
        logged
    })
}

/// A log that is kept.
#[derive(Clone, Default)]
pub(crate) struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Logged {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
