//! Bodies on their way through: counted, never held.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use portico_auth::credentials::{CookieNames, strip_request};

use super::{headers::request::strip_trusted, log::Log};
use crate::{
    exchanges::{CutReason, Exchange},
    upstream::pool::Taken,
};

/// Why an answer's body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the application broke off: {0}")]
    Upstream(hyper::Error),
    #[error("cut: {}", .0.word())]
    Cut(CutReason),
}

/// A request's body on its way to the application.
#[derive(Debug)]
pub(crate) enum Upload {
    /// None.
    Empty,
    /// As it comes in.
    Streamed {
        incoming: Incoming,
        exchange: Arc<Exchange>,
        names: Arc<CookieNames>,
    },
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self::Streamed {
            incoming,
            exchange,
            names,
        } = self.get_mut()
        else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(incoming).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            let mut frame = frame?;
            if let Some(data) = frame.data_ref() {
                exchange.bytes.receive(data.len());
            } else if let Some(trailers) = frame.trailers_mut() {
                // Servers that merge trailers into the headers must not get there what was removed here.
                strip_trusted(trailers);
                strip_request(trailers, names);
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streamed { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streamed { incoming, .. } => incoming.size_hint(),
        }
    }
}

/// An answer's body on its way to the visitor. The exchange is over when this is dropped.
#[derive(Debug)]
pub(crate) enum Answer {
    /// One of ours.
    Own { body: Full<Bytes>, _log: Log },
    /// An application's.
    Passed(Download),
    /// None: a tunnel follows.
    Switched,
}

/// An application's body.
#[derive(Debug)]
pub(crate) struct Download {
    incoming: Incoming,
    has_ended: bool,
    exchange: Arc<Exchange>,
    taken: Option<Taken>,
    log: Log,
}

impl Download {
    pub(crate) fn new(incoming: Incoming, exchange: Arc<Exchange>, taken: Taken, log: Log) -> Self {
        Self {
            incoming,
            has_ended: false,
            exchange,
            taken: Some(taken),
            log,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Poll::Ready(reason) = self.exchange.cut.poll(context) {
            return Poll::Ready(Some(Err(Broken::Cut(reason))));
        }
        match ready!(Pin::new(&mut self.incoming).poll_frame(context)) {
            None => {
                self.has_ended = true;
                Poll::Ready(None)
            }
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.exchange.bytes.send(data.len());
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(Broken::Upstream(error)))),
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        if self.has_ended || self.incoming.is_end_stream() {
            self.log.is_complete = true;
            if let Some(taken) = self.taken.take() {
                taken.give_back();
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Own { body, .. } => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(|never: Infallible| match never {})))
            }
            Self::Passed(download) => download.poll(context),
            Self::Switched => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own { body, .. } => body.is_end_stream(),
            Self::Passed(download) => download.incoming.is_end_stream(),
            Self::Switched => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own { body, .. } => body.size_hint(),
            Self::Passed(download) => download.incoming.size_hint(),
            Self::Switched => SizeHint::with_exact(0),
        }
    }
}
