//! Who gets in, by which credential, in which protocol.

use http::Method;

use crate::world::{Answer, Plan, Visitor, World};

/// A visitor's verdicts: GET, POST, WebSocket.
async fn verdicts(visitor: &Visitor, path: &str) -> [u16; 3] {
    let at = format!("{path}ws");
    let socket = async {
        match visitor.connects(&at).await {
            Ok(mut socket) => {
                socket.says("hello").await;
                200
            }
            Err(status) => status,
        }
    };
    let (get, post, socket) = tokio::join!(visitor.get(path), visitor.post(path, "something"), socket);
    [get.status, post.status, socket]
}

async fn everybody(world: &World, user: &str) -> Vec<(&'static str, Visitor)> {
    let mut all = vec![
        ("session", world.by_session(user).await),
        ("ClearML cookie", world.by_clearml_cookie(user)),
        ("bearer", world.by_bearer(user)),
    ];
    if world.emulator.actor(user).unwrap().key.is_some() {
        all.push(("basic", world.by_basic(user)));
    }
    all
}

async fn table(rule: &str, expected: [(&str, u16); 4], stranger: u16) {
    let plan = match rule {
        "public" => Plan::default().set("PORTICO__ACCESS__QUEUES", "{open: public}"),
        rule => Plan::default().set("PORTICO__ACCESS__DEFAULT", rule),
    };
    let world = World::with(plan).await;
    let mut task = portico_emulator::NewTask::asking("alice", "hers", world.applications[0].address);
    task.queue = Some("open".to_owned());
    let task = world.emulator.create_task(task);
    world.sees(&task).await;
    let path = format!("/service/{task}/");
    let mut all = Vec::new();
    for (user, status) in expected {
        let visitors = everybody(&world, user).await;
        all.extend(visitors.into_iter().map(|(how, visitor)| (user, how, visitor, status)));
    }
    // All at once: what is hidden is answered as late as what does not exist.
    let asked = all.iter().map(async |(user, how, visitor, status)| {
        let found = verdicts(visitor, &path).await;
        assert_eq!(found, [*status; 3], "{rule}: {user} by {how}");
    });
    futures_util::future::join_all(asked).await;
    assert_eq!(
        verdicts(&world.stranger(), &path).await,
        [stranger; 3],
        "{rule}: a stranger"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owner_lets_the_owner_in_and_tells_colleagues_the_rule() {
    table(
        "owner",
        [("alice", 200), ("bob", 403), ("carol", 404), ("guest", 404)],
        401,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visible_lets_colleagues_in_and_nobody_else() {
    table(
        "visible",
        [("alice", 200), ("bob", 200), ("carol", 404), ("guest", 404)],
        401,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn public_lets_everybody_in() {
    table(
        "public",
        [("alice", 200), ("bob", 200), ("carol", 200), ("guest", 200)],
        200,
    )
    .await;
}

/// What of an answer must not tell whether a task exists: all but ids and dates.
fn appearance(answer: &Answer, task: &str) -> (u16, Vec<String>, String) {
    let id = answer.header("x-request-id").to_owned();
    let clean = |text: &str| {
        let text = text.replace(task, "<task>");
        if id.is_empty() { text } else { text.replace(&id, "<id>") }
    };
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| format!("{name}: {}", clean(value.to_str().unwrap())))
        .collect();
    headers.sort();
    (answer.status, headers, clean(&answer.text()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_strangers_nor_other_companies_can_tell_whether_a_task_exists() {
    let world = World::start().await;
    let mut tasks = vec![("live", world.routed("alice", "hers").await)];
    let ended = world.routed("alice", "over").await;
    world.emulator.set_status(&ended, "stopped");
    let refused = world.asks_for("alice", "loopback", "127.0.0.8:80".parse().unwrap());
    world.sees(&refused).await;
    tasks.extend([("ended", ended), ("refused", refused)]);
    let missing = "0123456789abcdef0123456789abcdef";

    let visitors = [
        ("a stranger", world.stranger()),
        (
            "a stranger with a bad cookie",
            world.stranger().by_cookie("clearml_token_basic=nonsense"),
        ),
        ("carol by key", world.by_basic("carol")),
        ("carol by session", world.by_session("carol").await),
        ("the guest", world.by_clearml_cookie("guest")),
    ];
    let mut cases = Vec::new();
    for (who, visitor) in &visitors {
        for form in [
            "/service/{}/",
            "/service/{}",
            "/service/{}__api/x",
            "/service/{}/ws?a=b",
        ] {
            for (method, accept) in [(Method::GET, "*/*"), (Method::GET, "text/html"), (Method::POST, "*/*")] {
                cases.push((who, visitor, form, method, accept));
            }
        }
    }
    // All at once: what does not exist is answered only when it has not appeared for a while.
    let cases = cases.into_iter().map(async |(who, visitor, form, method, accept)| {
        let ask = async |task: &str| {
            let visitor = visitor.clone().with("accept", accept);
            let answer = visitor
                .ask(method.clone(), &form.replace("{}", task), "")
                .await
                .unwrap();
            appearance(&answer, task)
        };
        let some = futures_util::future::join_all(tasks.iter().map(|(_, task)| ask(task)));
        let (none, some) = tokio::join!(ask(missing), some);
        assert!(none.0 >= 300, "{who}: {none:?}");
        for (some, (what, _)) in some.into_iter().zip(&tasks) {
            assert_eq!(some, none, "{who}, {method} {form} as {accept}: {what}");
        }
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_header_is_refused_and_a_wrong_cookie_counts_as_absent() {
    let world = World::start().await;
    let path = format!("/service/{}/", world.routed("alice", "hers").await);
    let alice = world.by_session("alice").await;
    let wrong = alice.clone().with("x-gateway-authorization", "Bearer ptk_no_such");
    assert_eq!(
        wrong.get(&path).await.verdict(),
        (401, "credential_rejected".to_owned())
    );

    let expired = world.emulator.token_for("alice", -10).unwrap();
    let session = alice
        .headers
        .iter()
        .find(|(name, _)| name == "cookie")
        .unwrap()
        .1
        .clone();
    let both = world
        .stranger()
        .by_cookie(&format!("clearml_token_basic={expired}; {session}"));
    assert_eq!(both.get(&path).await.status, 200);
    let only = world.stranger().by_cookie(&format!("clearml_token_basic={expired}"));
    assert_eq!(only.get(&path).await.verdict(), (401, "log_in_required".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_anonymous_browser_is_led_through_the_log_in_to_where_it_wanted_to_go() {
    let world = World::start().await;
    let task = world.routed("alice", "hers").await;
    let mut browser = world.browser();
    let form = browser.go(&format!("/service/{task}/tree?a=1&b=2")).await;
    assert!(form.url.starts_with("http://console.test/login"), "{}", form.url);
    let page = browser.fill_in(&form, "alice", "alice-pw").await;
    assert_eq!(page.url, format!("http://gateway.test/service/{task}/tree?a=1&b=2"));
    assert_eq!(page.text(), "application 0 says hello");
    let seen = world.applications[0].heads().join("\n");
    for ours in ["cookie\"", "authorization", "portico-session"] {
        assert!(!seen.contains(ours), "nothing of ours reaches the application: {seen}");
    }

    let mut another = world.browser();
    let form = another.go("/_gateway/login").await;
    let failed = another.fill_in(&form, "alice", "wrong").await;
    assert_eq!(failed.status(), 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_endpoint_is_announced_by_a_page_first() {
    let plan = Plan::default()
        .set("PORTICO__ACCESS__PATH_WARNING", "yes")
        .set("PORTICO__ACCESS__DEFAULT", "visible");
    let world = World::with(plan).await;
    let task = world.routed("alice", "hers").await;
    let path = format!("/service/{task}/");
    let mut bob = world.browser();
    bob.log_in("bob").await;
    let warning = bob.go(&path).await;
    assert!(warning.url.contains("/_gateway/continue"), "{}", warning.url);
    assert_eq!(warning.status(), 200);
    let to = portico_core::site::percent(&path);
    let page = bob.press("/_gateway/continue", &format!("to={to}")).await;
    assert_eq!(page.text(), "application 0 says hello");
    assert_eq!(bob.get(&path).await.status(), 200, "once is enough");

    let mut alice = world.browser();
    alice.log_in("alice").await;
    assert_eq!(alice.get(&path).await.status(), 200, "her own needs no warning");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_one_url_only_log_in_and_log_out_work_beside_the_applications() {
    let world = World::with(Plan::default().one_url()).await;
    let task = world.routed("alice", "hers").await;
    let path = format!("/service/{task}/");
    let mut browser = world.browser();
    let form = browser.go(&path).await;
    assert!(
        form.url.starts_with("http://gateway.test/_gateway/login"),
        "{}",
        form.url
    );
    assert_eq!(form.answer.header("cross-origin-opener-policy"), "same-origin");
    assert_eq!(form.answer.header("cache-control"), "no-store");
    let page = browser.fill_in(&form, "alice", "alice-pw").await;
    assert_eq!(page.text(), "application 0 says hello");

    let session = browser.visitor();
    assert_eq!(session.get(&path).await.status, 200);
    browser.press("/_gateway/logout", "").await;
    assert_eq!(session.get(&path).await.verdict(), (401, "log_in_required".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_an_open_source_server_an_endpoint_is_its_owner_s_unless_the_operator_says_otherwise() {
    for (plan, bob) in [
        (Plan::basic(), 403),
        (Plan::basic().set("PORTICO__ACCESS__DEFAULT", "visible"), 200),
    ] {
        let world = World::with(plan).await;
        let path = format!("/service/{}/", world.routed("alice", "hers").await);
        assert_eq!(world.by_basic("alice").get(&path).await.status, 200);
        assert_eq!(world.by_basic("bob").get(&path).await.status, bob);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_may_tighten_its_rule_and_never_widen_it() {
    let world = World::with(
        Plan::default()
            .applications(2)
            .set("PORTICO__ACCESS__DEFAULT", "visible"),
    )
    .await;
    let [tight, wide] = ["owner", "public"].map(|rule| {
        let address = world.applications[usize::from(rule == "public")].address;
        let mut task = portico_emulator::NewTask::asking("alice", rule, address);
        let property = format!("http:{},access={rule}", address.port());
        task.properties = [("portico".to_owned(), property)].into();
        world.emulator.create_task(task)
    });
    world.sees(&tight).await;
    world.sees(&wide).await;
    let bob = world.by_basic("bob");
    let [tight, wide] = [tight, wide].map(|task| format!("/service/{task}/"));
    assert_eq!(bob.get(&tight).await.verdict(), (403, "not_allowed".to_owned()));
    assert_eq!(world.by_basic("alice").get(&tight).await.status, 200);
    assert_ne!(
        world.stranger().get(&wide).await.status,
        200,
        "a task cannot open itself to everybody"
    );
}
