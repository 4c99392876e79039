//! The contract of the audit events against what is written.

use portico_core::{
    audit::AuditLog,
    clock::Timestamp,
    endpoint::TaskId,
    principal::{Method, SessionId, UserId},
};

use super::*;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/audit.md");

fn full() -> AuditEvent {
    let mut event = AuditEvent::new(Timestamp::from_millis(1_795_374_000_123), AuditKind::AccessGranted);
    event.actor = Some(UserId::new("alice"));
    event.method = Some(Method::Session);
    event.session = Some(SessionId::new("5f2c"));
    event.address = Some([192, 0, 2, 7].into());
    event.task = TaskId::parse("0123456789abcdef0123456789abcdef");
    event.owner = Some(UserId::new("bob"));
    event.endpoint = Some("/service/0123456789abcdef0123456789abcdef".into());
    event.rule = Some("visible".into());
    event.rule_source = Some("configuration access.default".into());
    event.request_id = Some("00000000000000000000000000000abc".into());
    event.detail = Some("\"}\n{\"log\":\"audit\"".into());
    event
}

fn line(event: &AuditEvent) -> String {
    let mut text = Vec::new();
    write(event, &mut text);
    String::from_utf8(text).expect("text")
}

fn page() -> String {
    std::fs::read_to_string(PAGE).expect("the page")
}

#[test]
fn an_event_is_one_line_whatever_is_in_it() {
    let text = line(&full());
    assert_eq!(text.lines().count(), 1, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn each_field_is_documented_and_each_documented_field_is_there() {
    let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line(&full())).expect("JSON");
    let page = page();
    let table = page.split("## Events").next().expect("the fields come first");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut documented: Vec<&str> = rows
        .filter_map(|row| row.split_once('`'))
        .map(|(field, _)| field)
        .collect();
    let mut written: Vec<&str> = line.keys().map(String::as_str).collect();
    documented.sort_unstable();
    written.sort_unstable();
    assert_eq!(written, documented);
}

#[test]
fn each_event_is_documented() {
    use AuditKind as K;
    let page = page();
    for kind in [
        K::LogIn,
        K::LogInFailed,
        K::LogOut,
        K::AccessGranted,
        K::AccessRefused,
        K::SessionRevoked,
        K::RouteChanged,
        K::StreamOpened,
        K::ExchangeCut,
    ] {
        let word = serde_json::to_string(&kind).expect("a word").replace('"', "`");
        assert!(page.contains(&format!("| {word} |")), "{word}");
    }
    assert_eq!(
        page.split("## Events").nth(1).expect("events").matches("\n| `").count(),
        9
    );
}

#[tokio::test]
async fn what_was_recorded_before_the_end_is_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("audit.log");
    let writer = AuditWriter::start(Some(&Destination::File(path.clone()))).expect("started");
    let (log, events) = AuditLog::bounded(100);
    (0..50).for_each(|_| log.record(full()));
    let end = CancellationToken::new();
    end.cancel();
    writer.run(events, end).await;
    assert_eq!(std::fs::read_to_string(&path).expect("the log").lines().count(), 50);
}
