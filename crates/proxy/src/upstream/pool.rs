//! Idle connections to applications, kept by one thread for one endpoint.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderValue;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use portico_core::endpoint::Endpoint;
use tokio_util::task::TaskTracker;

use super::{
    Upstream,
    dial::{self, Undialed},
};
use crate::{http::body::Upload, settings::Settings};

/// What one thread keeps for one endpoint.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) upstream: Arc<Upstream>,
    /// The public prefix, as `X-Forwarded-Prefix` has it.
    pub(crate) prefix: HeaderValue,
    /// The dialed address, as an application may write it into an absolute URL.
    pub(crate) authority: String,
    idle: RefCell<Vec<Idle>>,
    capacity: usize,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<Upload>,
    since: Instant,
}

impl Lane {
    pub(crate) fn new(endpoint: &Endpoint, upstream: Arc<Upstream>, capacity: usize) -> Self {
        Self {
            prefix: HeaderValue::from_str(&endpoint.prefix).unwrap_or(HeaderValue::from_static("/")),
            authority: upstream.address.to_string(),
            upstream,
            idle: RefCell::default(),
            capacity,
        }
    }

    /// False if the endpoint has moved, or its prefix was chosen anew.
    pub(crate) fn is_for(&self, endpoint: &Endpoint) -> bool {
        self.upstream.is_for(endpoint)
    }

    /// The connection that was used last, if it was within `age`: the warmest is the least likely to be closed by now.
    pub(crate) fn take(&self, age: Duration) -> Option<SendRequest<Upload>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(last) = idle.pop() {
            if last.since.elapsed() > age {
                // Those below are older still, but may do for a request that can be repeated.
                idle.push(last);
                return None;
            }
            if last.sender.is_ready() {
                return Some(last.sender);
            }
        }
        None
    }

    /// Keeps a connection whose answer has been read to its end.
    pub(crate) fn keep(&self, sender: SendRequest<Upload>) {
        let mut idle = self.idle.borrow_mut();
        if !sender.is_closed() && idle.len() < self.capacity {
            idle.push(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }

    /// Closes what was idle for too long.
    pub(crate) fn prune(&self, age: Duration) {
        self.idle
            .borrow_mut()
            .retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() <= age);
    }

    /// How many connections are idle.
    pub(crate) fn idle(&self) -> usize {
        self.idle.borrow().len()
    }
}

/// Opens a connection and lets it run.
pub(crate) async fn connect(
    address: SocketAddr,
    settings: &Settings,
    tasks: &TaskTracker,
) -> Result<SendRequest<Upload>, Undialed> {
    let socket = dial::dial(address, settings.timeouts.connect).await?;
    let (sender, connection) = http1::Builder::new()
        .preserve_header_case(true)
        .max_header_size(settings.limits.header_bytes)
        .max_buf_size(settings.limits.buffer_bytes.max(2 * settings.limits.header_bytes))
        .handshake(TokioIo::new(socket))
        .await
        .map_err(|_| Undialed::Unreachable)?;
    tasks.spawn_local(async move {
        // Whoever waits for an answer is told the error; an idle connection may end as it likes.
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%address, %error, "connection to an application broke");
        }
    });
    Ok(sender)
}

/// A sender that goes back to its lane when its answer has been read.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) sender: SendRequest<Upload>,
    pub(crate) lane: Rc<Lane>,
}

impl Taken {
    pub(crate) fn give_back(self) {
        self.lane.keep(self.sender);
    }
}
