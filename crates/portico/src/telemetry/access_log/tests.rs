//! The contract of the access log against what is written, and that no record is lost without being counted.

use std::sync::Arc;

use http::{Method, StatusCode};
use portico_core::{
    clock::Timestamp,
    endpoint::{EndpointId, TaskId},
    principal::UserId,
};
use portico_proxy::record::{Kind, RecordedEndpoint, RequestId};

use super::*;
use crate::telemetry::metrics::{Metrics, Readings};

fn full() -> ExchangeRecord {
    ExchangeRecord {
        time: Timestamp::from_millis(1_795_374_000_123),
        request_id: RequestId::new(0xabc),
        method: Some(Method::POST),
        path: "/service/0123456789abcdef0123456789abcdef__ui/api\\n".into(),
        kind: Kind::Http,
        endpoint: Some(RecordedEndpoint {
            id: EndpointId(7),
            task: TaskId::parse("0123456789abcdef0123456789abcdef").expect("an id"),
            prefix: Arc::from("/service/0123456789abcdef0123456789abcdef__ui"),
        }),
        principal: Some(UserId::new("alice")),
        status: Some(StatusCode::OK),
        refusal: None,
        cut: None,
        is_complete: true,
        received: 12,
        sent: 3456,
        total: Duration::from_micros(12_345),
        first_byte: Some(Duration::from_micros(1234)),
        connect: None,
        client: [192, 0, 2, 7].into(),
        thread: 1,
    }
}

fn refused() -> ExchangeRecord {
    ExchangeRecord {
        kind: Kind::WebSocket,
        endpoint: None,
        principal: None,
        status: None,
        refusal: Some("log_in_required"),
        cut: Some("signed_out"),
        is_complete: false,
        first_byte: None,
        connect: Some(Duration::from_millis(2)),
        ..full()
    }
}

fn line(record: &ExchangeRecord) -> String {
    let mut text = Vec::new();
    write(record, &mut text);
    String::from_utf8(text).expect("text")
}

#[test]
fn a_record_is_one_line_of_json() {
    insta::assert_snapshot!(format!("{}{}", line(&full()), line(&refused())));
}

/// Rows of the page's table begin with `| `field` |`.
fn documented() -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/access-log.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`'))
        .map(|(field, _)| field.to_owned())
        .collect()
}

#[test]
fn each_field_is_documented_and_each_documented_field_is_there() {
    for record in [full(), refused()] {
        let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line(&record)).expect("JSON");
        let mut written: Vec<String> = line.keys().cloned().collect();
        let mut documented = documented();
        written.sort();
        documented.sort();
        assert_eq!(written, documented);
    }
}

#[test]
fn the_example_of_the_page_is_a_real_line() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/access-log.md");
    let page = std::fs::read_to_string(page).expect("the page");
    assert!(page.contains(line(&full()).trim_end()), "{}", line(&full()));
}

#[test]
fn every_record_is_counted_and_written_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("access.log");
    let metrics = Metrics::new(2, Readings::default);
    let log = AccessLog::start(metrics.tally(), Some(&Destination::File(path.clone()))).expect("started");
    for _ in 0..3 {
        log.record(full());
        log.record(refused());
    }
    log.flush();
    let text = std::fs::read_to_string(&path).expect("the log");
    assert_eq!(text.lines().count(), 6);
    assert_eq!(log.dropped(), 0);
    let metrics = metrics.text();
    assert!(
        metrics.contains("portico_exchanges_total{kind=\"http\",status=\"2xx\"} 3\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("portico_exchanges_total{kind=\"websocket\",status=\"none\"} 3\n"),
        "{metrics}"
    );
}

#[test]
fn without_a_destination_records_are_still_counted() {
    let metrics = Metrics::new(1, Readings::default);
    let log = AccessLog::start(metrics.tally(), None).expect("started");
    log.record(refused());
    assert!(
        metrics
            .text()
            .contains("portico_refusals_total{code=\"log_in_required\"} 1\n")
    );
}
