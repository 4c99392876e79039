//! Which accounts of tasks' pods may read the gateway's keys, as the API server says.

use std::sync::Arc;

use http::Method;
use portico_core::{
    live::{Live, Nudge, live},
    observe::SourceHealth,
    pods::Pods,
};
use portico_kubernetes::{Accounts, Kube, PodSettings, PodSource, ReviewSettings, StateReaders, review};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::world::{MachineClock, PATIENCE, World, logged, task, until};

const KEYS: &str = "main-portico-session-keys";

/// What the chart's Role grants for this, and nothing else.
fn rights() -> Value {
    json!([{"apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"], "verbs": ["create"]}])
}

/// The gateway's account with these rights, once the API server knows of them.
async fn gateway(world: &World) -> Kube {
    let kube = world.account(rights()).await;
    let asks = json!({"group": "authorization.k8s.io", "resource": "localsubjectaccessreviews", "verb": "create"});
    may(world, &world.namespace, "gateway", &asks).await;
    kube
}

/// Lets an account of the tasks read Secrets there, all or these.
async fn let_read(there: &World, tasks: &World, account: &str, names: &[&str]) {
    let subject = json!({"kind": "ServiceAccount", "name": account, "namespace": tasks.namespace});
    bind(there, account, names, "get", &subject).await;
    let name = names.first().copied().unwrap_or(KEYS);
    let reads = json!({"resource": "secrets", "verb": "get", "name": name});
    may(there, &tasks.namespace, account, &reads).await;
}

async fn bind(there: &World, name: &str, names: &[&str], verb: &str, subject: &Value) {
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}", there.namespace);
    let rule = json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": names, "verbs": [verb]});
    let role = json!({"metadata": {"name": name}, "rules": [rule]});
    there.ask(Method::POST, &format!("{rbac}/roles"), &role).await;
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [subject],
    });
    there.ask(Method::POST, &format!("{rbac}/rolebindings"), &binding).await;
}

/// Waits until an account has a right: the API server hears of a binding a little later.
async fn may(there: &World, namespace: &str, account: &str, what: &Value) {
    let mut attributes = what.clone();
    attributes["namespace"] = there.namespace.as_str().into();
    let user = format!("system:serviceaccount:{namespace}:{account}");
    let groups = [format!("system:serviceaccounts:{namespace}")];
    let question = json!({"spec": {"user": user, "groups": groups, "resourceAttributes": attributes}});
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let asked = async { while there.ask(Method::POST, path, &question).await["status"]["allowed"] != true {} };
    tokio::time::timeout(PATIENCE, asked).await.expect("the right is there");
}

/// A pod of a task that runs as this account.
async fn run_as(tasks: &World, number: u32, account: Option<&str>) {
    let name = format!("clearml-id-{}", task(number));
    let mut pod = json!({
        "metadata": {"name": name, "labels": {"CLEARML": "agent-2214c01d"}},
        "spec": {"restartPolicy": "Never", "nodeName": "node", "containers": [{"name": "c", "image": "i"}]},
    });
    if let Some(account) = account {
        pod["spec"]["serviceAccountName"] = account.into();
    }
    tasks.ask(Method::POST, &tasks.core("pods"), &pod).await;
    tasks.give_address(&name, &format!("10.1.0.{number}")).await;
}

/// A gateway that watches the tasks' pods and asks with `kube`.
fn watch(kube: Kube, there: &World, tasks: &World, running: &mut JoinSet<()>) -> Live<StateReaders> {
    let settings = ReviewSettings {
        workloads: tasks.namespace.clone(),
        namespace: there.namespace.clone(),
        secret: KEYS.to_owned(),
    };
    let (publish_accounts, accounts) = live(Accounts::new());
    let (publish, readers) = live(StateReaders::default());
    let clock = Arc::new(MachineClock);
    let source = PodSource::new(tasks.kube.clone(), PodSettings::of(&tasks.namespace), clock, []);
    let (pods, _) = live(Pods::default());
    let (health, _) = live(SourceHealth::default());
    let source = source.telling(publish_accounts);
    running.spawn(source.run(pods, health, Nudge::default(), CancellationToken::new()));
    running.spawn(review(kube, settings, accounts, publish, CancellationToken::new()));
    readers
}

