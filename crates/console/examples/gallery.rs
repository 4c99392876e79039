//! Writes Portico's pages into a directory, to look at them: `cargo run -p portico-console --example gallery -- <directory>`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "an example may stop at the first surprise"
)]

use std::{env, fs, net::Ipv4Addr, path::PathBuf};

use portico_core::{
    access::Who,
    clock::Timestamp,
    observe::TaskStatus,
    page::{self, Context},
    refusal::Refusal,
};

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/browser.rs"]
mod browser;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/world.rs"]
mod world;

use browser::{Browser, Page};
use world::{CONSOLE, ROUTER, World, clearml_token, request, task, task_id};

struct Gallery(PathBuf);

impl Gallery {
    fn hang(&self, name: &str, page: &Page) {
        fs::write(self.0.join(format!("{name}.html")), &page.body).unwrap();
    }

    fn refusals(&self) {
        let at = Timestamp::from_secs(1_790_000_000);
        for refusal in [
            Refusal::Starting,
            Refusal::NotListening { port: 8888 },
            Refusal::NotFound,
            Refusal::UnknownHost,
            Refusal::Ended {
                status: TaskStatus::Stopped,
                at,
            },
        ] {
            let context = Context {
                request_id: "5f2c9a40-1b7e".into(),
                home: Some(format!("{CONSOLE}/")),
                right_url: (refusal == Refusal::UnknownHost).then(|| format!("{ROUTER}/")),
            };
            let file = self.0.join(format!("refusal-{}.html", refusal.code()));
            fs::write(file, page::html(&refusal, &context)).unwrap();
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let gallery = Gallery(PathBuf::from(env::args_os().nth(1).expect("a directory")));
    fs::create_dir_all(&gallery.0).unwrap();
    gallery.refusals();

    let world = World::new();
    let mut stranger = Browser::default();
    let form = stranger.get(&world, &format!("{CONSOLE}/login")).await;
    gallery.hang("log-in", &form);
    gallery.hang("log-in-wrong", &stranger.log_in(&world, &form, "alice", "wrong").await);
    let shared = Browser::default()
        .get(&World::one_url(), &format!("{ROUTER}/_gateway/login"))
        .await;
    gallery.hang("log-in-shared", &shared);

    let mut alice = Browser::default();
    for host in ["console.example.com", "gateway.example.com"] {
        alice.set_cookie(host, "clearml_token_basic", clearml_token("alice").reveal());
    }
    gallery.hang("list-empty", &alice.get(&world, CONSOLE).await);
    let mut playground = task(2, "Llama playground", "alice");
    playground.requests = vec![
        request(Some("ui"), Ipv4Addr::new(10, 0, 0, 2)),
        request(Some("api"), Ipv4Addr::LOCALHOST),
    ];
    let mut ended = task(3, "Yesterday's experiment", "alice");
    ended.status = TaskStatus::Stopped;
    let hostile = "TensorBoard \u{202e}gnp.exe <script>alert(1)</script> and a name that goes on and on and on and on and on and on";
    world.has(
        Who::Visible,
        [
            task(1, "Notebook for the quarterly forecast", "alice"),
            playground,
            ended,
            task(4, hostile, "bob"),
            task(5, "Board", "bob"),
        ],
    );
    world.notes.publish(vec![
        "The ClearML server has no real authentication: whoever reaches it can be anybody.".to_owned(),
    ]);
    gallery.hang("list", &alice.get(&world, CONSOLE).await);
    gallery.hang(
        "list-nothing-found",
        &alice.get(&world, &format!("{CONSOLE}/?q=nothing")).await,
    );
    let warning = format!("{ROUTER}/_gateway/continue?to=/service/{}/", task_id(5));
    gallery.hang("warning", &alice.get(&world, &warning).await);
    gallery.hang(
        "log-out-clearml",
        &alice.get(&world, &format!("{CONSOLE}/logout")).await,
    );

    let mut bob = Browser::default();
    let form = bob.get(&world, &format!("{CONSOLE}/login")).await;
    let entered = bob.log_in(&world, &form, "bob", "bob-password").await;
    bob.follow(&world, entered).await;
    gallery.hang("log-out", &bob.get(&world, &format!("{CONSOLE}/logout")).await);
    let ended = bob.post(&world, &format!("{CONSOLE}/logout"), &[]).await;
    gallery.hang("logged-out", &bob.follow(&world, ended).await);
}
