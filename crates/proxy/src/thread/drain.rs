//! How a data thread stops: nothing that is under way is lost before its time.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::DataThread;
use crate::{connection::Order, exchanges::CutReason};

/// How long close frames and last bytes may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// Waits for the shutdown and goes through with it.
pub(super) async fn run(
    thread: &DataThread,
    shutdown: &CancellationToken,
    stop: &CancellationToken,
    acceptors: &TaskTracker,
) {
    shutdown.cancelled().await;
    let limits = &thread.shared.settings.shutdown;
    // Load balancers need a moment to look elsewhere; until then everybody is served.
    tokio::time::sleep(limits.delay).await;
    stop.cancel();
    acceptors.wait().await;
    let began = Instant::now();
    thread.connections.close();
    thread.tunnels.close();
    order_all(thread, Order::Finish);
    tokio::join!(
        async {
            if timeout_at(began + limits.grace, thread.connections.wait())
                .await
                .is_err()
            {
                cut(thread, false);
                if timeout_at(Instant::now() + FAREWELL, thread.connections.wait())
                    .await
                    .is_err()
                {
                    order_all(thread, Order::Close);
                }
            }
        },
        async {
            if timeout_at(began + limits.stream_grace, thread.tunnels.wait())
                .await
                .is_err()
            {
                cut(thread, true);
                let _ = timeout_at(Instant::now() + FAREWELL, thread.tunnels.wait()).await;
            }
        },
    );
}

fn order_all(thread: &DataThread, order: Order) {
    for link in thread.links.borrow().values() {
        link.order(order);
    }
}

fn cut(thread: &DataThread, are_tunnels: bool) {
    for exchange in thread.shared.exchanges.of_thread(thread.number) {
        if exchange.is_tunnel() == are_tunnels {
            exchange.cut(CutReason::ShuttingDown);
        }
    }
}
