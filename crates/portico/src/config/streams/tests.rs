//! What is said about TCP endpoints, and what comes of it.

use std::net::TcpListener;

use super::*;
use crate::config::{
    Loaded, Mistakes, probe,
    tests::{good, notices, only_mistake, with},
};

const ON: [(&str, &str); 3] = [
    ("ROUTER__STREAM__EXTERNAL_URL", "gateway.example.com"),
    ("ROUTER__STREAM__PORT_RANGE__START", "9000"),
    ("ROUTER__STREAM__PORT_RANGE__END", "9010"),
];

fn on(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [&ON[..], more].concat()
}

fn streams(loaded: &Loaded) -> &Streams {
    loaded.config.streams.as_ref().expect("TCP endpoints are served")
}

fn all(mistakes: &Mistakes) -> String {
    let texts: Vec<String> = mistakes.mistakes.iter().map(ToString::to_string).collect();
    texts.join("\n")
}

#[test]
fn nothing_said_or_only_blanks_is_off() {
    assert!(good(&[]).config.streams.is_none());
    let blank = good(&[
        ("ROUTER__STREAM__EXTERNAL_URL", ""),
        ("STREAM_PORT_START", "\"\""),
        ("TCP_PORT_END", " "),
    ]);
    assert!(blank.config.streams.is_none());
    assert!(!notices(&blank).contains("TCP"), "{}", notices(&blank));
}

#[test]
fn the_defaults_are_those_of_the_reference() {
    let loaded = good(&ON);
    insta::assert_debug_snapshot!(streams(&loaded));
    let told = notices(&loaded);
    assert!(
        told.contains("streams.admission: is open: whoever reaches ports 9000-9010"),
        "{told}"
    );
}

#[test]
fn the_file_has_the_range_as_a_section() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("portico.yaml");
    let yaml = "gateway: {url: 'https://gateway.example.com'}\n\
        clearml: {api_host: 'https://api.example.com', access_key: a, secret_key: b}\n\
        streams:\n  external_url: '[2001:DB8::1]'\n  port_range:\n    start: 1\n    end: 65535\n  listen: ['::', 10.0.0.1]\n  \
        admission: networks\n  allowed_sources: [10.0.0.0/8, fd00::/8]\n  cooling: 0s\n";
    std::fs::write(&path, yaml.replace("start: 1\n", "start: 40000\n")).expect("write");
    let loaded = crate::config::load(Some(&path), []).expect("no mistakes");
    insta::assert_debug_snapshot!(streams(&loaded));
    std::fs::write(&path, yaml.replace("    end: 65535", "    stop: 1")).expect("write");
    let told = all(&crate::config::load(Some(&path), []).expect_err("mistakes"));
    assert!(
        told.contains("portico.yaml:7 streams.port_range.stop: is not a key; did you mean streams.port_range.start?"),
        "{told}"
    );
    std::fs::write(&path, "streams:\n  port_range: 9000-9010\n").expect("write");
    let told = all(&crate::config::load(Some(&path), []).expect_err("mistakes"));
    assert!(
        told.contains("portico.yaml:2 streams.port_range: is a section, not a value"),
        "{told}"
    );
}

#[test]
fn half_of_what_is_needed_is_a_mistake_for_each_missing_half() {
    let told = all(&with(&[("STREAM_PORT_START", "9000")]).expect_err("mistakes"));
    insta::assert_snapshot!(told);
    let told = only_mistake(&[("TCP_PORT_START", "9000"), ("TCP_PORT_END", "9001")]);
    assert!(
        told.starts_with("streams.external_url (ROUTER__STREAM__EXTERNAL_URL): is not set"),
        "{told}"
    );
}