/// Whether a line of the log has the namespace, and not one whose name only begins so.
fn is_about(line: &str, world: &World) -> bool {
    line.contains(&format!("\"{}\"", world.namespace))
}

fn names(readers: &StateReaders) -> Option<Vec<&str>> {
    let accounts = readers.accounts.as_ref()?;
    Some(accounts.iter().map(|account| &**account).collect())
}

#[tokio::test]
async fn an_account_that_may_read_the_keys_is_told_and_no_other() {
    let (there, tasks) = (World::new().await, World::new().await);
    let kube = gateway(&there).await;
    let mut running = JoinSet::new();
    let mut readers = watch(kube, &there, &tasks, &mut running);
    // It reads another Secret, and the keys of nobody.
    let_read(&there, &tasks, "reads-another", &["another"]).await;
    // What ClearML's agent chart gives, apart from the gateway.
    let_read(&tasks, &tasks, "default", &[]).await;
    run_as(&tasks, 1, None).await;
    run_as(&tasks, 2, Some("reads-another")).await;
    let told = until(&mut readers, "both answers", |readers| readers.asked == 2).await;
    assert_eq!(names(&told), Some(vec![]));

    // By its name.
    let account = format!("reads-keys-{}", there.namespace);
    let_read(&there, &tasks, &account, &[KEYS]).await;
    run_as(&tasks, 3, Some(&account)).await;
    let told = until(&mut readers, "the third answer", |readers| readers.asked == 3).await;
    assert_eq!(names(&told), Some(vec![&*account]));
    let log = logged().text();
    let warned = |account: &str| {
        let warnings = log.lines().filter(|line| line.contains("act as any visitor"));
        warnings
            .filter(|line| line.contains(account) && is_about(line, &there))
            .count()
    };
    assert_eq!((warned(&account), warned("reads-another")), (1, 0));
}

#[tokio::test]
async fn beside_the_tasks_the_agents_account_reads_the_keys() {
    let world = World::new().await;
    let kube = gateway(&world).await;
    let_read(&world, &world, "default", &[]).await;
    run_as(&world, 1, None).await;
    let mut running = JoinSet::new();
    let mut readers = watch(kube, &world, &world, &mut running);
    let told = until(&mut readers, "the answer", |readers| readers.asked == 1).await;
    assert_eq!(names(&told), Some(vec!["default"]));
}

/// A right of all accounts of the tasks' namespace.
async fn told_of(verb: &str) {
    let (there, tasks) = (World::new().await, World::new().await);
    let kube = gateway(&there).await;
    let group = format!("system:serviceaccounts:{}", tasks.namespace);
    let all = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group});
    bind(&there, "all", &[], verb, &all).await;
    let reads = json!({"resource": "secrets", "verb": verb, "name": KEYS});
    may(&there, &tasks.namespace, "any", &reads).await;
    run_as(&tasks, 1, Some("any")).await;
    let mut running = JoinSet::new();
    let mut readers = watch(kube, &there, &tasks, &mut running);
    let told = until(&mut readers, "the answer", |readers| readers.asked == 1).await;
    assert_eq!(names(&told), Some(vec!["any"]), "{verb}");
}

#[tokio::test]
async fn a_right_of_all_accounts_of_a_namespace_counts() {
    told_of("get").await;
}

#[tokio::test]
async fn whoever_may_list_or_watch_the_keys_reads_them() {
    told_of("list").await;
    told_of("watch").await;
}

#[tokio::test]
async fn without_the_right_to_ask_it_is_unknown() {
    let world = World::new().await;
    let kube = world.account(json!([])).await;
    let_read(&world, &world, "default", &[]).await;
    run_as(&world, 1, None).await;
    let mut running = JoinSet::new();
    let mut readers = watch(kube, &world, &world, &mut running);
    let told = until(&mut readers, "the refusal", |readers| readers.may_not_ask).await;
    assert_eq!((names(&told), told.asked), (None, 0));
    let log = logged().text();
    let said = log
        .lines()
        .filter(|line| line.contains("may not create localsubjectaccessreviews") && is_about(line, &world));
    assert_eq!(said.count(), 1);
    assert!(
        !log.lines()
            .any(|line| line.contains("act as any visitor") && is_about(line, &world))
    );
}
