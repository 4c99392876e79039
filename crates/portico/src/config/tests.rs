//! Whole configurations: what comes out, and what is said about what is wrong.

use std::path::PathBuf;

use portico_core::access::{RuleSource, Who};

use super::*;
use crate::secret_files::SecretSource;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).join(name)
}

/// Reads a file of variables as docker does: everything after `=`, quotes included.
fn variables(name: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(fixture(name)).expect("the fixture");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

const NEEDED: &[(&str, &str)] = &[
    ("ROUTER_URL", "https://gateway.example.com"),
    ("CLEARML_API_HOST", "https://api.clearml.example.com"),
    ("CLEARML_API_ACCESS_KEY", "ABCDEFGHIJKLMNOPQRST"),
    ("CLEARML_API_SECRET_KEY", "hunter2"),
];

/// What is needed, with these variables besides or instead.
pub(super) fn with(more: &[(&str, &str)]) -> Result<Loaded, Mistakes> {
    let all = NEEDED.iter().chain(more);
    let by_name: std::collections::BTreeMap<_, _> = all
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    load(None, by_name)
}

pub(super) fn good(more: &[(&str, &str)]) -> Loaded {
    with(more).expect("no mistakes")
}

pub(super) fn only_mistake(more: &[(&str, &str)]) -> String {
    let mistakes = with(more).expect_err("a mistake").mistakes;
    let [mistake] = &mistakes[..] else {
        panic!("one mistake, not {mistakes:?}")
    };
    mistake.to_string()
}

pub(super) fn notices(loaded: &Loaded) -> String {
    loaded
        .notices
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The text without the paths of this machine.
fn portable(text: &str) -> String {
    text.replace(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/"), "")
}

fn streams(config: &Config) -> (String, String) {
    let streams = config.streams.as_ref().expect("TCP endpoints are served");
    (streams.external.to_string(), streams.range.to_string())
}

#[test]
fn the_guides_sample_for_an_own_server_works_unchanged() {
    let loaded = load(None, variables("self-hosted.env")).expect("no mistakes");
    let config = &loaded.config;
    assert_eq!(config.site.name, "main-router");
    assert_eq!(config.site.router.as_str(), "http://192.0.2.10:8010");
    assert_eq!(config.http.listen, ["0.0.0.0:8010".parse().expect("an address")]);
    assert_eq!(config.clearml.api_host, "https://api.clearml.example.com");
    assert!(matches!(&config.clearml.access_key, SecretSource::Value(key) if key.reveal() == "ABCDEFGHIJKLMNOPQRST"));
    assert!(matches!(&config.clearml.secret_key, SecretSource::Value(key) if key.reveal() == "not-a-real-secret"));
    assert_eq!(config.clearml.auth_cookie_name, None, "empty is unset");
    assert_eq!(config.discovery.queues, ["queue_1", "queue_2"]);
    assert!(!config.session.is_cookie_secure);
    assert_eq!(streams(config), ("192.0.2.10".into(), "9000-9010".into()));
    insta::assert_snapshot!(notices(&loaded));
}

#[test]
fn the_guides_sample_for_the_hosted_server_works_unchanged() {
    let loaded = load(None, variables("hosted.env")).expect("no mistakes");
    let config = &loaded.config;
    assert_eq!(
        config.clearml.auth_cookie_name.as_deref(),
        Some("clearml_token_example")
    );
    assert_eq!(config.discovery.queues, ["queue_1", "queue_2"]);
    assert!(config.session.is_cookie_secure && config.clearml.verify_tls);
    assert_eq!(streams(config), ("router.example.com".into(), "9000-9010".into()));
    insta::assert_snapshot!(notices(&loaded));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let mistakes = load(Some(&fixture("mistakes.yaml")), []).expect_err("mistakes");
    insta::assert_snapshot!(portable(&mistakes.to_string()));
}

#[test]
fn nothing_at_all_tells_what_is_needed() {
    insta::assert_snapshot!(load(None, []).expect_err("mistakes").to_string());
}

#[test]
fn the_file_says_what_the_environment_does_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("portico.yaml");
    let text = "gateway:\n  name: from-file\n  url: https://file.example.com/\nclearml:\n  secret_key: from-file\n\
                discovery:\n  queues: [one, two words]\n  networks: 10.1.0.0/16\naccess:\n  queues:\n    one: [alice]\n    two words: public\n\
                http:\n  listen:\n    - 8081\n    - '[::1]:8082'\n  extra_hosts: Other.Example.com\nlog:\n";
    std::fs::write(&path, text).expect("write");
    let variables = [
        ("CLEARML_API_HOST", "https://api.clearml.example.com/"),
        ("CLEARML_API_ACCESS_KEY", "key"),
        ("PORTICO__GATEWAY__NAME", "from-environment"),
    ];
    let loaded = load(
        Some(&path),
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())),
    )
    .expect("no mistakes");
    let config = &loaded.config;
    assert_eq!(config.site.name, "from-environment");
    assert_eq!(config.site.router.as_str(), "https://file.example.com");
    assert_eq!(config.site.extra_hosts, ["other.example.com"]);
    assert_eq!(config.clearml.api_host, "https://api.clearml.example.com");
    assert_eq!(config.discovery.queues, ["one", "two words"]);
    assert_eq!(config.discovery.networks, ["10.1.0.0/16".parse().expect("a network")]);
    assert_eq!(format!("{:?}", config.http.listen), "[0.0.0.0:8081, [::1]:8082]");
    assert_eq!(config.access.queues[1], ("two words".into(), Who::Public));
    assert_eq!(
        loaded.place("gateway.url").to_string(),
        format!("{}:3 gateway.url", path.display())
    );
    assert_eq!(loaded.place("gateway.name").to_string(), "PORTICO__GATEWAY__NAME");
    assert_eq!(loaded.place("log.level").to_string(), "log.level (LOGGER_LEVEL)");
}

