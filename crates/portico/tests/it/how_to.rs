//! What the pages about TCP endpoints tell people to write and to type: docs/how-to/firewalls-and-load-balancers.md and
//! docs/how-to/stream-admission.md.

use std::{
    path::Path,
    process::{Command, Output},
};

use portico::config;

use crate::world::{Plan, STREAMS, World, who_answers};

const PAGES: [&str; 2] = [
    "docs/how-to/firewalls-and-load-balancers.md",
    "docs/how-to/stream-admission.md",
];

fn page(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    std::fs::read_to_string(Path::new(root).join(path)).unwrap()
}

/// The fenced blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let opening = format!("\n```{language}\n");
    let rest = page.split(opening.as_str()).skip(1);
    rest.map(|rest| rest.split("\n```").next().unwrap().to_owned())
        .collect()
}

/// What each configuration needs besides.
fn whole(streams: &str, socket: &Path) -> String {
    let has_http = streams.contains("http:");
    assert!(streams.contains("streams:"), "{streams}");
    let http = if has_http { "" } else { "http: {listen: 8080}\n" };
    format!(
        "gateway: {{url: 'https://gateway.example.com'}}\n\
         clearml: {{api_host: 'https://api.example.com', access_key: a, secret_key: b}}\n\
         control: {{socket: '{}'}}\nstate: {{path: memory}}\n{http}{streams}\n",
        socket.display()
    )
}

async fn types(command: &str, folder: &Path) -> Output {
    let mut words = command.split_whitespace();
    assert_eq!(words.next(), Some("portico"), "{command}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
    command.args(words).current_dir(folder).env_clear();
    tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap()
}

#[test]
fn each_configuration_of_the_pages_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portico.yaml");
    for name in PAGES {
        let examples = blocks(&page(name), "yaml");
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            std::fs::write(&path, whole(&example, Path::new("/nonexistent"))).unwrap();
            let loaded =
                config::load(Some(&path), []).unwrap_or_else(|mistakes| panic!("{name}: {mistakes}\n{example}"));
            let streams = loaded.config.streams.expect("TCP endpoints are served");
            assert_eq!(
                (&*streams.external, streams.range.to_string()),
                ("gateway.example.com", "30000-30099".into())
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_of_the_pages_works() {
    let world = World::with(Plan::default().streams(4, 1)).await;
    let task = world.asks_tcp("alice", "hers", world.lines[0].address);
    let port = world.public_port(&task).await;
    assert!(who_answers(port).await.is_some());
    let folder = tempfile::tempdir().unwrap();
    for name in PAGES {
        let page = page(name);
        let example = &blocks(&page, "yaml")[0];
        let yaml = whole(example, &world.socket());
        std::fs::write(folder.path().join("portico.yaml"), yaml).unwrap();
        let typed = blocks(&page, "console");
        let commands: Vec<_> = typed
            .iter()
            .flat_map(|block| block.lines())
            .filter_map(|line| line.strip_prefix("$ "))
            .collect();
        assert!(!commands.is_empty(), "{name}");
        for command in commands {
            // The pages' example is this world's endpoint.
            let command = command.replace("gateway.example.com:30000", &format!("{STREAMS}:{port}"));
            let output = types(&command, folder.path()).await;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                output.status.success(),
                "{command}: {said}{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let expected = if command.contains("check-config") {
                "TCP        gateway.example.com, ports 30000-30099".to_owned()
            } else if command.contains("explain") {
                "The way is open.".to_owned()
            } else {
                format!("{STREAMS}:{port} leads to")
            };
            assert!(said.contains(&expected), "{command}: {said}");
        }
    }
}
