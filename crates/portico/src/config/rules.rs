//! What single values cannot tell: settings that contradict each other, or that work otherwise than they look.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use portico_core::access::Who;

use super::{Config, Publish, kubernetes, reader::Reader, streams};
use crate::secret_files::SecretSource;

pub(super) fn judge(config: &Config, has_url: bool, read: &mut Reader) {
    name(config, read);
    if has_url {
        cookies(config, read);
        console(config, read);
        server(config, read);
    }
    listeners(config, read);
    streams::judge(config, read);
    kubernetes::judge(config, read);
    networks(config, read);
    access(config, read);
    files(config, read);
    if config.publish == Publish::Never {
        notice(
            read,
            "publish",
            "URLs are not written into the tasks: clients that wait for one wait in vain",
        );
    }
}

pub(super) fn mistake(read: &mut Reader, key: &'static str, what: impl Into<String>, remedy: impl Into<String>) {
    let place = read.place(key);
    read.said.mistake(place, what, remedy);
}

pub(super) fn notice(read: &mut Reader, key: &'static str, what: impl Into<String>) {
    let place = read.place(key);
    read.said.notice(place, what);
}

fn name(config: &Config, read: &mut Reader) {
    let length = config.site.name.chars().count();
    if length == 0 || length > 63 {
        mistake(
            read,
            "gateway.name",
            format!("has {length} characters"),
            "write 1 to 63 characters",
        );
    }
}

fn cookies(config: &Config, read: &mut Reader) {
    let (site, session) = (&config.site, &config.session);
    if session.is_cookie_secure && !site.router.is_secure() {
        mistake(
            read,
            "session.cookie_secure",
            format!(
                "browsers throw Secure cookies away that come over plain HTTP, and gateway.url is {}",
                site.router
            ),
            "set it to false or leave it out; better: use https in gateway.url",
        );
    }
    if !session.is_cookie_secure && site.router.is_secure() {
        notice(
            read,
            "session.cookie_secure",
            "session cookies are not marked Secure although gateway.url is https: a browser would send them over plain HTTP, too",
        );
    }
    if session.lifetime > portico_auth::session::LONGEST {
        mistake(
            read,
            "session.lifetime",
            "is longer than 7d, after which revocations are forgotten",
            "write 7d or less",
        );
    }
    if session.idle > session.lifetime {
        notice(
            read,
            "session.idle",
            "has no effect: it is longer than session.lifetime",
        );
    }
    let ports: Vec<u16> = config.http.listen.iter().map(SocketAddr::port).collect();
    if !site.router.is_secure() && !ports.contains(&site.router.port()) && !ports.contains(&0) {
        notice(
            read,
            "gateway.url",
            format!(
                "names port {}, but http.listen has {}: right only if something in between leads from one to the other",
                site.router.port(),
                ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", "),
            ),
        );
    }
    if !site.router.is_secure() && !is_local(site.router.host()) {
        notice(
            read,
            "gateway.url",
            "passwords, keys and everything else travel unencrypted over plain HTTP",
        );
    }
}

fn is_local(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn console(config: &Config, read: &mut Reader) {
    let router = &config.site.router;
    let Some(console) = &config.site.console else {
        if read.is_said("console.listen") {
            mistake(
                read,
                "console.listen",
                "the console is served only under an address of its own",
                "set console.url, or leave console.listen out",
            );
        }
        return notice(
            read,
            "console.url",
            "is not set: the log-in page shares its origin with all applications, and a malicious one could imitate it",
        );
    };
    if console == router {
        return mistake(
            read,
            "console.url",
            "is the same as gateway.url, so that applications would share the console's origin",
            "give the console a host of its own, or at least another port",
        );
    }
    if console.host() == router.host() {
        notice(
            read,
            "console.url",
            "differs from gateway.url by its port only: cookies ignore ports; a host of its own is safer",
        );
    }
    if console.is_secure() != router.is_secure() {
        notice(
            read,
            "console.url",
            format!("is {} while gateway.url is {}", console.scheme(), router.scheme()),
        );
    }
    if config.site.extra_hosts.iter().any(|host| host == console.authority()) {
        mistake(
            read,
            "http.extra_hosts",
            format!("{} is the console's", console.authority()),
            "take it out: applications must not be reached on the console's origin",
        );
    }
}

fn server(config: &Config, read: &mut Reader) {
    let host = &config.clearml.api_host;
    if host == config.site.router.as_str() {
        mistake(
            read,
            "clearml.api_host",
            "is the same as gateway.url",
            "give the address of the ClearML API server",
        );
    } else if host.contains("://app.") {
        notice(
            read,
            "clearml.api_host",
            "looks like ClearML's web pages; the API is usually at https://api. or at port 8008",
        );
    }
    if !config.clearml.verify_tls {
        notice(
            read,
            "clearml.verify_tls",
            "whoever can divert the connection to the ClearML server can let anybody in; use clearml.ca_bundle instead",
        );
    }
}

/// Each listener is named, so that a clash can be.
pub(super) fn all_listeners(config: &Config) -> impl Iterator<Item = (&'static str, SocketAddr)> {
    let named =
        |key: &'static str, list: &[SocketAddr]| list.iter().map(move |address| (key, *address)).collect::<Vec<_>>();
    named("http.listen", &config.http.listen)
        .into_iter()
        .chain(named("console.listen", &config.console.listen))
        .chain(named("operations.listen", &config.operations.listen))
}

fn listeners(config: &Config, read: &mut Reader) {
    let listeners: Vec<_> = all_listeners(config).collect();
    for (at, (key, address)) in listeners.iter().enumerate() {
        let clash = listeners.iter().take(at).find(|(_, other)| overlap(*address, *other));
        if let Some((other_key, other)) = clash {
            mistake(
                read,
                key,
                format!("{address} is taken already by {other_key} ({other})"),
                "give each listener a port of its own",
            );
        }
    }
    if config.http.listen.is_empty() {
        mistake(
            read,
            "http.listen",
            "is empty",
            "write an address and a port: 0.0.0.0:8080",
        );
    }
    if config.operations.listen.is_empty() {
        notice(
            read,
            "operations.listen",
            "is empty: there are no metrics and no health checks",
        );
    }
    if config.http.connections == 0 {
        mistake(
            read,
            "http.connections",
            "nobody could connect",
            "write a number above zero",
        );
    }
    let limit = config.http.header_limit;
    if !(8 << 10..=1 << 20).contains(&limit) {
        mistake(
            read,
            "http.header_limit",
            format!("{limit} bytes is outside of what works"),
            "write a size from 8KiB to 1MiB",
        );
    }
}

pub(super) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    // `[::]` takes IPv4 as well, where the system is as it comes.
    let covers = |wide: IpAddr, narrow: IpAddr| wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4());
    let (port, one, other) = (one.port() == other.port() && one.port() != 0, one.ip(), other.ip());
    port && (one == other || covers(one, other) || covers(other, one))
}