#[test]
fn defaults_are_those_of_the_reference() {
    let config = good(&[]).config;
    insta::assert_debug_snapshot!(Config {
        http: Http {
            threads: 2,
            ..config.http
        },
        ..config
    });
}

#[test]
fn each_default_can_be_read() {
    // Building reads all of them; a wrong default panics, but only where it is used. The environment says it instead.
    for key in KEYS {
        if let Fallback::Value(default) = key.fallback {
            let own = key.own_variable();
            let loaded = with(&[
                (&own, default),
                ("PORTICO__CONSOLE__URL", "https://console.example.com"),
            ]);
            assert!(loaded.is_ok(), "{}: {loaded:?}", key.path);
        }
    }
}

#[test]
fn secure_cookies_over_plain_http_are_a_mistake() {
    for name in [
        "AUTH_SECURE_ENABLED",
        "ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE",
        "PORTICO__SESSION__COOKIE_SECURE",
    ] {
        let told = only_mistake(&[("ROUTER_URL", "http://10.0.0.1:8010"), (name, "\"true\"")]);
        assert!(
            told.starts_with(&format!("{name}: browsers throw Secure cookies away")),
            "{told}"
        );
    }
    let plain = good(&[("ROUTER_URL", "http://10.0.0.1:8010")]);
    assert!(!plain.config.session.is_cookie_secure, "it follows the scheme");
}

#[test]
fn the_flag_of_the_container_comes_before_that_of_the_compose_file() {
    let loaded = good(&[
        ("ROUTER_URL", "http://10.0.0.1:8010"),
        ("ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE", "false"),
        ("AUTH_SECURE_ENABLED", "true"),
    ]);
    assert!(!loaded.config.session.is_cookie_secure);
    let told = notices(&loaded);
    assert!(
        told.contains("AUTH_SECURE_ENABLED: has no effect: ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE"),
        "{told}"
    );
}

