//! The contract of the metrics against what is told.

use std::{collections::BTreeSet, time::Duration};

use http::StatusCode;
use portico_core::clock::Timestamp;
use portico_proxy::{
    ThreadCounts,
    record::{ExchangeRecord, Kind, RequestId},
};

use super::*;
use crate::{public_ports::PortCounts, reconcile::Recording};

fn record(kind: Kind, status: Option<u16>, millis: u64) -> ExchangeRecord {
    ExchangeRecord {
        time: Timestamp::from_secs(0),
        request_id: RequestId::new(0),
        method: Some(http::Method::GET),
        path: "/service/0123456789abcdef0123456789abcdef/secret-name".into(),
        kind,
        endpoint: None,
        principal: Some(portico_core::principal::UserId::new("alice")),
        status: status.and_then(|status| StatusCode::from_u16(status).ok()),
        refusal: (status == Some(404)).then_some("not_found"),
        cut: (kind == Kind::WebSocket).then_some("task_ended"),
        is_complete: true,
        received: 10,
        sent: 100,
        total: Duration::from_millis(millis),
        first_byte: Some(Duration::from_millis(millis / 2)),
        connect: None,
        client: [192, 0, 2, 7].into(),
        thread: usize::try_from(millis).unwrap_or(0),
    }
}

/// Everything that can be told at once.
fn everything() -> Metrics {
    let readings = Readings {
        is_ready: true,
        threads: [3, 4]
            .map(|connections| ThreadCounts {
                connections,
                dialed: 5,
                streams: 2,
                streams_accepted: 7,
                ..ThreadCounts::default()
            })
            .into(),
        open_exchanges: 6,
        open_streams: 4,
        stream_refusals: vec![("limit", 3)],
        ports: PortCounts {
            free: 8,
            leased: 1,
            cooling: 1,
            failed: 1,
        },
        recording: Recording {
            failing: Some((Timestamp::from_secs(0), "disk full".into())),
            writes: 5,
            failures: 2,
        },
        refused_routes: [("wrong_queue", 2)].into(),
        source_age: Some(Duration::from_millis(1500)),
        source_failing: Some(("timeout", Duration::from_secs(30))),
        kubernetes_age: Some(Duration::from_secs(4)),
        state_readers: Some(2),
        is_own_key_accepted: Some(true),
        lost: [("access", 1)].into(),
        ..Readings::default()
    };
    let metrics = Metrics::new(2, move || readings.clone());
    let tally = metrics.tally();
    tally.count(&record(Kind::Http, Some(200), 3));
    tally.count(&record(Kind::Http, Some(404), 4));
    tally.count(&record(Kind::WebSocket, None, 7_200_000));
    tally.count(&ExchangeRecord {
        refusal: Some("limit"),
        ..record(Kind::Tcp, None, 1)
    });
    metrics
}

#[test]
fn the_reference_of_the_metrics_is_up_to_date() {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# Metrics\n\n<!-- Made from crates/portico/src/telemetry/metrics/names.rs; see crates/portico/src/reference.rs. -->\n\n\
         `GET /metrics` on the operations listener (`operations.listen`, port 8013) answers in the text format of OpenMetrics, which\n\
         Prometheus reads. Names and labels are a contract: they are not changed without a word in the changelog. No task, user or name\n\
         is a label; the [access log](access-log.md) has those.\n\n| metric | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    for metric in METRICS {
        let total = if metric.kind == MetricKind::Counter {
            "_total"
        } else {
            ""
        };
        let kind = format!("{:?}", metric.kind).to_lowercase();
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(
            page,
            "| `{}{total}` | {kind} | {} | {} |",
            metric.name,
            labels.join(", "),
            metric.about
        );
    }
    page.push_str(
        "\nWorth an alarm: `portico_source_failing_seconds > 60`, `portico_kubernetes_age_seconds > 60`, `portico_own_key_accepted == 0`,\n\
         `portico_state_readers > 0`, `portico_publish_contested > 0`, `increase(portico_lost_records_total[10m]) > 0`,\n\
         `portico_leases_recorded == 0`, `portico_stream_ports{state=\"free\"} == 0` where TCP endpoints are served, and `portico_ready == 0` for more\n\
         than a minute.\n",
    );
    crate::reference::keep("metrics.md", &page);
}

