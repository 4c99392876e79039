//! The ClearML server is away, or lies. What worked goes on, new log-ins are told why they cannot, and it passes by itself.

use std::time::Duration;

use portico_emulator::Faults;

use crate::world::{Plan, Visitor, World, until, within};

/// What must hold whatever the ClearML server does, with tasks that were routed before.
async fn goes_on(world: &World, fault: &str, tasks: &[String], owner: &Visitor, colleague: &Visitor) {
    for task in tasks {
        let path = format!("/service/{task}/");
        for (who, visitor) in [("the owner", owner), ("a colleague", colleague)] {
            let answer = visitor.get(&path).await;
            assert_eq!(answer.status, 200, "{fault}: {who}: {}", answer.text());
        }
        assert_eq!(world.stranger().get(&path).await.status, 401, "{fault}: a stranger");
    }
}

async fn waits_for_failure(world: &World, fault: &str) {
    until(&format!("{fault}: the source says that it fails"), async || {
        world.inside().health.get().failing.clone().map(drop)
    })
    .await;
}

/// Each question that failed is asked again in its turn; full reads come every 30 s.
async fn waits_for_recovery(world: &World, fault: &str) {
    within(Duration::from_secs(45), &format!("{fault}: recovery"), async || {
        world.inside().health.get().failing.is_none().then_some(())
    })
    .await;
}

