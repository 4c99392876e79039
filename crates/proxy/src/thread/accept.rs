//! From a listening socket to connections that run.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    net::IpAddr,
    pin::pin,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt as _;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use portico_auth::client_address::is_trusted;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::DataThread;
use crate::{
    connection::{Link, Order, Socket},
    http,
    listen::permits::Permit,
    upstream::dial,
};

/// After an error of the system (no file descriptors, say) the next try waits.
const BREATH: Duration = Duration::from_millis(100);
/// The answer to a connection too many.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";

/// Accepts until `stop`, then takes what the kernel has queued and closes the socket.
pub(super) async fn run(thread: Rc<DataThread>, socket: TcpListener, stop: CancellationToken) {
    loop {
        let room = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            room = thread.shared.permits.room() => room,
        };
        let Some(room) = room else { return };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let peer = peer.ip().to_canonical();
                let is_exempt = is_trusted(peer, &thread.shared.settings.trusted_proxies);
                take(
                    &thread,
                    stream,
                    peer,
                    thread.shared.permits.permit(room, peer, is_exempt),
                );
            }
            Err(error) => failed(&error).await,
        }
    }
    // What was queued belongs to visitors who were already here; closing the socket would reset them.
    while let Some(Ok((stream, peer))) = socket.accept().now_or_never() {
        let Some(Some(room)) = thread.shared.permits.room().now_or_never() else {
            return;
        };
        let peer = peer.ip().to_canonical();
        take(&thread, stream, peer, thread.shared.permits.permit(room, peer, false));
    }
}

async fn failed(error: &io::Error) {
    let is_visitors = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    );
    if !is_visitors {
        tracing::warn!(%error, "cannot accept connections");
        tokio::time::sleep(BREATH).await;
    }
}

fn take(thread: &Rc<DataThread>, stream: TcpStream, peer: IpAddr, permit: Option<Permit>) {
    thread.counts().accepted.fetch_add(1, Ordering::Relaxed);
    let Some(permit) = permit else {
        thread.counts().turned_away.fetch_add(1, Ordering::Relaxed);
        // It fits into the socket's buffer, or the visitor goes without.
        let _ = stream.try_write(TOO_MANY);
        return;
    };
    dial::prepare(&stream);
    let link = Arc::new(Link::default());
    let socket = Socket::new(stream, link.clone(), permit);
    let visitor = Rc::new(http::Visitor {
        link,
        peer,
        forwarded: http::headers::request::address(peer),
    });
    thread
        .connections
        .spawn_local(connection(thread.clone(), socket, visitor));
}

async fn connection(thread: Rc<DataThread>, socket: Socket, visitor: Rc<http::Visitor>) {
    let entered = Entered::new(&thread, &visitor.link);
    let service = service_fn(|request| {
        let (thread, visitor) = (thread.clone(), visitor.clone());
        async move { Ok::<_, Infallible>(http::answer(&thread, &visitor, request).await) }
    });
    let connection = http1::Builder::new()
        .preserve_header_case(true)
        .max_header_size(thread.shared.settings.limits.header_bytes)
        .max_buf_size(
            thread
                .shared
                .settings
                .limits
                .buffer_bytes
                .max(2 * thread.shared.settings.limits.header_bytes),
        )
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut known = None;
    let ended = poll_fn(|context| {
        if let Poll::Ready(order) = visitor.link.poll_order(context, known) {
            known = Some(order);
            match order {
                Order::Finish => connection.as_mut().graceful_shutdown(),
                Order::Close => return Poll::Ready(Ok(())),
            }
            // Registers for the next order.
            if visitor.link.poll_order(context, known).is_ready() {
                return Poll::Ready(Ok(()));
            }
        }
        connection.as_mut().poll(context)
    })
    .await;
    if let Err(error) = ended
        && (error.is_parse() || error.is_incomplete_message())
    {
        thread.counts().unreadable.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(peer = %visitor.peer, %error, "a visitor's connection ended early");
    }
    drop(entered);
}

/// A connection among those that the sweep looks at.
struct Entered<'t> {
    thread: &'t DataThread,
    number: u64,
}

impl<'t> Entered<'t> {
    fn new(thread: &'t DataThread, link: &Arc<Link>) -> Self {
        let number = thread.next_link.get();
        thread.next_link.set(number + 1);
        thread.links.borrow_mut().insert(number, link.clone());
        thread.counts().connections.fetch_add(1, Ordering::Relaxed);
        Self { thread, number }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.thread.links.borrow_mut().remove(&self.number);
        self.thread.counts().connections.fetch_sub(1, Ordering::Relaxed);
    }
}
