//! The access log: one JSON object for each exchange that is over. `docs/reference/access-log.md` is its contract.

use std::{io, time::Duration};

use portico_core::principal::UserId;
use portico_proxy::record::{ExchangeRecord, Recorder};
use serde::Serialize;

use super::{
    lines::{Destination, Lines},
    metrics::Tally,
};

/// Records that may wait to be written.
const QUEUE: usize = 8 * 1024;
/// The version of the format; grows when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// Takes the records of the data threads: counts each one, and writes it if there is somewhere to write.
#[derive(Clone, Debug)]
pub struct AccessLog {
    tally: Tally,
    lines: Option<Lines<ExchangeRecord>>,
}

impl AccessLog {
    /// A log that counts in `tally` and writes to `destination`, if there is one.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn start(tally: Tally, destination: Option<&Destination>) -> io::Result<Self> {
        let start = |destination| Lines::start("access-log", destination, QUEUE, write);
        Ok(Self {
            tally,
            lines: destination.map(start).transpose()?,
        })
    }

    /// How many records were not written.
    pub fn dropped(&self) -> u64 {
        self.lines.as_ref().map_or(0, Lines::dropped)
    }

    /// Waits, but not long, until everything is written. Blocks: for the end of the process.
    pub fn flush(&self) {
        if let Some(lines) = &self.lines {
            lines.flush();
        }
    }
}

impl Recorder for AccessLog {
    fn record(&self, record: ExchangeRecord) {
        self.tally.count(&record);
        if let Some(lines) = &self.lines {
            lines.push(record);
        }
    }
}

/// One line. The order of the fields is the order in the line.
#[derive(Serialize)]
struct Line<'r> {
    log: &'static str,
    schema: u32,
    time: String,
    request_id: String,
    kind: &'static str,
    method: Option<&'r str>,
    path: &'r str,
    status: Option<u16>,
    refusal: Option<&'static str>,
    cut: Option<&'static str>,
    complete: bool,
    task: Option<String>,
    endpoint: Option<&'r str>,
    user: Option<&'r str>,
    client: String,
    received_bytes: u64,
    sent_bytes: u64,
    total_ms: f64,
    first_byte_ms: Option<f64>,
    connect_ms: Option<f64>,
    thread: usize,
}

fn write(record: &ExchangeRecord, text: &mut Vec<u8>) {
    let line = Line {
        log: "access",
        schema: SCHEMA,
        time: record.time.to_string(),
        request_id: record.request_id.to_string(),
        kind: record.kind.word(),
        method: record.method.as_ref().map(http::Method::as_str),
        path: &record.path,
        status: record.status.map(|status| status.as_u16()),
        refusal: record.refusal,
        cut: record.cut,
        complete: record.is_complete,
        task: record.endpoint.as_ref().map(|endpoint| endpoint.task.to_string()),
        endpoint: record.endpoint.as_ref().map(|endpoint| &*endpoint.prefix),
        user: record.principal.as_ref().map(UserId::as_str),
        client: record.client.to_string(),
        received_bytes: record.received,
        sent_bytes: record.sent,
        total_ms: millis(record.total),
        first_byte_ms: record.first_byte.map(millis),
        connect_ms: record.connect.map(millis),
        thread: record.thread,
    };
    if serde_json::to_writer(&mut *text, &line).is_ok() {
        text.push(b'\n');
    }
}

/// Milliseconds with three digits behind the point.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests;
