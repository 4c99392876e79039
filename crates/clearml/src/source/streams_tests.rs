//! What stands beside a TCP endpoint's port, as SDK and clearml-session write it.

use serde_json::json;

use super::{
    super::{requests::asked, row::Row},
    *,
};

fn ask(runtime: &Value, properties: &Value, tags: &[&str]) -> Result<portico_core::observe::Ask, RequestFault> {
    let properties: serde_json::Map<String, Value> = properties
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), json!({"name": name, "value": value})))
        .collect();
    let row: Row = serde_json::from_value(json!({
        "id": "0123456789abcdef0123456789abcdef", "status": "in_progress", "company": "c", "system_tags": tags,
        "runtime": runtime, "hyperparams": {"properties": properties},
    }))
    .unwrap();
    let asked = asked(&row);
    assert_eq!(asked.len(), 1, "{asked:?}");
    asked[0].ask.clone()
}

fn tagged(runtime: &Value) -> portico_core::observe::Ask {
    ask(runtime, &json!({}), &["external_service"]).unwrap()
}

#[test]
fn a_request_of_clearml_session_is_read_as_it_stands() {
    let runtime = json!({
        "_SERVICE": "EXTERNAL_TCP", "_ssh_password": "hunter2", "external_address": "10.1.2.3", "external_tcp_port": 10022,
        "internal_ssh_port": "10022",
    });
    let properties = json!({"external_address": "10.1.2.3", "internal_ssh_port": "10022", "jupyter_port": "8888"});
    let ask = ask(&runtime, &properties, &["external_service", "interactive"]).unwrap();
    assert_eq!((ask.claimed, ask.port), (Some([10, 1, 2, 3].into()), 10022));
    let claims = ask.stream;
    assert_eq!((claims.host.as_deref(), claims.port), (Some("10.1.2.3"), Some(10022)));
    assert_eq!(
        (claims.upstream_port, claims.fixed, claims.noted_port),
        (None, None, None)
    );
    let session = claims.session.unwrap();
    assert_eq!(
        (session.address, session.ssh_port, session.is_kept_alive),
        (Some([10, 1, 2, 3].into()), Some(10022), false)
    );
}

#[test]
fn names_text_and_newlines_are_read_and_an_empty_address_is_none() {
    let ask = tagged(&json!({
        "external_address": " tcp.example.com\n", "external_tcp_port": "30001\n", "upstream_task_port": "22\n",
    }));
    assert_eq!((ask.claimed, ask.port), (None, 30001));
    let claims = ask.stream;
    assert_eq!(
        (claims.host.as_deref(), claims.port, claims.upstream_port),
        (Some("tcp.example.com"), Some(30001), Some(22))
    );
    let ask = tagged(&json!({"external_address": "\n", "external_tcp_port": 22}));
    assert_eq!((ask.claimed, ask.stream.host), (None, None));
    let long = tagged(&json!({"external_address": "é".repeat(1 << 20), "external_tcp_port": 22}));
    assert_eq!(long.stream.host.unwrap().chars().count(), HOST_MAX);
}

#[test]
fn a_kept_alive_session_tells_where_its_server_really_is() {
    let session = |properties: Value| {
        let property = |name: &str| properties.get(name).and_then(Value::as_str);
        session(property)
    };
    let kept = session(json!({"internal_ssh_port": "10023", "internal_stable_ssh_port": "10022\n"})).unwrap();
    assert_eq!((kept.ssh_port, kept.is_kept_alive), (Some(10023), true));
    // The proxy's port must never be dialed, so it is no answer.
    let odd = session(json!({"internal_ssh_port": "10022", "internal_stable_ssh_port": "10022"})).unwrap();
    assert_eq!((odd.ssh_port, odd.is_kept_alive), (None, true));
    let starting = session(json!({"internal_ssh_port": "", "internal_stable_ssh_port": "10022"})).unwrap();
    assert_eq!(starting.ssh_port, None);
    assert_eq!(session(json!({"internal_ssh_port": "", "external_address": ""})), None);
    assert_eq!(session(json!({"internal_ssh_port": "-1"})), None);
}

#[test]
fn only_the_unnamed_endpoint_is_the_sessions() {
    let properties = json!({"internal_ssh_port": "10023", "internal_stable_ssh_port": "10022"});
    let named = json!({"external_address__db": "10.1.2.3", "external_tcp_port__db": 5432});
    assert_eq!(
        ask(&named, &properties, &["external_service"]).unwrap().stream.session,
        None
    );
}

#[test]
fn a_fixed_port_is_read_or_told_to_be_wrong() {
    let with = |mode: Value, param: Value| {
        ask(
            &json!({
                "external_address__db": "10.1.2.3", "external_tcp_port__db": 5432,
                "_ROUTER_ENDPOINT_MODE__db": mode, "_ROUTER_ENDPOINT_MODE_PARAM__db": param,
            }),
            &json!({}),
            &["external_service"],
        )
        .map(|ask| ask.stream.fixed)
    };
    assert_eq!(with(json!("port"), json!("30005\n")), Ok(Some(30005)));
    assert_eq!(with(json!("port"), json!(30005)), Ok(Some(30005)));
    assert_eq!(with(json!("path"), json!("a-route")), Ok(None));
    assert_eq!(
        with(json!("port"), json!("x")),
        Err(RequestFault::PortNotANumber("x".into()))
    );
    assert!(with(json!("port"), Value::Null).is_err());
    assert_eq!(
        with(json!("port"), json!(70000)),
        Err(RequestFault::PortOutOfRange(70000))
    );
}

#[test]
fn a_property_asks_without_a_tag_and_what_was_published_stands_beside_it() {
    let runtime =
        json!({"external_address": "tcp.example.com", "external_tcp_port": "30001", "upstream_task_port": "5432"});
    for tags in [&[][..], &["external_service"]] {
        let ask = ask(&runtime, &json!({"portico": "tcp:5433,port=30001,access=owner"}), tags).unwrap();
        let claims = ask.stream;
        assert_eq!((claims.noted_port, claims.fixed), (Some(5433), Some(30001)), "{tags:?}");
        assert_eq!(
            (claims.host.as_deref(), claims.port),
            (Some("tcp.example.com"), Some(30001))
        );
        assert!(ask.access.is_some());
    }
}