#[test]
fn a_url_whose_port_is_not_listened_on_is_noticed() {
    let forgotten = good(&[("ROUTER_URL", "http://10.0.0.1:8010")]);
    assert!(notices(&forgotten).contains("ROUTER_URL: names port 8010, but http.listen has 8080"));
    let right = good(&[
        ("ROUTER_URL", "http://10.0.0.1:8010"),
        ("ROUTER__WEBSERVER__SERVER_PORT", "8010"),
    ]);
    assert!(!notices(&right).contains("names port"));
}

#[test]
fn running_without_authentication_is_a_mistake() {
    assert!(only_mistake(&[("AUTH_ENABLED", "False")]).contains("never runs without authentication"));
    good(&[("AUTH_ENABLED", "true")]);
    good(&[("AUTH_ENABLED", "")]);
}

#[test]
fn a_misspelled_variable_is_noticed_with_the_nearest_name() {
    let loaded = good(&[
        ("ROUTER__HTTP__AUTHORIZATION__COOKIE__SECRUE", "false"),
        ("PORTICO__HTTP__LISTENS", "8080"),
        ("ROUTER_SERVICE_HOST", "kubernetes sets such"),
        ("CLEARML_WORKER_ID", "the SDK's"),
    ]);
    let told = notices(&loaded);
    assert!(
        told.contains("did you mean ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE?"),
        "{told}"
    );
    assert!(told.contains("did you mean PORTICO__HTTP__LISTEN?"), "{told}");
    assert!(
        !told.contains("ROUTER_SERVICE_HOST") && !told.contains("CLEARML_WORKER_ID"),
        "{told}"
    );
}

#[test]
fn the_console_needs_an_origin_of_its_own() {
    let told = only_mistake(&[("PORTICO__CONSOLE__URL", "https://GATEWAY.example.com:443/")]);
    assert!(told.contains("is the same as gateway.url"), "{told}");
    let loaded = good(&[("PORTICO__CONSOLE__URL", "https://gateway.example.com:8443")]);
    assert!(notices(&loaded).contains("by its port only"));
    let told = only_mistake(&[
        ("PORTICO__CONSOLE__URL", "https://console.example.com"),
        ("PORTICO__HTTP__EXTRA_HOSTS", "a.example.com console.example.com"),
    ]);
    assert!(told.contains("console.example.com is the console's"), "{told}");
}

#[test]
fn two_listeners_on_one_port_are_a_mistake() {
    let told = only_mistake(&[("PORTICO__OPERATIONS__LISTEN", "127.0.0.1:8080")]);
    assert!(
        told.contains("127.0.0.1:8080 is taken already by http.listen (0.0.0.0:8080)"),
        "{told}"
    );
    assert!(only_mistake(&[("PORTICO__OPERATIONS__LISTEN", "[::]:8080")]).contains("taken already"));
    good(&[("PORTICO__OPERATIONS__LISTEN", "[::1]:8080")]);
    good(&[
        ("PORTICO__HTTP__LISTEN", "127.0.0.1:0"),
        ("PORTICO__OPERATIONS__LISTEN", "127.0.0.1:0"),
    ]);
}

#[test]
fn a_secret_is_a_value_or_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("secret");
    let file = path.to_str().expect("a path");
    let missing =
        with(&[("CLEARML_API_SECRET_KEY", ""), ("CLEARML_API_SECRET_KEY_FILE", file)]).expect_err("no file yet");
    assert!(missing.to_string().contains("cannot be read"), "{missing}");
    std::fs::write(&path, "from-file\n").expect("write");
    let loaded = good(&[("CLEARML_API_SECRET_KEY", ""), ("CLEARML_API_SECRET_KEY_FILE", file)]);
    assert_eq!(loaded.config.clearml.secret_key, SecretSource::File(path.clone()));
    let told = only_mistake(&[("PORTICO__CLEARML__SECRET_KEY_FILE", file)]);
    assert!(told.contains("says the same in another way"), "{told}");

    let yaml = directory.path().join("portico.yaml");
    std::fs::write(&yaml, format!("clearml: {{secret_key_file: {file}}}")).expect("write");
    let environment = NEEDED
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let loaded = load(Some(&yaml), environment).expect("the environment counts before the file");
    assert!(matches!(loaded.config.clearml.secret_key, SecretSource::Value(_)));
}

