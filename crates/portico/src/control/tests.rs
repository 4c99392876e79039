//! The socket with its client, and clients that do not behave.

use std::{
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::PathBuf,
};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;

/// Answers `Health` with what it was asked, and refuses everything else.
struct Echo;

impl Answers for Echo {
    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a, Result<Reply, String>> {
        Box::pin(async move {
            match request {
                Request::Health => Ok(Reply {
                    is_good: true,
                    report: json!({"is_ready": true}),
                    text: "ready\n".into(),
                }),
                other => Err(format!("not today: {other:?}")),
            }
        })
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("new/control.sock");
    (directory, path)
}

/// Serves, and runs what blocks beside it.
async fn with<T: Send + 'static>(control: Control, client: impl FnOnce() -> T + Send + 'static) -> T {
    let stop = CancellationToken::new();
    let run = control.run(Echo, stop.clone());
    let client = async {
        let result = tokio::task::spawn_blocking(client).await.expect("the client");
        stop.cancel();
        result
    };
    tokio::join!(run, client).1
}

#[tokio::test]
async fn questions_are_answered_one_after_the_other() {
    let (_directory, path) = place();
    let control = Control::bind(&path).expect("bound");
    let asked = path.clone();
    let (health, other) = with(control, move || {
        let secret = Request::Explain {
            asked: "x".into(),
            user: None,
            cookies: Some(Secret::new("hunter2")),
        };
        (ask(&asked, &Request::Health), ask(&asked, &secret))
    })
    .await;
    assert_eq!(health.expect("an answer").report, json!({"is_ready": true}));
    let refused = other.expect_err("a refusal").to_string();
    assert!(
        refused.contains("not today") && !refused.contains("hunter2"),
        "{refused}"
    );
    assert!(!path.exists(), "the socket's file is gone");
}

#[tokio::test]
async fn only_the_owner_may_open_it() {
    let (_directory, path) = place();
    let _control = Control::bind(&path).expect("bound");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().expect("a directory")), 0o700);
}

#[tokio::test]
async fn a_second_gateway_does_not_take_the_socket_and_a_dead_ones_is_replaced() {
    let (_directory, path) = place();
    let first = Control::bind(&path).expect("bound");
    let error = Control::bind(&path).expect_err("it is taken").to_string();
    assert!(error.contains("another gateway answers there"), "{error}");
    // As after a crash: the file is there, and nobody listens.
    let other = path.with_file_name("other.sock");
    drop(std::os::unix::net::UnixListener::bind(&other).expect("bound"));
    Control::bind(&other).expect("the dead one's is replaced");
    drop(first);
}

#[tokio::test]
async fn a_client_that_does_not_behave_harms_nobody() {
    let (_directory, path) = place();
    let control = Control::bind(&path).expect("bound");
    let asked = path.clone();
    with(control, move || {
        let silent = UnixStream::connect(&asked).expect("connect");
        let said = |bytes: &[u8]| {
            let mut stream = UnixStream::connect(&asked).expect("connect");
            // The gateway may have hung up already.
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        };
        assert!(said(b"nonsense hunter2\n").contains("not understood"));
        assert!(!said(b"{\"ask\":\"explain\",\"asked\":1,\"cookies\":\"hunter2\"}\n").contains("hunter2"));
        assert!(said(b"{\"ask\":\"health\"").contains("breaks off"));
        let endless = said(&vec![b'x'; 1 << 20]);
        assert!(endless.is_empty() || endless.contains("too long"), "{endless}");
        assert_eq!(said(b"{\"ask\":\"health\"}\n{\"ask\":\"health\"}\n").lines().count(), 2);
        assert!(ask(&asked, &Request::Health).is_ok());
        drop(silent);
    })
    .await;
}

#[test]
fn without_a_gateway_the_command_says_what_to_look_at() {
    let (_directory, path) = place();
    let error = ask(&path, &Request::Health).expect_err("nobody there").to_string();
    assert!(
        error.contains("no gateway answers") && error.contains("control.socket"),
        "{error}"
    );
}
