//! All keys: their names in the file and in the environment, their defaults and what they are for.
//!
//! `docs/reference/configuration.md` is generated from this list.

/// What holds while nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// This value, written as the operator would.
    Value(&'static str),
    /// Nothing, or something that follows from elsewhere; in words.
    Words(&'static str),
    /// It must be said.
    Required,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its path in the file: `http.listen`. In the environment: `PORTICO__HTTP__LISTEN`.
    pub path: &'static str,
    /// The kind of value.
    pub form: &'static str,
    /// What holds while nothing is said.
    pub fallback: Fallback,
    /// The enterprise gateway's variables for it, the newest first.
    pub variables: &'static [&'static str],
    /// Must not be shown. Has a sibling `…_file`.
    pub is_secret: bool,
    /// What it is for.
    pub about: &'static str,
}

impl Key {
    /// Its own variable: `PORTICO__SECTION__KEY`.
    pub fn own_variable(&self) -> String {
        format!("PORTICO__{}", self.path.replace('.', "__").to_uppercase())
    }
}

const fn key(path: &'static str, form: &'static str, fallback: Fallback, about: &'static str) -> Key {
    Key {
        path,
        form,
        fallback,
        variables: &[],
        is_secret: false,
        about,
    }
}

impl Key {
    const fn or(mut self, variables: &'static [&'static str]) -> Self {
        self.variables = variables;
        self
    }

    const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }
}

use Fallback::{Required, Value, Words};

