//! What the program uses, section by section.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use portico_core::{
    access::{AccessRule, RuleSource, Who},
    access_policy::AccessPolicy,
    secret::Secret,
    site::{Origin, Site},
};

use super::{
    Loaded, LogFormat, LogLevel, Mistakes, Place, Sink,
    forms::{Base, DiscoveryKind, Host, Publish, Size},
    keys,
    kubernetes::{self, Cluster, PodDiscovery, SecretPlace},
    reader::Reader,
    rules,
    said::Said,
    streams::{self, Streams},
};
use crate::secret_files::{self, SecretSource};

/// A configuration without mistakes. The meaning of each field stands at its key in `docs/reference/configuration.md`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' documentation is the fields'")]
pub struct Config {
    /// `gateway`, `console.url` and `http.extra_hosts`.
    pub site: Site,
    pub http: Http,
    /// `None`: TCP endpoints are refused.
    pub streams: Option<Streams>,
    pub console: Console,
    pub operations: Operations,
    pub session: Session,
    pub clearml: Clearml,
    pub discovery: Discovery,
    pub access: Access,
    /// `authorization.stale`.
    pub stale: Duration,
    pub publish: Publish,
    pub shutdown: Shutdown,
    pub state: State,
    pub control: Control,
    pub log: Log,
    /// Where this process is.
    pub cluster: Cluster,
}

/// `http`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' documentation is the fields'")]
pub struct Http {
    pub listen: Vec<SocketAddr>,
    pub trusted_proxies: Vec<IpNet>,
    /// At least one.
    pub threads: usize,
    pub connect_timeout: Duration,
    pub response_timeout: Duration,
    pub header_timeout: Duration,
    /// Bytes.
    pub header_limit: usize,
    pub idle_timeout: Duration,
    pub connections: usize,
    pub connections_per_address: usize,
}

/// `console`, without its URL, which is part of the site.
#[derive(Clone, Debug)]
pub struct Console {
    /// Empty while there is no `console.url`.
    pub listen: Vec<SocketAddr>,
}

/// `operations`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' documentation is the fields'")]
pub struct Operations {
    pub listen: Vec<SocketAddr>,
}

/// `session`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' documentation is the fields'")]
pub struct Session {
    pub lifetime: Duration,
    pub idle: Duration,
    pub is_cookie_secure: bool,
}

/// `clearml`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' documentation is the fields'")]
pub struct Clearml {
    /// Without a slash at its end.
    pub api_host: String,
    pub access_key: SecretSource,
    pub secret_key: SecretSource,
    /// Without a slash at its end.
    pub web_url: Option<String>,
    pub verify_tls: bool,
    /// The contents of `clearml.ca_bundle`: PEM.
    pub ca_bundle: Option<Vec<u8>>,
    pub auth_cookie_name: Option<String>,
}

/// `discovery`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' documentation is the fields'")]
pub struct Discovery {
    pub kind: DiscoveryKind,
    /// Empty = all.
    pub queues: Vec<String>,
    pub networks: Vec<IpNet>,
    pub allow_server_ports: bool,
    /// With `discovery.kind: kubernetes`.
    pub kubernetes: Option<PodDiscovery>,
}

/// `access`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' documentation is the fields'")]
pub struct Access {
    pub default: Option<Who>,
    pub ceiling: Option<Who>,
    pub queues: Vec<(String, Who)>,
    pub projects: Vec<(String, Who)>,
    pub path_warning: bool,
}

impl Access {
    /// The rules, once it is known which kind of server answers: on an open-source one every colleague may edit every task, so
    /// that seeing a task must not be enough.
    pub fn policy(&self, is_enterprise: bool) -> AccessPolicy {
        let said = |key: &str, who: &Who| AccessRule {
            who: who.clone(),
            source: RuleSource::Configuration(key.into()),
        };
        let named = |key: &str, rules: &[(String, Who)]| {
            let rule = |(name, who): &(String, Who)| (name.clone(), said(&format!("{key}.{name}"), who));
            rules.iter().map(rule).collect()
        };
        let own = if is_enterprise { Who::Visible } else { Who::Owner };
        let mut policy = AccessPolicy::only(own);
        if let Some(who) = &self.default {
            policy.default = said("access.default", who);
        }
        policy.ceiling = self.ceiling.as_ref().map(|who| said("access.ceiling", who));
        policy.queues = named("access.queues", &self.queues);
        policy.projects = named("access.projects", &self.projects);
        policy
    }
}

