//! The audit events, written where the configuration says. `docs/reference/audit.md` is their contract.

use std::io;

use portico_core::{
    audit::{AuditEvent, AuditKind},
    principal::{SessionId, UserId},
};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::lines::{Destination, Lines};

/// Events that may wait to be written.
const QUEUE: usize = 2 * 1024;

/// Takes events from the audit log of core to where they are kept.
#[derive(Debug)]
pub struct AuditWriter {
    lines: Option<Lines<AuditEvent>>,
}

impl AuditWriter {
    /// A writer to `destination`; events without one are counted in no file, but taken all the same.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn start(destination: Option<&Destination>) -> io::Result<Self> {
        let start = |destination| Lines::start("audit", destination, QUEUE, write);
        Ok(Self {
            lines: destination.map(start).transpose()?,
        })
    }

    /// The queue, for the metrics.
    pub fn lines(&self) -> Option<Lines<AuditEvent>> {
        self.lines.clone()
    }

    /// Writes what comes until the end, and then what is still there.
    pub async fn run(self, mut events: mpsc::Receiver<AuditEvent>, shutdown: CancellationToken) {
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = shutdown.cancelled(), if !events.is_closed() => {
                    // What was recorded before is still handed out, then comes `None`.
                    events.close();
                    continue;
                }
            };
            match (event, &self.lines) {
                (Some(event), Some(lines)) => lines.push(event),
                (Some(_), None) => {}
                (None, _) => break,
            }
        }
        if let Some(lines) = self.lines {
            lines.flush();
        }
    }
}

/// One line: the event, marked, with a time that people can read. The order of the fields is the order in the line.
#[derive(Serialize)]
struct Line<'e> {
    log: &'static str,
    schema: u32,
    time: String,
    event: AuditKind,
    #[serde(flatten)]
    rest: Rest<'e>,
}

#[derive(Serialize)]
struct Rest<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_source: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'e str>,
}

fn write(event: &AuditEvent, text: &mut Vec<u8>) {
    // Taken apart by name, so that a new field cannot be forgotten here.
    let AuditEvent {
        schema,
        time,
        event,
        actor,
        method,
        session,
        address,
        task,
        owner,
        endpoint,
        rule,
        rule_source,
        request_id,
        detail,
    } = event;
    let line = Line {
        log: "audit",
        schema: *schema,
        time: time.to_string(),
        event: *event,
        rest: Rest {
            actor: actor.as_ref().map(UserId::as_str),
            method: method.map(|method| method.to_string()),
            session: session.as_ref().map(SessionId::as_str),
            address: address.map(|address| address.to_string()),
            task: task.map(|task| task.to_string()),
            owner: owner.as_ref().map(UserId::as_str),
            endpoint: endpoint.as_deref(),
            rule: rule.as_deref(),
            rule_source: rule_source.as_deref(),
            request_id: request_id.as_deref(),
            detail: detail.as_deref(),
        },
    };
    if serde_json::to_writer(&mut *text, &line).is_ok() {
        text.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