/// All keys, by section.
pub const KEYS: &[Key] = &[
    key("gateway.name", "text", Value("portico"), "The gateway's name; unique among the gateways of one ClearML workspace. It appears in the URLs for browsers.")
        .or(&["ROUTER_NAME"]),
    key("gateway.url", "origin", Required, "The address that visitors use: scheme, host and port, no path. The only truth for links, cookies and forwarded headers.")
        .or(&["ROUTER_URL"]),

    key("http.listen", "list of addresses", Value("0.0.0.0:8080"), "Where HTTP visitors are served. A port alone means all IPv4 addresses.")
        .or(&["ROUTER__WEBSERVER__SERVER_PORT"]),
    key("http.extra_hosts", "list of hosts", Words("none"), "Further `Host` values that are answered as if they were `gateway.url`'s."),
    key("http.trusted_proxies", "list of networks", Words("none"), "Whose `X-Forwarded-For` is believed: your ingress or load balancer."),
    key("http.threads", "number", Words("as many as CPUs, at most 4"), "Threads that serve visitors."),
    key("http.connect_timeout", "duration", Value("5s"), "How long connecting to an application may take."),
    key("http.response_timeout", "duration", Value("1h"), "How long an application may think before its answer begins. Bodies and tunnels have no limit."),
    key("http.header_timeout", "duration", Value("10s"), "How long a visitor may take to send a request's headers."),
    key("http.header_limit", "size", Value("64KiB"), "The most that a request's headers may take."),
    key("http.idle_timeout", "duration", Value("75s"), "How long a visitor's connection may be silent between two requests."),
    key("http.connections", "number", Value("20000"), "The most connections of visitors at one time; further ones wait."),
    key("http.connections_per_address", "number", Value("1000"), "The most connections from one address; further ones are turned away. Trusted proxies are exempt."),

    key("streams.external_url", "host", Words("none: no TCP endpoints"), "The host name or IP address under which clients reach the ports of TCP endpoints: no scheme, no port. It is published in the tasks.")
        .or(&["ROUTER__STREAM__EXTERNAL_URL", "STREAM_ROUTER_ADDRESS", "TCP_ROUTER_ADDRESS"]),
    key("streams.port_range.start", "port", Words("none: no TCP endpoints"), "The first port for TCP endpoints. Each endpoint gets a port of its own and keeps it.")
        .or(&["ROUTER__STREAM__PORT_RANGE__START", "STREAM_PORT_START", "TCP_PORT_START"]),
    key("streams.port_range.end", "port", Words("none: no TCP endpoints"), "The last port for TCP endpoints.")
        .or(&["ROUTER__STREAM__PORT_RANGE__END", "STREAM_PORT_END", "TCP_PORT_END"]),
    key("streams.listen", "list of IP addresses", Value("0.0.0.0"), "On which addresses of this machine the ports are opened. `0.0.0.0`: all IPv4 addresses; `::`: all."),
    key("streams.admission", "`open`, `networks` or `signed-in`", Value("open"), "Who may connect: everybody who reaches the port (the application asks for a password or a key), only `streams.allowed_sources`, or only addresses from which somebody is logged in who may open the endpoint."),
    key("streams.allowed_sources", "list of networks", Words("none"), "From where connections are taken, with `streams.admission: networks`."),
    key("streams.proxy_protocol", "yes or no", Value("false"), "Whether connections from `http.trusted_proxies` begin with a PROXY header (version 1 or 2), in which a load balancer tells the client's address."),
    key("streams.connections", "number", Value("10000"), "The most TCP connections at one time; further ones are closed at once."),
    key("streams.connections_per_address", "number", Value("1000"), "The most TCP connections from one address; further ones are closed at once. A trusted proxy that tells no other address is exempt."),
    key("streams.cooling", "duration", Value("5m"), "How long a port stays with an endpoint that is gone, before another one may get it: nobody's client shall end up at somebody else's application."),

    key("console.url", "origin", Words("none: the log-in is shown on `gateway.url`, beside the applications"), "The address of the console and its log-in page. It should be another host than `gateway.url`'s, so that no application shares its origin."),
    key("console.listen", "list of addresses", Value("0.0.0.0:8012"), "Where the console is served, once `console.url` is set."),

    key("operations.listen", "list of addresses", Value("0.0.0.0:8013"), "Where `/healthz`, `/readyz` and `/metrics` are served. No log-in: keep it inside."),

    key("session.lifetime", "duration", Value("7d"), "After this long a visitor logs in again, however busy. At most 7d."),
    key("session.idle", "duration", Value("24h"), "After this long without a request a visitor logs in again."),
    key("session.cookie_secure", "yes or no", Words("yes if `gateway.url` is https"), "Whether the session cookie is marked `Secure`.")
        .or(&["ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE", "AUTH_SECURE_ENABLED"]),

    key("clearml.api_host", "URL", Required, "The ClearML API server.")
        .or(&["CLEARML_API_HOST"]),
    key("clearml.access_key", "text", Required, "The key of an administrator or a service account, with which the gateway asks ClearML.")
        .or(&["CLEARML_API_ACCESS_KEY"]).secret(),
    key("clearml.secret_key", "text", Required, "The secret that belongs to the key.")
        .or(&["CLEARML_API_SECRET_KEY"]).secret(),
    key("clearml.web_url", "URL", Words("none: no links into ClearML's own pages"), "ClearML's web pages, for links such as \"create a key\"."),
    key("clearml.verify_tls", "yes or no", Value("true"), "Whether the ClearML server's certificate is checked.")
        .or(&["SSL_VERIFY"]),
    key("clearml.ca_bundle", "path", Words("the certificates that come with Portico"), "A PEM file with further certificates that the ClearML server's may be signed by."),
    key("clearml.auth_cookie_name", "text", Words("the open-source server's names"), "The cookie in which the ClearML web pages keep a log-in.")
        .or(&["AUTH_COOKIE_NAME"]),

    key("discovery.kind", "`host` or `kubernetes`", Value("host"), "From where tasks' addresses are known: from ClearML's workers (`host`), or from the pods of a namespace (`kubernetes`), whose own addresses are dialed whatever a task says."),
    key("discovery.kubernetes.namespace", "text", Words("the gateway's own"), "The namespace whose pods run the tasks."),
    key("discovery.kubernetes.lease", "text", Words("none"), "The Lease in that namespace by which the gateways of a namespace agree whose a task is. It must exist; the chart makes it. Without it this gateway believes to be alone."),
    key("discovery.kubernetes.allow_host_network", "yes or no", Value("false"), "Whether pods that share their node's network are dialed, too."),
    key("discovery.kubernetes.stale", "duration", Value("10m"), "After so long without a sign of life from Kubernetes nothing new is dialed: addresses of pods are used again. What is open goes on."),
    key("discovery.queues", "list of texts", Words("all"), "Only tasks that came from these queues are served.")
        .or(&["LISTEN_QUEUE_NAME"]),
    key("discovery.networks", "list of networks", Words("none"), "A task's own word about its address is believed inside of these networks (not with `kubernetes`). Elsewhere it must be its worker's address. Loopback, link-local and metadata addresses are never dialed."),
    key("discovery.allow_server_ports", "yes or no", Value("false"), "Whether applications of tasks may be at the ports 8008, 8080, 8081, 27017, 6379 and 9200 of the ClearML server's machine, where the server's own parts listen (not with `kubernetes`)."),

    key("access.default", "access rule", Words("`visible` on an enterprise server, `owner` on an open-source one"), "Who may open an endpoint: `owner` (of the task) or `visible` (whoever sees the task in ClearML)."),
    key("access.ceiling", "access rule", Words("none"), "No rule opens wider than this."),
    key("access.queues", "access rules by name", Words("none"), "Rules for the tasks of a queue, by its name: `owner`, `visible`, `public`, or a list of ClearML user ids besides the owner."),
    key("access.projects", "access rules by name", Words("none"), "Rules for the tasks of a project, by its id. They come before the queue's."),
    key("access.path_warning", "yes or no", Value("true"), "Whether a page says, before the first visit to somebody else's application, that applications share an origin."),
    key("authorization.stale", "duration", Value("1h"), "While ClearML cannot be asked, its last yes holds this long. 0 = not at all."),

    key("publish", "`always` or `never`", Value("always"), "Whether URLs are written into the tasks. `never` is for trials beside another gateway."),

    key("shutdown.delay", "duration", Value("0s"), "How long a stopping gateway still accepts connections, so that load balancers notice."),
    key("shutdown.grace", "duration", Value("30s"), "How long open requests may go on then."),
    key("shutdown.stream_grace", "duration", Value("30s"), "How long open WebSockets and other tunnels may go on."),

    key("state.kind", "`file` or `kubernetes`", Value("file"), "Where sessions, keys, revocations and leases are kept: in `state.path`, or in Secrets."),
    key("state.kubernetes.namespace", "text", Words("the gateway's own"), "The namespace of the Secrets."),
    key("state.kubernetes.secret", "text", Words("required with `state.kind: kubernetes`"), "How the names of the four Secrets begin: `<this>-session-keys`, `<this>-observation`, `<this>-leases`, `<this>-state`. They must exist; the chart makes them empty."),
    key("state.path", "path", Value("/var/lib/portico/state.db"), "The file with sessions, keys and revocations. `memory` forgets them at each restart."),
    key("control.socket", "path", Words("`control.sock` beside `state.path`"), "The socket through which `portico status` and the other commands ask the running gateway.")
        .or(&["PORTICO_CONTROL_SOCKET"]),

    key("log.level", "`error`, `warn`, `info`, `debug` or `trace`", Value("info"), "How much is logged, to standard error.")
        .or(&["LOGGER_LEVEL"]),
    key("log.format", "`text` or `json`", Value("text"), "How log lines look."),
    key("log.access_log", "`stdout`, `off` or path", Value("stdout"), "Where one line for each exchange goes ([format](access-log.md))."),
    key("log.audit", "`stdout`, `off` or path", Value("stdout"), "Where the audit events go ([format](audit.md))."),
];