/// `shutdown`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' documentation is the fields'")]
pub struct Shutdown {
    pub delay: Duration,
    pub grace: Duration,
    pub stream_grace: Duration,
}

/// `state`.
#[derive(Clone, Debug)]
pub struct State {
    /// `None`: in memory, or in Secrets.
    pub path: Option<PathBuf>,
    /// With `state.kind: kubernetes`.
    pub kubernetes: Option<SecretPlace>,
}

/// `control`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' documentation is the fields'")]
pub struct Control {
    pub socket: PathBuf,
}

/// `log`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' documentation is the fields'")]
pub struct Log {
    pub level: LogLevel,
    pub format: LogFormat,
    pub access_log: Sink,
    pub audit: Sink,
}

/// Understands what was said, with all mistakes at once.
pub(super) fn build(said: Said) -> Result<Loaded, Mistakes> {
    let mut read = Reader { said };
    // Stands in where the URL is missing or wrong, so that the rest is looked at as well.
    let unknown = || Origin::parse("https://gateway.invalid").unwrap_or_else(|error| unreachable!("{error}"));
    let router = read.required("gateway.url");
    let console: Option<Origin> = read.optional("console.url");
    let hosts: Vec<Host> = read.list("http.extra_hosts");
    let has_url = router.is_some();
    let site = Site {
        name: read.value("gateway.name"),
        router: router.unwrap_or_else(unknown),
        console,
        extra_hosts: hosts.into_iter().map(|Host(host)| host).collect(),
    };
    let session = Session {
        lifetime: read.positive("session.lifetime"),
        idle: read.positive("session.idle"),
        is_cookie_secure: read
            .optional("session.cookie_secure")
            .unwrap_or(site.router.is_secure()),
    };
    let state = state(&mut read);
    let socket = socket_beside(&mut read, state.path.as_deref());
    let console_listen = read.list("console.listen");
    let kind = read.value("discovery.kind");
    let config = Config {
        http: Http {
            listen: read.list("http.listen"),
            trusted_proxies: read.list("http.trusted_proxies"),
            threads: threads(&mut read),
            connect_timeout: read.positive("http.connect_timeout"),
            response_timeout: read.positive("http.response_timeout"),
            header_timeout: read.positive("http.header_timeout"),
            header_limit: read.value::<Size>("http.header_limit").0,
            idle_timeout: read.positive("http.idle_timeout"),
            connections: read.value("http.connections"),
            connections_per_address: read.value("http.connections_per_address"),
        },
        streams: streams::read(&mut read),
        console: Console {
            listen: if site.console.is_some() {
                console_listen
            } else {
                Vec::new()
            },
        },
        operations: Operations {
            listen: read.list("operations.listen"),
        },
        clearml: clearml(&mut read),
        discovery: Discovery {
            kind,
            queues: read.list("discovery.queues"),
            networks: read.list("discovery.networks"),
            allow_server_ports: read.value("discovery.allow_server_ports"),
            kubernetes: kubernetes::discovery(&mut read, kind),
        },
        access: Access {
            default: read.optional("access.default"),
            ceiling: read.optional("access.ceiling"),
            queues: read.rules("access.queues"),
            projects: read.rules("access.projects"),
            path_warning: read.value("access.path_warning"),
        },
        stale: read.value("authorization.stale"),
        publish: read.value("publish"),
        shutdown: Shutdown {
            delay: read.value("shutdown.delay"),
            grace: read.value("shutdown.grace"),
            stream_grace: read.value("shutdown.stream_grace"),
        },
        control: Control { socket },
        log: Log {
            level: read.value("log.level"),
            format: read.value("log.format"),
            access_log: read.value("log.access_log"),
            audit: read.value("log.audit"),
        },
        cluster: read.said.cluster.clone(),
        site,
        session,
        state,
    };
    rules::judge(&config, has_url, &mut read);
    let mut said = read.said;
    let (mut mistakes, notices) = (std::mem::take(&mut said.mistakes), std::mem::take(&mut said.notices));
    // Whoever corrects a file goes through it from top to bottom.
    mistakes.sort_by_key(|mistake| match &mistake.place {
        Place::File { line, .. } => line.unwrap_or(0),
        Place::Variable(_) | Place::Unsaid(_) => usize::MAX,
    });
    if mistakes.is_empty() {
        Ok(Loaded { config, notices, said })
    } else {
        Err(Mistakes { mistakes, notices })
    }
}