#[test]
fn whatever_is_no_host_is_told_with_the_host() {
    for (text, what) in [
        ("http://192.0.2.10:9000/", "192.0.2.10 is the host"),
        ("gateway.example.com:9000", "gateway.example.com is the host"),
        ("tcp://[2001:db8::1]:9000", "2001:db8::1 is the host"),
        (
            "https://me:hunter2@gateway.example.com",
            "must not contain a user name or password",
        ),
        ("0.0.0.0", "is no address that a client can reach"),
        ("[::]", "is no address that a client can reach"),
        ("192.0.2.256", "is not a host"),
        ("a b", "is not a host"),
        ("-x.example.com", "is not a host"),
        ("x..example.com", "is not a host"),
        ("host:name", "is not a host"),
        ("1:2:3", "is not a host"),
    ] {
        let told = only_mistake(&on(&[("ROUTER__STREAM__EXTERNAL_URL", text)]));
        assert!(told.contains(what) && !told.contains("hunter2"), "{text}: {told}");
    }
    for (text, host) in [
        ("Gateway.Example.com", "gateway.example.com"),
        ("gateway", "gateway"),
        ("192.0.2.10", "192.0.2.10"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
    ] {
        assert_eq!(
            &*streams(&good(&on(&[("ROUTER__STREAM__EXTERNAL_URL", text)]))).external,
            host
        );
    }
}

#[test]
fn ports_that_are_none_and_ranges_without_ports_are_mistakes() {
    for (end, what) in [
        ("8999", "8999 comes before streams.port_range.start, which is 9000"),
        ("0", "\"0\" is not a port"),
        ("65536", "\"65536\" is not a port"),
        ("many", "\"many\" is not a port"),
    ] {
        let told = only_mistake(&on(&[("ROUTER__STREAM__PORT_RANGE__END", end)]));
        assert!(
            told.starts_with("ROUTER__STREAM__PORT_RANGE__END: ") && told.contains(what),
            "{told}"
        );
    }
    assert_eq!(
        streams(&good(&on(&[("ROUTER__STREAM__PORT_RANGE__END", "9000")])))
            .range
            .to_string(),
        "9000-9000"
    );
}

#[test]
fn the_gateways_own_ports_are_outside_of_the_range() {
    let told = all(&with(&on(&[
        ("ROUTER__STREAM__PORT_RANGE__START", "8000"),
        ("PORTICO__CONSOLE__URL", "https://console.example.com"),
    ]))
    .expect_err("mistakes"));
    insta::assert_snapshot!(told);
    // Another address of the machine is another port.
    good(&on(&[
        ("ROUTER__WEBSERVER__SERVER_PORT", "192.0.2.10:9005"),
        ("PORTICO__STREAMS__LISTEN", "192.0.2.11"),
    ]));
}

#[test]
fn a_restriction_that_restricts_nothing_is_a_mistake() {
    for (more, what) in [
        (
            &[("PORTICO__STREAMS__ADMISSION", "networks")][..],
            "is empty while streams.admission is networks",
        ),
        (
            &[("PORTICO__STREAMS__ALLOWED_SOURCES", "10.0.0.0/8")],
            "restricts nothing while streams.admission is not networks",
        ),
        (&[("PORTICO__STREAMS__CONNECTIONS", "0")], "nobody could connect"),
        (
            &[("PORTICO__STREAMS__CONNECTIONS_PER_ADDRESS", "0")],
            "nobody could connect",
        ),
        (
            &[("PORTICO__STREAMS__PROXY_PROTOCOL", "yes")],
            "read only from http.trusted_proxies, which is empty",
        ),
        (
            &[("PORTICO__STREAMS__ADMISSION", "everybody")],
            "write open, networks or signed-in",
        ),
        (&[("PORTICO__STREAMS__LISTEN", "[]")], "is empty"),
        (&[("PORTICO__STREAMS__LISTEN", "eth0")], "is not an IP address"),
    ] {
        let told = all(&with(&on(more)).expect_err("mistakes"));
        assert!(told.contains(what), "{told}");
    }
    let told = notices(&good(&[("PORTICO__STREAMS__ADMISSION", "signed-in")]));
    assert!(told.contains("PORTICO__STREAMS__ADMISSION: has no effect"), "{told}");
    for (more, what) in [
        (
            &[
                ("PORTICO__STREAMS__ADMISSION", "networks"),
                ("PORTICO__STREAMS__ALLOWED_SOURCES", "0.0.0.0/0"),
            ][..],
            "is everybody",
        ),
        (&[("ROUTER__STREAM__EXTERNAL_URL", "localhost")], "is loopback"),
    ] {
        let told = notices(&good(&on(more)));
        assert!(told.contains(what), "{told}");
    }
    good(&on(&[
        ("PORTICO__STREAMS__PROXY_PROTOCOL", "yes"),
        ("PORTICO__HTTP__TRUSTED_PROXIES", "10.0.0.0/8"),
    ]));
    let quiet = notices(&good(&on(&[("PORTICO__STREAMS__ADMISSION", "signed-in")])));
    assert!(!quiet.contains("streams."), "{quiet}");
}

#[test]
fn ports_of_the_range_that_somebody_has_are_named() {
    // Two neighbors of which nobody else knows: the first one that is taken may have any number.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let (start, end) = (port.to_string(), port.saturating_add(1).to_string());
    let with_range = |end: &str| {
        let loaded = good(&[
            ("PORTICO__HTTP__LISTEN", "127.0.0.1:0"),
            ("PORTICO__OPERATIONS__LISTEN", "127.0.0.1:0"),
            ("PORTICO__STATE__PATH", "memory"),
            ("PORTICO__STREAMS__EXTERNAL_URL", "gateway.example.com"),
            ("PORTICO__STREAMS__LISTEN", "127.0.0.1"),
            ("STREAM_PORT_START", &start),
            ("STREAM_PORT_END", end),
        ]);
        probe(&loaded)
    };
    let told = all(&with_range(&start));
    let expected = format!(
        "STREAM_PORT_START: none of the ports {start}-{start} can be listened on at 127.0.0.1 ({start}: Address already in use"
    );
    assert!(told.starts_with(&expected), "{told}");
    let found = with_range(&end);
    let told: Vec<String> = found.notices.iter().map(ToString::to_string).collect();
    let told = [told.join("\n"), all(&found)].concat();
    assert!(
        told.contains(&format!("{start}-{end}")) && told.contains(&format!("({start}")),
        "{told}"
    );
}
