//! The record of one stream, handed over when it is dropped: exactly once, however it ends.

use std::{
    net::IpAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use portico_core::{
    audit::{AuditEvent, AuditKind},
    clock::Timestamp,
    endpoint::Endpoint,
    principal::Principal,
};

use super::refusal::StreamRefusal;
use crate::{
    exchanges::{Exchange, Opened},
    record::{ExchangeRecord, Kind, RecordedEndpoint, RequestId},
    thread::DataThread,
};

/// What is known of a stream so far.
pub(super) struct Log {
    thread: Rc<DataThread>,
    began: Instant,
    time: Timestamp,
    request_id: RequestId,
    port: u16,
    /// From where; behind a trusted proxy the address that it tells.
    pub(super) client: IpAddr,
    opened: Option<Opened>,
    refusal: Option<StreamRefusal>,
    pub(super) is_complete: bool,
    pub(super) connect: Option<Duration>,
}

impl Log {
    pub(super) fn new(thread: &Rc<DataThread>, port: u16, peer: IpAddr) -> Self {
        Self {
            thread: thread.clone(),
            began: Instant::now(),
            time: thread.shared.doors.clock.now(),
            request_id: thread.request_id(),
            port,
            client: peer,
            opened: None,
            refusal: None,
            is_complete: false,
            connect: None,
        }
    }

    /// The visitor is let in: the exchange is entered into the registry, from which it can be cut.
    pub(super) fn opens(&mut self, principal: Principal, endpoint: &Arc<Endpoint>) -> Arc<Exchange> {
        let exchange = Exchange::new(self.request_id, principal, endpoint.clone(), self.time, self.client);
        exchange.becomes(Kind::Tcp);
        // No answer is waited for.
        exchange.is_waiting.store(false, Ordering::Relaxed);
        let exchange = Arc::new(exchange);
        let thread = &self.thread;
        self.opened = Some(thread.shared.exchanges.open(thread.number, exchange.clone()));
        exchange
    }

    /// The application accepted: from here on bytes may move.
    pub(super) fn connected(&self) {
        let Some(exchange) = self.opened.as_ref().map(|opened| &opened.exchange) else {
            return;
        };
        let endpoint = &exchange.endpoint;
        self.thread.shared.upstreams.opens(endpoint.id);
        let mut event = AuditEvent::new(self.time, AuditKind::StreamOpened);
        if let Principal::User(user) = &exchange.principal {
            event.actor = Some(user.id.clone());
            event.method = Some(user.method);
            event.session.clone_from(&user.session);
        }
        event.address = Some(self.client);
        event.task = Some(endpoint.key.task);
        event.owner = Some(endpoint.owner.clone());
        event.endpoint = Some(endpoint.prefix.clone());
        event.rule = Some(endpoint.access.who.to_string());
        event.rule_source = Some(endpoint.access.source.to_string());
        event.request_id = Some(self.request_id.to_string());
        event.detail = Some(format!("port {}", self.port));
        self.thread.shared.doors.audit.record(event);
    }

    pub(super) fn refused(&mut self, why: StreamRefusal) {
        self.refusal = Some(why);
        self.thread.counts().refuses(why);
    }
}

/// Adds what a stream has passed on since the last look to what is counted.
pub(crate) fn notice(thread: &DataThread, exchange: &Exchange) {
    if let Some([received, sent]) = exchange.notice() {
        thread.counts().stream_received.fetch_add(received, Ordering::Relaxed);
        thread.counts().stream_sent.fetch_add(sent, Ordering::Relaxed);
        let now = thread.shared.doors.clock.now();
        thread
            .shared
            .upstreams
            .passes(exchange.endpoint.id, [received, sent], now);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let opened = self.opened.take();
        let exchange = opened.as_ref().map(|opened| &opened.exchange);
        if let Some(exchange) = exchange {
            notice(&self.thread, exchange);
        }
        let record = ExchangeRecord {
            time: self.time,
            request_id: self.request_id,
            method: None,
            path: format!(":{}", self.port),
            kind: Kind::Tcp,
            endpoint: exchange.map(|exchange| RecordedEndpoint {
                id: exchange.endpoint.id,
                task: exchange.endpoint.key.task,
                prefix: exchange.endpoint.prefix.clone(),
            }),
            principal: exchange.and_then(|exchange| match &exchange.principal {
                Principal::User(user) => Some(user.id.clone()),
                Principal::Nobody => None,
            }),
            status: None,
            refusal: self.refusal.map(StreamRefusal::code),
            cut: exchange
                .and_then(|exchange| exchange.cut.reason())
                .map(crate::CutReason::word),
            is_complete: self.is_complete,
            received: exchange.map_or(0, |exchange| exchange.bytes.received()),
            sent: exchange.map_or(0, |exchange| exchange.bytes.sent()),
            total: self.began.elapsed(),
            first_byte: None,
            connect: self.connect,
            client: self.client,
            thread: self.thread.number,
        };
        drop(opened);
        self.thread.shared.doors.recorder.record(record);
    }
}