fn networks(config: &Config, read: &mut Reader) {
    for network in &config.discovery.networks {
        if network.prefix_len() == 0 {
            notice(
                read,
                "discovery.networks",
                format!(
                    "{network} is everywhere: whoever may edit a task may point its endpoint at any machine the gateway reaches"
                ),
            );
        } else if network.addr().is_loopback() {
            mistake(
                read,
                "discovery.networks",
                format!("{network} is loopback, which is never dialed"),
                "let the application listen on the machine's own address, and allow that",
            );
        }
    }
    if config
        .http
        .trusted_proxies
        .iter()
        .any(|network| network.prefix_len() == 0)
    {
        notice(
            read,
            "http.trusted_proxies",
            "everybody is trusted: each visitor may claim any address in X-Forwarded-For",
        );
    }
}

fn access(config: &Config, read: &mut Reader) {
    match &config.access.default {
        Some(Who::Public) => mistake(
            read,
            "access.default",
            "every application of every task would be open to everybody",
            "write owner or visible; open single queues or projects by access.queues and access.projects",
        ),
        Some(Who::Users(_)) => {
            mistake(
                read,
                "access.default",
                "cannot be a list of users",
                "write owner or visible",
            );
        }
        _ => {}
    }
    if config.access.ceiling == Some(Who::Owner) && matches!(config.access.default, Some(Who::Visible)) {
        notice(read, "access.default", "has no effect: access.ceiling is owner");
    }
    for (key, rules) in [
        ("access.queues", &config.access.queues),
        ("access.projects", &config.access.projects),
    ] {
        for (name, _) in rules.iter().filter(|(_, who)| *who == Who::Public) {
            notice(
                read,
                key,
                format!("the endpoints of {name:?} are open to everybody, without log-in"),
            );
        }
    }
    let is_served = |queue: &String| config.discovery.queues.is_empty() || config.discovery.queues.contains(queue);
    for (queue, _) in config.access.queues.iter().filter(|(queue, _)| !is_served(queue)) {
        notice(
            read,
            "access.queues",
            format!("the rule for {queue:?} has no effect: discovery.queues leaves the queue out"),
        );
    }
}

fn files(config: &Config, read: &mut Reader) {
    if config.state.path.is_none() && config.state.kubernetes.is_none() {
        notice(
            read,
            "state.path",
            "is memory: with each restart everybody has to log in anew, and revocations are forgotten",
        );
    }
    let (key, secret) = (&config.clearml.access_key, &config.clearml.secret_key);
    if let (SecretSource::File(key), SecretSource::File(secret)) = (key, secret)
        && key == secret
    {
        mistake(
            read,
            "clearml.secret_key_file",
            "is the same file as clearml.access_key_file",
            "put key and secret into a file each",
        );
    }
    // `sun_path` holds 108 bytes.
    if config.control.socket.as_os_str().len() > 100 {
        mistake(
            read,
            "control.socket",
            "is longer than a socket's path may be",
            "choose a path of at most 100 bytes",
        );
    }
    if config.state.path.as_deref().is_some_and(Path::is_relative) {
        notice(
            read,
            "state.path",
            "is relative: it depends on the directory from which the gateway is started",
        );
    }
}