#[test]
fn secrets_are_in_no_output() {
    let loaded = good(&[]);
    assert!(!format!("{loaded:?}").contains("hunter2"));
    let mistakes = with(&[
        ("CLEARML_API_SECRET_KEY", "hunter2\nhunter2"),
        ("ROUTER_URL", "https://me:hunter2@gateway.example.com"),
        ("CLEARML_API_HOST", "https://me:hunter2@api.example.com"),
    ])
    .expect_err("mistakes");
    assert_eq!(mistakes.mistakes.len(), 3, "{mistakes}");
    assert!(!mistakes.to_string().contains("hunter2"), "{mistakes}");
}

#[test]
fn the_default_rule_depends_on_the_server_and_what_is_configured_says_where() {
    let access = good(&[]).config.access;
    assert_eq!(access.policy(true).default.who, Who::Visible);
    assert_eq!(access.policy(false).default.who, Who::Owner);
    let access = good(&[
        ("PORTICO__ACCESS__DEFAULT", "visible"),
        ("PORTICO__ACCESS__QUEUES", "{demo: public}"),
    ])
    .config
    .access;
    let policy = access.policy(false);
    assert_eq!(
        policy.default.source,
        RuleSource::Configuration("access.default".into())
    );
    assert_eq!(
        policy.queues[0].1.source,
        RuleSource::Configuration("access.queues.demo".into())
    );
}

#[test]
fn files_that_are_no_configuration_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("portico.yaml");
    for (content, what) in [
        ("- a", "is not a mapping"),
        ("a: [", "is not YAML"),
        ("gateway: {name: a, name: b}", "is not YAML"),
        (&"#".repeat(2 << 20), "longer than 1 MiB"),
    ] {
        std::fs::write(&path, content).expect("write");
        let told = load(Some(&path), []).expect_err("a mistake").to_string();
        assert!(told.contains(what) && told.contains("portico.yaml"), "{told}");
    }
    let told = load(Some(directory.path()), []).expect_err("a mistake").to_string();
    assert!(told.contains("cannot be read"), "{told}");
}

#[test]
fn a_file_with_a_secret_that_everybody_may_read_is_noticed() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("portico.yaml");
    std::fs::write(&path, "clearml:\n  secret_key: hunter2\n").expect("write");
    for (mode, is_noticed) in [(0o644, true), (0o600, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
        let environment = NEEDED[..3]
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let told = notices(&load(Some(&path), environment).expect("no mistakes"));
        assert_eq!(
            told.contains("portico.yaml:2 clearml.secret_key: everybody"),
            is_noticed,
            "{told}"
        );
    }
}

#[test]
fn a_taken_port_and_an_unwritable_place_are_found_by_trying() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let loaded = good(&[
        ("PORTICO__HTTP__LISTEN", &address),
        ("PORTICO__OPERATIONS__LISTEN", "127.0.0.1:0"),
        ("PORTICO__STATE__PATH", "/proc/self/portico/state.db"),
    ]);
    let told: Vec<String> = probe(&loaded).mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with(&format!("PORTICO__HTTP__LISTEN: cannot listen on {address}")),
        "{told:?}"
    );
    assert!(
        told[1].starts_with("PORTICO__STATE__PATH: /proc/self cannot be written"),
        "{told:?}"
    );
    drop(taken);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("deep/down/state.db");
    let free = good(&[
        ("PORTICO__HTTP__LISTEN", "127.0.0.1:0"),
        ("PORTICO__OPERATIONS__LISTEN", "127.0.0.1:0"),
        ("PORTICO__STATE__PATH", path.to_str().expect("a path")),
    ]);
    assert_eq!(probe(&free), Mistakes::default());
    assert_eq!(
        std::fs::read_dir(directory.path()).expect("the directory").count(),
        0,
        "nothing is left behind"
    );
}