fn state(read: &mut Reader) -> State {
    let path: PathBuf = read.value("state.path");
    let kubernetes = kubernetes::state(read);
    State {
        path: (path.as_os_str() != "memory" && kubernetes.is_none()).then_some(path),
        kubernetes,
    }
}

/// `control.socket`, or its place beside the state.
pub(super) fn socket(read: &mut Reader) -> PathBuf {
    let state = state(read);
    socket_beside(read, state.path.as_deref())
}

fn socket_beside(read: &mut Reader, state: Option<&Path>) -> PathBuf {
    let said = read.optional("control.socket");
    said.unwrap_or_else(|| {
        state.map_or_else(
            || "/run/portico/control.sock".into(),
            |path| path.with_file_name("control.sock"),
        )
    })
}

fn threads(read: &mut Reader) -> usize {
    // Counts the CPUs that the process may use, a container's quota included.
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    match read.optional("http.threads") {
        Some(0) => {
            let place = read.place("http.threads");
            read.said
                .mistake(place, "must not be zero", "write a number of threads, or leave it out");
            1
        }
        Some(threads) => threads,
        None => available.min(4),
    }
}

fn clearml(read: &mut Reader) -> Clearml {
    let host = read
        .required("clearml.api_host")
        .map_or_else(String::new, |Base(host)| host);
    let ca_bundle = read
        .optional("clearml.ca_bundle")
        .and_then(|path: PathBuf| match std::fs::read(&path) {
            Ok(pem) => Some(pem),
            Err(error) => {
                let place = read.place("clearml.ca_bundle");
                read.said.mistake(
                    place,
                    format!("{} cannot be read: {error}", path.display()),
                    "give a PEM file",
                );
                None
            }
        });
    Clearml {
        api_host: host,
        access_key: secret(read, "clearml.access_key"),
        secret_key: secret(read, "clearml.secret_key"),
        web_url: read.optional("clearml.web_url").map(|Base(url)| url),
        verify_tls: read.value("clearml.verify_tls"),
        ca_bundle,
        auth_cookie_name: read.optional("clearml.auth_cookie_name"),
    }
}

/// A secret as a value or as a file. The file must be there and hold something.
fn secret(read: &mut Reader, key: &'static str) -> SecretSource {
    let none = SecretSource::Value(Secret::default());
    let file = keys::file_of(key).filter(|file| read.is_said(file));
    let Some(file) = file else {
        if !read.is_said(key) {
            let remedy = format!("create a key in ClearML's settings and set it, or name its file by {key}_file");
            read.said.mistake(Place::Unsaid(key), "is not set", remedy);
            return none;
        }
        return read
            .optional(key)
            .map_or(none, |text: String| SecretSource::Value(Secret::new(text)));
    };
    if read.is_said(key) {
        let place = read.place(file);
        read.said
            .mistake(place, format!("{key} is set as well"), "set one of the two");
    }
    let Some(path) = read.optional::<PathBuf>(file) else {
        return none;
    };
    if let Err(error) = secret_files::read(&path) {
        let place = read.place(file);
        read.said.mistake(
            place,
            error.to_string(),
            "give a file that holds the secret and nothing else",
        );
    }
    SecretSource::File(path)
}