/// `name{label="…",…} value` → the name without its suffixes, and its labels.
fn parse(line: &str) -> (String, BTreeSet<String>) {
    let series = line.rsplit_once(' ').expect("a value").0;
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels
        .trim_end_matches('}')
        .split(',')
        .filter(|label| !label.is_empty());
    let labels = labels.map(|label| label.split('=').next().unwrap_or_default().to_owned());
    (name.to_owned(), labels.filter(|label| label != "le").collect())
}

#[test]
fn what_is_told_is_what_is_documented() {
    let text = everything().text();
    let mut told = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = parse(line);
        let suffixes = ["_total", "_bucket", "_sum", "_count"];
        let metric = METRICS
            .iter()
            .find(|metric| {
                name == metric.name || suffixes.iter().any(|suffix| name == format!("{}{suffix}", metric.name))
            })
            .unwrap_or_else(|| panic!("{name} is not documented"));
        let documented: BTreeSet<String> = metric.labels.iter().map(|label| (*label).to_owned()).collect();
        assert_eq!(labels, documented, "{line}");
        told.insert(metric.name);
    }
    let documented: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(told, documented, "{text}");
}

#[test]
fn counts_of_all_threads_are_added() {
    let text = everything().text();
    assert!(!text.contains("portico_refusals_total{code=\"limit\"}"), "{text}");
    for line in [
        "portico_exchanges_total{kind=\"http\",status=\"2xx\"} 1",
        "portico_exchanges_total{kind=\"http\",status=\"4xx\"} 1",
        "portico_exchanges_total{kind=\"websocket\",status=\"none\"} 1",
        "portico_refusals_total{code=\"not_found\"} 1",
        "portico_exchanges_total{kind=\"tcp\",status=\"none\"} 1",
        "portico_stream_refusals_total{code=\"limit\"} 3",
        "portico_open_exchanges{kind=\"request\"} 2.0",
        "portico_open_exchanges{kind=\"stream\"} 4.0",
        "portico_stream_connections 4.0",
        "portico_accepted_stream_connections_total 14",
        "portico_stream_ports{state=\"cooling\"} 1.0",
        "portico_leases_recorded 0.0",
        "portico_lease_writes_total{outcome=\"failed\"} 2",
        "portico_cuts_total{reason=\"task_ended\"} 1",
        "portico_sent_bytes_total{kind=\"http\"} 200",
        "portico_exchange_duration_seconds_bucket{le=\"0.0025\",kind=\"http\"} 0",
        "portico_exchange_duration_seconds_bucket{le=\"0.005\",kind=\"http\"} 2",
        "portico_exchange_duration_seconds_bucket{le=\"3600.0\",kind=\"websocket\"} 0",
        "portico_exchange_duration_seconds_bucket{le=\"+Inf\",kind=\"websocket\"} 1",
        "portico_exchange_duration_seconds_sum{kind=\"http\"} 0.007",
        "portico_first_byte_seconds_count 4",
        "portico_connections{thread=\"1\"} 4.0",
        "portico_upstream_requests_total{connection=\"dialed\"} 10",
        "portico_source_age_seconds 1.5",
        "portico_kubernetes_age_seconds 4.0",
        "portico_state_readers 2.0",
    ] {
        assert!(text.lines().any(|told| told == line), "{line} is not in\n{text}");
    }
}

#[test]
fn what_is_not_known_is_not_told_as_nothing() {
    let text = Metrics::new(1, Readings::default).text();
    for unknown in [
        "portico_state_readers",
        "portico_own_key_accepted",
        "portico_source_age_seconds",
    ] {
        assert!(!text.contains(unknown), "{text}");
    }
    let nobody = || Readings {
        state_readers: Some(0),
        ..Readings::default()
    };
    let text = Metrics::new(1, nobody).text();
    assert!(text.lines().any(|told| told == "portico_state_readers 0.0"), "{text}");
}

#[test]
fn no_task_user_or_name_is_told() {
    let text = everything().text();
    for private in ["alice", "0123456789abcdef", "secret-name", "192.0.2.7"] {
        assert!(!text.contains(private), "{private}");
    }
}
