//! Absurd values of the runtime and the property: each becomes a request or a fault, never a panic and never another endpoint.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn runtime(value: Value) -> Runtime {
    serde_json::from_value(value).unwrap()
}

fn one(value: Value) -> Result<(Option<String>, u16), RequestFault> {
    let requests = requests(Some(&runtime(value)), None);
    assert_eq!(requests.len(), 1, "{requests:?}");
    let ask = requests[0].ask.clone()?;
    Ok((ask.claimed.map(|address| address.to_string()), ask.port))
}

#[test]
fn ports_are_read_from_numbers_and_text() {
    for (port, expected) in [
        (json!(8080), Ok(8080)),
        (json!("8080"), Ok(8080)),
        (json!(" 8080\n"), Ok(8080)),
        (json!(8080.0), Ok(8080)),
        (json!(1), Ok(1)),
        (json!(65535), Ok(65535)),
        (json!(0), Err(RequestFault::PortOutOfRange(0))),
        (json!(-1), Err(RequestFault::PortOutOfRange(-1))),
        (json!(70000), Err(RequestFault::PortOutOfRange(70000))),
        (json!("70000"), Err(RequestFault::PortOutOfRange(70000))),
        (json!("http"), Err(RequestFault::PortNotANumber("http".into()))),
        (json!(""), Err(RequestFault::PortNotANumber(String::new()))),
        (json!(80.5), Err(RequestFault::PortNotANumber("80.5".into()))),
        (json!(null), Err(RequestFault::PortNotANumber("nothing".into()))),
        (json!(true), Err(RequestFault::PortNotANumber("true or false".into()))),
        (json!([8080]), Err(RequestFault::PortNotANumber("a list".into()))),
        (
            json!({"port": {"port": 1}}),
            Err(RequestFault::PortNotANumber("a map".into())),
        ),
        (
            json!("x".repeat(1 << 20)),
            Err(RequestFault::PortNotANumber("x".repeat(64))),
        ),
    ] {
        let read = one(json!({"_ADDRESS": "10.0.0.1", "_PORT": port}));
        assert_eq!(read, expected.map(|port| (Some("10.0.0.1".to_owned()), port)));
    }
}

#[test]
fn addresses_are_ip_addresses_or_left_to_the_worker() {
    for (address, expected) in [
        (json!("10.0.0.1"), Ok(Some("10.0.0.1"))),
        (json!(" 10.0.0.1 "), Ok(Some("10.0.0.1"))),
        (json!("fd00::1"), Ok(Some("fd00::1"))),
        (json!("[fd00::1]"), Ok(Some("fd00::1"))),
        (json!(""), Ok(None)),
        (json!(null), Ok(None)),
        (
            json!("metadata.internal"),
            Err(RequestFault::AddressNotAnIp("metadata.internal".into())),
        ),
        (
            json!("10.0.0.1:22"),
            Err(RequestFault::AddressNotAnIp("10.0.0.1:22".into())),
        ),
        (json!(167_772_161), Err(RequestFault::AddressNotAnIp("a number".into()))),
        (json!(["10.0.0.1"]), Err(RequestFault::AddressNotAnIp("a list".into()))),
        (
            json!("y".repeat(1 << 20)),
            Err(RequestFault::AddressNotAnIp("y".repeat(64))),
        ),
    ] {
        let read = one(json!({"_ADDRESS": address, "_PORT": 80})).map(|(address, _)| address);
        assert_eq!(read, expected.map(|address| address.map(str::to_owned)));
    }
    assert_eq!(one(json!({"_PORT": 80})), Ok((None, 80)));
}