/// A variable of the enterprise gateway that has no meaning here.
#[derive(Clone, Copy, Debug)]
pub struct Ignored {
    /// Its name.
    pub name: &'static str,
    /// Why, if the operator should be told when it is set.
    pub notice: Option<&'static str>,
    /// Why, for the reference.
    pub about: &'static str,
}

const fn ignored(name: &'static str, notice: Option<&'static str>, about: &'static str) -> Ignored {
    Ignored { name, notice, about }
}

/// The enterprise gateway's variables that are accepted and have no effect.
pub const IGNORED: &[Ignored] = &[
    ignored(
        "ROUTER__WEBSERVER__AUTO_RELOAD_CONFIG",
        None,
        "There is no second process that would have to reload.",
    ),
    ignored(
        "AUTH_ENABLED",
        None,
        "Portico never runs without authentication: `false` is a mistake.",
    ),
    ignored(
        "AUTH_BASE64_JWKS_KEY",
        Some(
            "Portico asks the ClearML server about each token and does not need the server's secret; remove it from here",
        ),
        "Portico asks the ClearML server about each token.",
    ),
    ignored(
        "EXTRA_BASH_COMMAND",
        Some("Portico runs no shell; do what the command does in the image or in an init container"),
        "Portico runs no shell.",
    ),
    ignored(
        "ROUTER_TAG",
        None,
        "The enterprise images' tags, read by docker compose alone.",
    ),
    ignored("PROXY_TAG", None, "As above."),
];

/// The key with this path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The paths of the secrets' files.
const FILES: &[(&str, &str)] = &[
    ("clearml.access_key", "clearml.access_key_file"),
    ("clearml.secret_key", "clearml.secret_key_file"),
];

/// The path of the key that names a secret's file.
pub(super) fn file_of(secret: &str) -> Option<&'static str> {
    FILES.iter().find(|(path, _)| *path == secret).map(|(_, file)| *file)
}

/// All paths, those of the secrets' files among them.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    KEYS.iter()
        .map(|key| key.path)
        .chain(FILES.iter().map(|(_, file)| *file))
}

/// The path itself, if there is such a key.
pub(super) fn path(path: &str) -> Option<&'static str> {
    paths().find(|known| *known == path)
}

/// What stands in front of a path's points.
pub(super) fn sections() -> impl Iterator<Item = &'static str> {
    KEYS.iter()
        .flat_map(|key| key.path.match_indices('.').map(|(at, _)| &key.path[..at]))
}

/// True for what keys stand below.
pub(super) fn is_section(name: &str) -> bool {
    sections().any(|section| section == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_secret_can_be_a_file() {
        for secret in KEYS.iter().filter(|key| key.is_secret) {
            assert_eq!(file_of(secret.path), Some(format!("{}_file", secret.path)).as_deref());
        }
    }

    #[test]
    fn no_name_is_used_twice() {
        let mut names: Vec<String> = KEYS.iter().map(Key::own_variable).collect();
        names.extend(KEYS.iter().flat_map(|key| key.variables).map(|name| (*name).to_owned()));
        names.extend(IGNORED.iter().map(|ignored| ignored.name.to_owned()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
