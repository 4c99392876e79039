//! One stream, from its arrival at a data thread to its end.

use std::{net::IpAddr, rc::Rc, sync::Arc, time::Instant};

use portico_auth::client_address::is_trusted;
use portico_core::{endpoint::Endpoint, routes::RouteTable};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};

use super::{
    admit::admit,
    arrival::Arrival,
    log::Log,
    proxy_header,
    pump::{self, End},
    refusal::StreamRefusal,
    socket::reset_at_drop,
};
use crate::{
    exchanges::{Exchange, of_key},
    listen::permits::Permit,
    settings::StreamSettings,
    thread::DataThread,
    upstream::dial::{self, Undialed},
};

/// Serves what arrives until nothing can arrive any more.
pub(crate) async fn serve_all(thread: Rc<DataThread>, mut arrivals: mpsc::Receiver<Arrival>) {
    while let Some(arrival) = arrivals.recv().await {
        thread.tunnels.spawn_local(serve(thread.clone(), arrival));
    }
}

async fn serve(thread: Rc<DataThread>, arrival: Arrival) {
    let Arrival {
        stream,
        peer,
        port,
        endpoint,
        room,
        counted: _counted,
    } = arrival;
    let mut log = Log::new(&thread, port, peer);
    let Ok(client) = TcpStream::from_std(stream) else {
        return log.refused(StreamRefusal::Internal);
    };
    dial::prepare(&client);
    // Boxed, so that a stream that is open needs no memory for how it came about.
    let way = Box::pin(enter(&thread, &client, room, endpoint, &mut log)).await;
    match way {
        Ok(way) => {
            log.connected();
            match pump::run(&client, &way.upstream, way.early, &way.exchange).await {
                End::Complete => log.is_complete = true,
                End::Broken | End::Cut(_) => {
                    // Half of something must not look like the whole.
                    reset_at_drop(&client);
                    reset_at_drop(&way.upstream);
                }
            }
        }
        Err(why) => {
            reset_at_drop(&client);
            log.refused(why);
        }
    }
}

/// The way of a visitor to an application.
struct Way {
    upstream: TcpStream,
    /// What the visitor sent behind the PROXY header.
    early: Vec<u8>,
    exchange: Arc<Exchange>,
    _permit: Permit,
}

async fn enter(
    thread: &DataThread,
    client: &TcpStream,
    room: tokio::sync::OwnedSemaphorePermit,
    endpoint: Arc<Endpoint>,
    log: &mut Log,
) -> Result<Way, StreamRefusal> {
    let shared = &thread.shared;
    let settings = shared.settings.streams.as_ref().ok_or(StreamRefusal::Internal)?;
    let (told, early) = if settings.proxy_protocol && is_trusted(log.client, &shared.settings.trusted_proxies) {
        proxy_header::read(client, settings.proxy_header).await?
    } else {
        (None, Vec::new())
    };
    let permit = permit(thread, room, told, log)?;
    let principal = admit(shared, settings, log.client, &endpoint).await?;
    let exchange = log.opens(principal, &endpoint);
    // Looked up when the exchange can be cut already: from here on no table goes by unnoticed.
    if !is_still_there(&thread.table(), &endpoint) {
        return Err(StreamRefusal::NoEndpoint);
    }
    if is_unproven(&thread.table(), &endpoint) {
        return Err(StreamRefusal::Unproven);
    }
    let upstream = tokio::select! {
        biased;
        _ = exchange.cut.wait() => return Err(StreamRefusal::NoEndpoint),
        dialed = connect(thread, settings, &endpoint, log) => dialed?,
    };
    Ok(Way {
        upstream,
        early,
        exchange,
        _permit: permit,
    })
}

/// Counts the stream under the visitor's address.
fn permit(
    thread: &DataThread,
    room: tokio::sync::OwnedSemaphorePermit,
    told: Option<IpAddr>,
    log: &mut Log,
) -> Result<Permit, StreamRefusal> {
    let trusted = &thread.shared.settings.trusted_proxies;
    let is_exempt = told.is_none() && is_trusted(log.client, trusted);
    if let Some(told) = told {
        log.client = told.to_canonical();
    }
    let permit = thread.shared.stream_permits.permit(room, log.client, is_exempt);
    permit.ok_or(StreamRefusal::AddressLimit)
}

/// True if the endpoint has the same port and address in this table.
fn is_still_there(table: &RouteTable, endpoint: &Endpoint) -> bool {
    match of_key(table, &endpoint.key) {
        portico_core::routes::Resolved::Endpoint(now) => {
            now.port == endpoint.port && now.upstream == endpoint.upstream && now.access == endpoint.access
        }
        _ => false,
    }
}

/// True if nobody has confirmed for too long that the address is still the endpoint's.
fn is_unproven(table: &RouteTable, endpoint: &Endpoint) -> bool {
    matches!(of_key(table, &endpoint.key), portico_core::routes::Resolved::Endpoint(now) if now.is_unproven)
}

async fn connect(
    thread: &DataThread,
    settings: &StreamSettings,
    endpoint: &Endpoint,
    log: &mut Log,
) -> Result<TcpStream, StreamRefusal> {
    let upstream = thread.shared.upstreams.of(endpoint);
    // Many may come at once, a pool of database connections say. They wait, but not where the application does not answer.
    let place = timeout(
        settings.connect / 2,
        upstream.dialing(settings.dials_per_endpoint).acquire(),
    );
    let Ok(Ok(_place)) = place.await else {
        return Err(StreamRefusal::Busy);
    };
    let began = Instant::now();
    let dialed = dial::dial(endpoint.upstream, settings.connect).await;
    log.connect = Some(began.elapsed());
    match dialed {
        Ok(socket) => {
            upstream.accepts();
            Ok(socket)
        }
        Err(Undialed::Refused) => Err(StreamRefusal::NotListening),
        Err(Undialed::Unreachable) => Err(StreamRefusal::Unreachable),
        Err(Undialed::Unproven) => Err(StreamRefusal::Unproven),
    }
}