#[test]
fn endpoints_exist_by_their_port_keys_and_not_by_the_service_key() {
    let asked = requests(
        Some(&runtime(json!({
            "_SERVICE": "EXTERNAL_TCP", "_ADDRESS": "10.0.0.1", "_PORT": 80, "external_address": "10.0.0.2",
            "external_tcp_port": "22", "_SERVICE__lost": "EXTERNAL", "_ADDRESS__lost": "10.0.0.1",
            "_PORT__My UI": 7860, "_ADDRESS__My UI": "10.0.0.3", "_PORT__a__b": 1,
        }))),
        None,
    );
    let found: Vec<_> = asked
        .iter()
        .map(|request| {
            (
                request.protocol,
                request.name.as_deref(),
                request.ask.as_ref().unwrap().port,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (Protocol::Http, None, 80),
            (Protocol::Http, Some("My UI"), 7860),
            (Protocol::Http, Some("a__b"), 1),
            (Protocol::Tcp, None, 22),
        ]
    );
}

#[test]
fn a_runtime_key_wins_over_the_property() {
    let runtime = runtime(json!({"_PORT__ui": 1, "_ADDRESS__ui": "10.0.0.1"}));
    let asked = requests(Some(&runtime), Some("ui=http:2; api=http:3,access=owner; api=tcp:4"));
    let found: Vec<_> = asked
        .iter()
        .map(|request| {
            (
                request.origin,
                request.name.as_deref(),
                request.ask.as_ref().unwrap().port,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (RequestOrigin::Property, Some("api"), 3),
            (RequestOrigin::Runtime, Some("ui"), 1),
            (RequestOrigin::Property, Some("api"), 4),
        ]
    );
}

#[test]
fn a_property_tightens_what_the_sdk_asked() {
    use portico_core::access::Who;
    let runtime = runtime(json!({"_PORT": 8888, "_ADDRESS": "10.0.0.1"}));
    let asked = requests(Some(&runtime), Some("http:1,access=owner,prefix=keep"));
    let ask = asked[0].ask.as_ref().unwrap();
    assert_eq!((asked[0].origin, ask.port), (RequestOrigin::Runtime, 8888));
    assert_eq!((ask.access.clone(), ask.prefix), (Some(Who::Owner), Prefix::Keep));
    assert_eq!(
        ask.claimed.map(|address| address.to_string()).as_deref(),
        Some("10.0.0.1")
    );
    let asked = requests(Some(&runtime), Some("http:8888,access=ownr"));
    assert!(
        matches!(asked[0].ask, Err(RequestFault::Notation(_))),
        "a slip of the pen opens nothing"
    );
    let asked = requests(Some(&runtime), Some("ui=http:8888,access=owner"));
    assert_eq!(asked[0].ask.as_ref().unwrap().access, None, "another endpoint's");
}

#[test]
fn an_entry_given_twice_is_told_and_not_guessed() {
    let asked = requests(None, Some("http:1; http:2; =http:3"));
    assert_eq!(asked.len(), 1);
    assert!(matches!(asked[0].ask, Err(RequestFault::Notation(_))));
}

#[test]
fn names_that_are_too_long_are_told() {
    let name = "n".repeat(257);
    let asked = requests(
        Some(&runtime(json!({format!("_PORT__{name}"): 80}))),
        Some(&format!("{name}=http:80")),
    );
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].ask, Err(RequestFault::NameTooLong));
    assert_eq!(asked[0].name.as_ref().unwrap().len(), 256);
    let fits = "é".repeat(256);
    let asked = requests(Some(&runtime(json!({format!("_PORT__{fits}"): 80}))), None);
    assert!(asked[0].ask.is_ok());
}

#[test]
fn a_task_has_at_most_32_endpoints_and_its_owner_is_told() {
    let keys: serde_json::Map<String, Value> = (0..1000).map(|at| (format!("_PORT__{at:04}"), json!(80))).collect();
    let asked = requests(Some(&runtime(Value::Object(keys))), Some("x=http:1"));
    assert_eq!(asked.len(), ENDPOINTS_MAX + 1);
    assert_eq!(
        asked.iter().filter(|request| request.ask.is_ok()).count(),
        ENDPOINTS_MAX
    );
    assert_eq!(asked[ENDPOINTS_MAX].ask, Err(RequestFault::TooMany(ENDPOINTS_MAX)));
}

#[test]
fn published_addresses_are_gathered_by_name() {
    let runtime = runtime(json!({
        "endpoint": "http://g/a", "browser_endpoint": "http://g/b", "endpoint__x": 7, "endpoint__y": null, "_PORT": 1,
    }));
    let found = published(
        &runtime,
        [("gateway_url__x", "http://g/x"), ("portico", "http:1")].into_iter(),
    );
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].name, None);
    assert_eq!(found[0].endpoint.as_deref(), Some("http://g/a"));
    assert_eq!(found[0].browser_endpoint.as_deref(), Some("http://g/b"));
    assert_eq!(found[1].endpoint.as_deref(), Some("7"));
    assert_eq!(found[1].property.as_deref(), Some("http://g/x"));
    let long = published(
        &self::runtime(json!({"endpoint": "é".repeat(1 << 20)})),
        std::iter::empty(),
    );
    assert!(long[0].endpoint.as_ref().unwrap().len() <= URL_MAX);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        (0u32..80_000).prop_map(|port| Value::from(port.to_string())),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(".{0,8}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_runtime_is_read_within_bounds(
        map in proptest::collection::btree_map(
            prop_oneof![
                "(_PORT|_ADDRESS|external_tcp_port|external_address|endpoint|browser_endpoint)(__.{0,6})?",
                ".{0,12}",
            ],
            any_json(),
            0..60,
        ),
        property in proptest::option::of(".{0,200}"),
    ) {
        let runtime: Runtime = serde_json::from_value(Value::Object(map.into_iter().collect())).unwrap();
        let asked = requests(Some(&runtime), property.as_deref());
        prop_assert!(asked.len() <= ENDPOINTS_MAX + 1);
        let mut places: Vec<_> = asked.iter().map(|request| (request.protocol, request.name.clone())).collect();
        let sorted = places.clone();
        places.sort();
        places.dedup();
        prop_assert_eq!(places, sorted);
        for ask in asked.iter().filter_map(|request| request.ask.as_ref().ok()) {
            prop_assert!(ask.port > 0);
        }
        prop_assert!(published(&runtime, std::iter::empty()).len() <= 2 * ENDPOINTS_MAX + 1);
    }

    #[test]
    fn every_good_port_of_every_name_is_found(name in "[^\\x00]{1,20}", port in 1u16..) {
        let runtime: Runtime = serde_json::from_value(json!({format!("_PORT__{name}"): port})).unwrap();
        let asked = requests(Some(&runtime), None);
        prop_assert_eq!(asked[0].name.as_deref(), Some(name.as_str()));
        prop_assert_eq!(asked[0].ask.as_ref().map(|ask| ask.port), Ok(port));
    }
}