/// Five tasks of alice's, seen by bob, and both logged in.
async fn settled() -> (World, Vec<String>, Visitor, Visitor) {
    let plan = Plan::default()
        .applications(5)
        .set("PORTICO__ACCESS__DEFAULT", "visible");
    let world = World::with(plan).await;
    let tasks: Vec<_> = (world.applications.iter())
        .map(|application| world.asks_for("alice", &application.name, application.address))
        .collect();
    for task in &tasks {
        world.published(task, "endpoint").await;
    }
    let (alice, bob) = (world.by_session("alice").await, world.by_session("bob").await);
    goes_on(&world, "before", &tasks, &alice, &bob).await;
    (world, tasks, alice, bob)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_routed_goes_on_and_new_log_ins_are_told_while_the_server_is_away() {
    let (mut world, tasks, alice, bob) = settled().await;
    let path = format!("/service/{}/ws", tasks[0]);
    let Ok(mut socket) = alice.connects(&path).await else {
        panic!()
    };
    socket.says("before").await;

    world.clearml_goes().await;
    waits_for_failure(&world, "gone").await;
    goes_on(&world, "gone", &tasks, &alice, &bob).await;
    socket.says("during").await;

    let mut browser = world.browser();
    let form = browser.go("/_gateway/login").await;
    assert_eq!(form.status(), 200, "the form is shown");
    let page = browser.fill_in(&form, "alice", "alice-pw").await;
    assert_eq!(page.status(), 503);
    assert!(
        page.text().contains("The ClearML server cannot be asked right now"),
        "{}",
        page.text()
    );
    let answer = world.by_basic("carol").get(&path).await;
    assert_eq!(
        answer.verdict(),
        (503, "clearml_away".to_owned()),
        "an unknown key cannot be judged"
    );
    assert!(!answer.header("retry-after").is_empty());

    world.clearml_returns().await;
    waits_for_recovery(&world, "gone").await;
    let task = world.asks_for("bob", "new", world.closed[0]);
    world.published(&task, "endpoint").await;
    until("log-in works again", async || {
        let mut browser = world.browser();
        let form = browser.go("/_gateway/login?return_to=/_gateway/check").await;
        (browser.fill_in(&form, "alice", "alice-pw").await.status() != 503).then_some(())
    })
    .await;
    socket.says("after").await;
}

async fn lies(fault: &str, faults: Faults) {
    let (world, tasks, alice, bob) = settled().await;
    world.emulator.set_faults(faults);
    waits_for_failure(&world, fault).await;
    goes_on(&world, fault, &tasks, &alice, &bob).await;
    world.emulator.set_faults(Faults::default());
    waits_for_recovery(&world, fault).await;
    goes_on(&world, fault, &tasks, &alice, &bob).await;
    assert_eq!(world.emulator.unknown_calls(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_server_take_nothing_away() {
    let errors = Faults {
        status: Some(500),
        ..Faults::default()
    };
    lies("500s", errors).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn html_from_the_server_takes_nothing_away() {
    let html = Faults {
        html: true,
        ..Faults::default()
    };
    lies("HTML", html).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_company_s_answers_take_nothing_away() {
    let company = Faults {
        wrong_company: true,
        ..Faults::default()
    };
    lies("a wrong company", company).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_a_gigabyte_take_nothing_away() {
    let huge = Faults {
        huge_bytes: Some(1 << 30),
        ..Faults::default()
    };
    lies("1 GB answers", huge).await;
}

/// The lists of tasks that the server answers are wrong like this.
fn lists(mut faults: Faults) -> Faults {
    faults.endpoints = vec!["tasks.get_all_ex".to_owned(), "tasks.get_all".to_owned()];
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_forgets_all_tasks_is_not_believed_at_once() {
    let (world, tasks, alice, bob) = settled().await;
    world.emulator.set_faults(lists(Faults {
        empty: true,
        ..Faults::default()
    }));
    // Two further answers would have to agree.
    until("it is doubted", async || {
        let failing = world.inside().health.get().failing.clone()?;
        world.emulator.set_faults(Faults::default());
        assert_eq!(failing.reason, "untrusted");
        assert_eq!(world.inside().table.get().len(), tasks.len() + 1);
        Some(())
    })
    .await;
    goes_on(&world, "doubted", &tasks, &alice, &bob).await;
    waits_for_recovery(&world, "doubted").await;
    goes_on(&world, "trusted", &tasks, &alice, &bob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_a_server_forgets_for_a_while_come_back_by_themselves() {
    let (world, tasks, alice, bob) = settled().await;
    for faults in [
        Faults {
            half: true,
            ..Faults::default()
        },
        Faults {
            empty: true,
            ..Faults::default()
        },
    ] {
        world.emulator.set_faults(lists(faults.clone()));
        world.polls(12).await;
        world.emulator.set_faults(Faults::default());
        within(Duration::from_secs(40), "all are back", async || {
            (world.inside().table.get().len() == tasks.len() + 1).then_some(())
        })
        .await;
        goes_on(&world, "afterwards", &tasks, &alice, &bob).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_slows_no_exchange_down() {
    let (world, tasks, alice, bob) = settled().await;
    world.emulator.set_faults(Faults {
        slow_millis: Some(40_000),
        ..Faults::default()
    });
    world.pass(Duration::from_secs(40));
    for _ in 0..3 {
        let started = tokio::time::Instant::now();
        goes_on(&world, "slow", &tasks, &alice, &bob).await;
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_starts_during_an_outage_uses_what_it_knew() {
    let mut world = World::with(Plan::default().remembers()).await;
    let task = world.asks("alice", "a notebook");
    world.published(&task, "endpoint").await;
    let alice = world.by_session("alice").await;
    let path = format!("/service/{task}/");
    assert_eq!(alice.get(&path).await.status, 200);

    world.clearml_goes().await;
    world.restart_gateway().await;
    let answer = alice.get(&path).await;
    assert_eq!(
        answer.text(),
        "application 0 says hello",
        "session and route outlived the restart"
    );
    assert_eq!(world.stranger().get(&path).await.status, 401);
    let Ok(mut socket) = alice.connects(&format!("{path}ws")).await else {
        panic!()
    };
    socket.says("hello").await;

    world.clearml_returns().await;
    waits_for_recovery(&world, "restart").await;
    assert_eq!(alice.get(&path).await.status, 200);
    world.emulator.set_status(&task, "stopped");
    until("the end is seen", async || {
        (alice.tries(&path).await?.status == 410).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_staleness_lets_nobody_but_owners_in_on_a_last_yes() {
    let plan = Plan::default()
        .set("PORTICO__ACCESS__DEFAULT", "visible")
        .set("PORTICO__AUTHORIZATION__STALE", "0s");
    let mut world = World::with(plan).await;
    let task = world.routed("alice", "hers").await;
    let path = format!("/service/{task}/");
    let (alice, bob) = (world.by_session("alice").await, world.by_session("bob").await);
    assert_eq!(bob.get(&path).await.status, 200);
    world.clearml_goes().await;
    waits_for_failure(&world, "gone").await;
    world.pass(Duration::from_secs(61));
    until("the last yes is over", async || {
        (bob.get(&path).await.verdict() == (503, "clearml_away".to_owned())).then_some(())
    })
    .await;
    assert_eq!(
        alice.get(&path).await.status,
        200,
        "the owner is known from session and observation"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_own_key_is_said_everywhere() {
    let plan = Plan::default().set("CLEARML_API_SECRET_KEY", "not-the-secret");
    let mut world = World::without_gateway(plan).await;
    world.start_gateway().await.unwrap();
    until("the key is known to be refused", async || {
        matches!(world.inside().facts.get().key, portico_clearml::KeyState::Refused(_)).then_some(())
    })
    .await;
    let operations = world.operator();
    let metrics = until("the metrics say so", async || {
        let metrics = operations.get("/metrics").await.text();
        metrics.contains("portico_own_key_accepted 0").then_some(metrics)
    })
    .await;
    assert!(metrics.contains("portico_ready 0"), "{metrics}");
    let ready = operations.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("ClearML"), "{}", ready.text());
    assert_eq!(operations.get("/healthz").await.status, 200);
}
