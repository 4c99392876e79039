//! From the configuration to addresses: which are listened on, which must never be dialed because they are ours, where records go.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::Context as _;
use portico_core::port_range::PortRange;
use portico_proxy::{Limits, Settings, Shutdown, StreamSettings, Timeouts};
use tokio::net::TcpListener;

use crate::{
    config::{Config, Sink, Streams},
    own_addresses,
    policy::Own,
    telemetry::lines::Destination,
};

/// How long the ClearML server's name may take to be looked up. If it takes longer, its address is not among our own until the next start.
const LOOK_UP: Duration = Duration::from_secs(5);

/// The data plane's settings.
pub(super) fn settings(config: &Config) -> Settings {
    let mut settings = Settings::new(config.site.clone(), config.http.listen.clone());
    settings.threads = config.http.threads;
    settings.trusted_proxies.clone_from(&config.http.trusted_proxies);
    settings.path_warning = config.access.path_warning;
    settings.timeouts = Timeouts {
        request_headers: config.http.header_timeout,
        keep_alive: config.http.idle_timeout,
        connect: config.http.connect_timeout,
        response_headers: config.http.response_timeout,
        ..Timeouts::default()
    };
    settings.limits = Limits {
        connections: config.http.connections,
        connections_per_address: config.http.connections_per_address,
        header_bytes: config.http.header_limit,
        ..Limits::default()
    };
    settings.shutdown = Shutdown {
        delay: config.shutdown.delay,
        grace: config.shutdown.grace,
        stream_grace: config.shutdown.stream_grace,
    };
    settings.streams = config.streams.as_ref().map(|streams| StreamSettings {
        listen: streams.listen.clone(),
        admission: streams.admission,
        allowed_sources: streams.allowed_sources.clone(),
        proxy_protocol: streams.proxy_protocol,
        connections: streams.connections,
        connections_per_address: streams.connections_per_address,
        ..StreamSettings::default()
    });
    settings
}

/// The console's listeners.
pub(super) async fn console(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.with_context(|| format!("console.listen: {address} cannot be listened on"))?);
    }
    Ok(listeners)
}

/// Their addresses, with their real ports.
pub(super) fn addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .collect()
}

/// Our own listeners and the ClearML server, with every address of this machine where a listener takes them all.
pub(super) async fn own(listeners: Vec<SocketAddr>, config: &Config) -> Own {
    let here = own_addresses::own_addresses();
    let mut own = Own {
        listeners: own_addresses::expand(&listeners, &here),
        streams: config
            .streams
            .as_ref()
            .map_or_else(Vec::new, |streams| streams_of(streams, &here)),
        server: Vec::new(),
    };
    if let Some((host, port)) = host_and_port(&config.clearml.api_host) {
        let found = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((host.as_str(), port))).await;
        if let Ok(Ok(addresses)) = found {
            let addresses: Vec<SocketAddr> = addresses.collect();
            own.server = addresses.iter().map(SocketAddr::ip).collect();
            if own.server.iter().any(|ip| here.contains(&ip.to_canonical())) {
                own.server.extend(&here);
            }
            own.listeners.extend(addresses);
        } else {
            tracing::warn!(%host, "the ClearML server's name is not known here: tasks that claim its address are not recognized");
        }
    }
    own
}

/// The public ports of TCP endpoints: under the addresses of this machine that they are opened on, and under the public one.
fn streams_of(streams: &Streams, here: &[IpAddr]) -> Vec<(IpAddr, PortRange)> {
    let listeners: Vec<SocketAddr> = streams.listen.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
    let mut addresses: Vec<IpAddr> = own_addresses::expand(&listeners, here)
        .iter()
        .map(SocketAddr::ip)
        .collect();
    addresses.extend(streams.external.parse::<IpAddr>().ok());
    addresses.sort_unstable();
    addresses.dedup();
    addresses.into_iter().map(|address| (address, streams.range)).collect()
}

fn host_and_port(url: &str) -> Option<(String, u16)> {
    let uri: http::Uri = url.parse().ok()?;
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((host, uri.port_u16().unwrap_or(default)))
}

/// Where records go; `None`: nowhere.
pub(super) fn destination(sink: &Sink) -> Option<Destination> {
    match sink {
        Sink::Off => None,
        Sink::Stdout => Some(Destination::Stdout),
        Sink::File(path) => Some(Destination::File(path.clone())),
    }
}
