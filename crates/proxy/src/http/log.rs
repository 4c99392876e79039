//! The record of one request, filled in as it goes along and handed over when it is dropped: exactly once, however it ends.

use std::{
    net::IpAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use http::{Method, StatusCode};
use portico_core::{
    clock::Timestamp,
    endpoint::Endpoint,
    principal::{Principal, UserId},
    refusal::Refusal,
};

use crate::{
    connection::Link,
    exchanges::{Exchange, Opened},
    record::{ExchangeRecord, Kind, RecordedEndpoint, RequestId, recorded_path},
    thread::DataThread,
};

/// What is known of a request so far.
pub(crate) struct Log {
    thread: Rc<DataThread>,
    link: Arc<Link>,
    began: Instant,
    pub(crate) time: Timestamp,
    pub(crate) request_id: RequestId,
    method: Method,
    path: String,
    pub(crate) client: IpAddr,
    pub(crate) kind: Kind,
    principal: Option<UserId>,
    opened: Option<Opened>,
    pub(crate) status: Option<StatusCode>,
    refusal: Option<&'static str>,
    pub(crate) is_complete: bool,
    own_bytes: u64,
    first_byte: Option<Duration>,
    pub(crate) connect: Option<Duration>,
}

impl Log {
    pub(crate) fn new(thread: &Rc<DataThread>, link: &Arc<Link>, method: &Method, path: &str, client: IpAddr) -> Self {
        link.begins();
        Self {
            thread: thread.clone(),
            link: link.clone(),
            began: Instant::now(),
            time: thread.shared.doors.clock.now(),
            request_id: thread.request_id(),
            method: method.clone(),
            path: recorded_path(path),
            client,
            kind: Kind::Http,
            principal: None,
            opened: None,
            status: None,
            refusal: None,
            is_complete: false,
            own_bytes: 0,
            first_byte: None,
            connect: None,
        }
    }

    pub(crate) fn is_of(&mut self, principal: &Principal) {
        if let Principal::User(user) = principal {
            self.principal = Some(user.id.clone());
        }
    }

    /// The visitor is let through: the exchange is entered into the registry, from which it can be cut.
    pub(crate) fn opens(&mut self, principal: Principal, endpoint: &Arc<Endpoint>) -> Arc<Exchange> {
        let exchange = Exchange::new(self.request_id, principal, endpoint.clone(), self.time, self.client);
        let exchange = Arc::new(exchange);
        let thread = &self.thread;
        self.opened = Some(thread.shared.exchanges.open(thread.number, exchange.clone()));
        exchange
    }

    /// The application's answer has begun.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.first_byte = Some(self.began.elapsed());
        if let Some(opened) = &self.opened {
            opened.exchange.is_waiting.store(false, Ordering::Relaxed);
        }
    }

    /// The answer is one of ours.
    pub(crate) fn own(&mut self, status: StatusCode, bytes: usize) {
        self.answered(status);
        self.own_bytes = bytes as u64;
        self.is_complete = true;
    }

    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        self.refusal = Some(refusal.code());
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Log")
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let opened = self.opened.take();
        let exchange = opened.as_ref().map(|opened| &opened.exchange);
        let record = ExchangeRecord {
            time: self.time,
            request_id: self.request_id,
            method: Some(std::mem::take(&mut self.method)),
            path: std::mem::take(&mut self.path),
            kind: self.kind,
            endpoint: exchange.map(|exchange| RecordedEndpoint {
                id: exchange.endpoint.id,
                task: exchange.endpoint.key.task,
                prefix: exchange.endpoint.prefix.clone(),
            }),
            principal: self.principal.take(),
            status: self.status,
            refusal: self.refusal,
            cut: exchange
                .and_then(|exchange| exchange.cut.reason())
                .map(crate::CutReason::word),
            is_complete: self.is_complete,
            received: exchange.map_or(0, |exchange| exchange.bytes.received()),
            sent: self.own_bytes + exchange.map_or(0, |exchange| exchange.bytes.sent()),
            total: self.began.elapsed(),
            first_byte: self.first_byte,
            connect: self.connect,
            client: self.client,
            thread: self.thread.number,
        };
        drop(opened);
        self.link.ends();
        self.thread.shared.doors.recorder.record(record);
    }
}
