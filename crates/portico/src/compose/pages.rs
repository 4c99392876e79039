//! Between the data plane's page desk and the pages.

use portico_console::{GatewayPages, State};
use portico_proxy::PageCall;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// How many pages are made at once.
const AT_ONCE: usize = 64;

/// Answers what the data plane hands over, until `stop`.
pub(super) async fn answer(mut calls: mpsc::Receiver<PageCall>, state: State, stop: CancellationToken) {
    let pages = GatewayPages::new(state);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = open.join_next() => {}
            call = calls.recv(), if open.len() < AT_ONCE => {
                let Some(PageCall { request, answer }) = call else { return };
                let pages = pages.clone();
                open.spawn(async move {
                    let visitor = visitor(&request);
                    // Whoever asked may be gone by now.
                    let _ = answer.send(pages.answer(request, visitor).await);
                });
            }
        }
    }
}

fn visitor<B>(request: &http::Request<B>) -> portico_console::Visitor {
    let known = request.extensions().get::<portico_proxy::Visitor>();
    portico_console::Visitor {
        address: known.map_or(std::net::Ipv6Addr::UNSPECIFIED.into(), |known| known.address),
        request_id: known.map(|known| known.request_id.to_string()).unwrap_or_default(),
    }
}
