//! What the data plane works with besides its settings.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use portico_auth::gatekeeper::Gatekeeper;
use portico_core::{
    audit::AuditLog,
    clock::Clock,
    live::{Live, Nudge},
    refusal::Refusal,
    routes::RouteTable,
};
use tokio::sync::{mpsc, oneshot};

use crate::record::{Recorder, RequestId};

/// The ways out of the data plane.
#[derive(Clone)]
pub struct Doors {
    /// What leads where.
    pub table: Live<RouteTable>,
    /// Who may.
    pub gatekeeper: Gatekeeper,
    /// The pages of Portico itself.
    pub pages: PageDesk,
    /// Takes the record of each exchange.
    pub recorder: Arc<dyn Recorder>,
    /// Takes events.
    pub audit: AuditLog,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Asks the source to look again.
    pub source: Nudge,
}

/// Where requests for Portico's own pages are handed over: everything below `/_gateway/`, and `/`.
#[derive(Clone, Debug)]
pub struct PageDesk(mpsc::Sender<PageCall>);

/// A request for a page, and where its answer goes.
#[derive(Debug)]
pub struct PageCall {
    /// The request, with a [`Visitor`] among its extensions. Its path has been checked, its headers are as they came.
    pub request: Request<Bytes>,
    /// Takes the answer.
    pub answer: oneshot::Sender<Response<Bytes>>,
}

/// Who asks for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// From where; behind a trusted proxy the address that it tells.
    pub address: IpAddr,
    /// Under which id the request is recorded.
    pub request_id: RequestId,
}

impl PageDesk {
    /// A desk at which at most `capacity` requests wait, and the end from which they are answered.
    pub fn bounded(capacity: usize) -> (Self, mpsc::Receiver<PageCall>) {
        let (calls, receiver) = mpsc::channel(capacity.max(1));
        (Self(calls), receiver)
    }

    pub(crate) async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.0
            .try_send(PageCall { request, answer })
            .map_err(|_| Refusal::Overloaded)?;
        answered.await.map_err(|_| Refusal::Internal)
    }
}
