//! What the data plane is told at start-up.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;
use portico_core::{site::Site, streams::Admission};

/// Everything that does not change while the gateway runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the gateway is seen from outside.
    pub site: Site,
    /// The addresses to listen on. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Data threads; at least one.
    pub threads: usize,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether the first visit to somebody else's endpoint shows a page that says so (`access.path_warning`).
    pub path_warning: bool,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How much of what.
    pub limits: Limits,
    /// How to stop.
    pub shutdown: Shutdown,
    /// TCP endpoints; `None`: no port is ever opened.
    pub streams: Option<StreamSettings>,
}

impl Settings {
    /// The defaults, for a site and its addresses.
    pub fn new(site: Site, listen: Vec<SocketAddr>) -> Self {
        Self {
            site,
            listen,
            threads: 1,
            trusted_proxies: Vec::new(),
            path_warning: true,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            shutdown: Shutdown::default(),
            streams: None,
        }
    }
}

/// How long to wait for what. Bodies, server-sent events and tunnels have no time-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a request to the end of its headers.
    pub request_headers: Duration,
    /// A visitor's connection without a request. Longer than the usual 60 s of load balancers, which would otherwise send a
    /// request just when we close.
    pub keep_alive: Duration,
    /// Until an application accepts a connection.
    pub connect: Duration,
    /// Until an application's answer begins. Long: models think.
    pub response_headers: Duration,
    /// An idle connection to an application. Shorter than the 5 s after which common servers close it.
    pub upstream_idle: Duration,
    /// Each of the two requests that decide about the prefix.
    pub prefix_probe: Duration,
    /// How long a known visitor's request waits for a task that is not in the table yet.
    pub appearance: Duration,
    /// How long after a task's start a closed port is taken for "still starting".
    pub starting: Duration,
    /// Until a page of Portico itself is made.
    pub page: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request_headers: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            connect: Duration::from_secs(5),
            response_headers: Duration::from_hours(1),
            upstream_idle: Duration::from_secs(4),
            prefix_probe: Duration::from_secs(5),
            appearance: Duration::from_millis(2500),
            starting: Duration::from_mins(15),
            page: Duration::from_secs(30),
        }
    }
}

/// How much of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Visitors' connections, of all threads together. More wait in the kernel's queue.
    pub connections: usize,
    /// Connections from one address; more are answered 503. Trusted proxies are exempt.
    pub connections_per_address: usize,
    /// Bytes of a request's or an answer's headers.
    pub header_bytes: usize,
    /// Bytes that a connection holds back at most, while its other side does not take them.
    pub buffer_bytes: usize,
    /// Bytes of the body of a request to a page of Portico itself.
    pub page_body_bytes: usize,
    /// Idle connections kept for each thread and endpoint.
    pub idle_per_endpoint: usize,
    /// Requests that wait for a task to appear, of all threads together.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 1_000,
            header_bytes: 64 * 1024,
            buffer_bytes: 128 * 1024,
            page_body_bytes: 64 * 1024,
            idle_per_endpoint: 128,
            waiting: 256,
        }
    }
}

/// How to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long connections are still accepted, so that load balancers can look elsewhere first.
    pub delay: Duration,
    /// How long requests may take to end.
    pub grace: Duration,
    /// How long tunnels may go on.
    pub stream_grace: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            grace: Duration::from_secs(30),
            stream_grace: Duration::from_secs(30),
        }
    }
}

/// How TCP endpoints are served, each on the port that the route table gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// On which addresses of this machine the ports are opened. `::` takes IPv4 too, unless an IPv4 address stands beside it.
    pub listen: Vec<IpAddr>,
    /// Who may come in.
    pub admission: Admission,
    /// From where one may come in; counts with [`Admission::Networks`] only.
    pub allowed_sources: Vec<IpNet>,
    /// Whether connections from [`Settings::trusted_proxies`] begin with a PROXY header, of version 1 or 2. Others never do.
    pub proxy_protocol: bool,
    /// Connections of all threads together; more are closed at once.
    pub connections: usize,
    /// Connections from one address; more are closed at once. A trusted proxy that tells no other address is exempt.
    pub connections_per_address: usize,
    /// Connections to one endpoint's application that are being made at the same time; further visitors wait, for half the time
    /// of [`StreamSettings::connect`].
    pub dials_per_endpoint: usize,
    /// Until an application accepts a connection. Short: whoever waits at an open port hears nothing, and `clearml-session` takes
    /// 20 s to give up, but 3 s after a closed connection (observed with clearml-session 0.17.0).
    pub connect: Duration,
    /// Until the PROXY header is complete.
    pub proxy_header: Duration,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            listen: vec![Ipv4Addr::UNSPECIFIED.into()],
            admission: Admission::Open,
            allowed_sources: Vec::new(),
            proxy_protocol: false,
            connections: 10_000,
            connections_per_address: 1_000,
            dials_per_endpoint: 64,
            connect: Duration::from_secs(3),
            proxy_header: Duration::from_secs(5),
        }
    }
}
