//! The client: what it makes of a server that is away, slow, busy, somebody else, or lying.

use std::time::Duration;

use portico_clearml::{CallError, Clearml, FeatureSet as Features, KeyPair, KeyState};
use portico_core::{live::Live, secret::Secret};
use portico_emulator::{DEFAULT_COMPANY, Emulator, Faults, FeatureSet, Seed, Server, Settings as EmulatorSettings};

use crate::bench::{Bench, key_of};

async fn failure(bench: &Bench) -> CallError {
    bench.clearml.learn_facts().await.unwrap_err()
}

#[tokio::test]
async fn the_own_token_tells_what_the_server_is() {
    let bench = Bench::new().await;
    bench.clearml.learn_facts().await.unwrap();
    let facts = bench.clearml.facts().get();
    assert_eq!(facts.key, KeyState::Accepted);
    assert_eq!(facts.feature_set, Some(Features::Advanced));
    assert_eq!(facts.api_version.unwrap().to_string(), "2.34");
    assert_eq!(facts.company.as_ref().unwrap().as_str(), DEFAULT_COMPANY);
    assert_eq!(
        facts.user.as_ref().unwrap().as_str(),
        bench.emulator().actor("bob").unwrap().id
    );
    assert_eq!(facts.role.as_deref(), Some("user"));
    assert_eq!(facts.has_passwords, Some(true));
    assert_eq!(facts.signs_with_public_secret, Some(false));
}

#[tokio::test]
async fn a_server_without_passwords_is_recognized() {
    let settings = EmulatorSettings {
        fixed_users: false,
        ..EmulatorSettings::default()
    };
    let server = Server::start(Emulator::new(Seed::default(), settings)).await.unwrap();
    let bench = Bench::at(server, |_| ());
    bench.clearml.learn_facts().await.unwrap();
    let facts = bench.clearml.facts().get();
    assert_eq!(facts.has_passwords, Some(false));
    assert_eq!(facts.feature_set, Some(Features::Basic));
}

#[tokio::test]
async fn a_server_that_signs_with_a_public_secret_is_recognized() {
    let mut public = Vec::new();
    let bench = Bench::with(FeatureSet::Basic, |settings| {
        public.clone_from(&settings.public_secrets);
    })
    .await;
    drop(bench);
    let seed = Seed {
        token_secret: public[0].reveal().to_owned(),
        ..Seed::default()
    };
    let server = Server::start(Emulator::new(seed, FeatureSet::Basic)).await.unwrap();
    let bench = Bench::at(server, |_| ());
    bench.clearml.learn_facts().await.unwrap();
    assert_eq!(bench.clearml.facts().get().signs_with_public_secret, Some(true));
}

#[tokio::test]
async fn a_web_page_in_place_of_an_answer_is_named_with_a_hint() {
    let bench = Bench::new().await;
    bench.faults(Faults {
        html: true,
        ..Faults::default()
    });
    let error = failure(&bench).await;
    assert_eq!(error.reason(), "bad_answer");
    let text = error.to_string();
    assert!(
        text.contains(&bench.server.url()) && text.contains("web page") && text.contains("8008"),
        "{text}"
    );
}

#[tokio::test]
async fn an_answer_of_a_gigabyte_ends_early() {
    let bench = Bench::with(FeatureSet::Advanced, |settings| settings.answer_limit = 1 << 20).await;
    bench.faults(Faults {
        huge_bytes: Some(1 << 30),
        ..Faults::default()
    });
    let started = std::time::Instant::now();
    let error = failure(&bench).await;
    assert_eq!(error.reason(), "too_large", "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_redirect_is_not_followed_but_told() {
    let redirect = |_: &str| {
        Some("HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example.com/\r\nContent-Length: 0\r\n\r\n".to_owned())
    };
    let (bench, _stub) = Bench::behind(redirect).await;
    let error = failure(&bench).await;
    assert_eq!(error.reason(), "bad_answer");
    assert!(
        error
            .to_string()
            .contains("a redirect to \"http://elsewhere.example.com/\""),
        "{error}"
    );
}

#[tokio::test]
async fn a_slow_server_is_given_up_in_time() {
    let bench = Bench::with(FeatureSet::Advanced, |settings| {
        settings.call_timeout = Duration::from_millis(200);
    })
    .await;
    bench.faults(Faults {
        slow_millis: Some(60_000),
        ..Faults::default()
    });
    let error = failure(&bench).await;
    assert_eq!(error.reason(), "timeout", "{error}");
    assert!(error.to_string().contains("within 0.2 s"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_is_unreachable_and_tried_again() {
    let bench = Bench::new().await;
    bench.faults(Faults {
        unreachable: true,
        ..Faults::default()
    });
    let error = failure(&bench).await;
    assert_eq!(error.reason(), "unreachable", "{error}");
    let Bench { server, clearml, .. } = bench;
    server.stop().await;
    assert_eq!(clearml.learn_facts().await.unwrap_err().reason(), "unreachable");
}

#[tokio::test]
async fn a_busy_server_is_asked_again_a_bounded_number_of_times() {
    let bench = Bench::new().await;
    bench.faults(Faults {
        status: Some(503),
        ..Faults::default()
    });
    let error = failure(&bench).await;
    assert!(matches!(error, CallError::Refused { code: 503, .. }), "{error}");
    assert_eq!(bench.calls("login.supported_modes"), 3);
}

#[tokio::test]
async fn an_error_of_the_server_is_not_asked_for_again() {
    let bench = Bench::new().await;
    bench.faults(Faults {
        status: Some(500),
        ..Faults::default()
    });
    let error = failure(&bench).await;
    assert!(matches!(error, CallError::Refused { code: 500, .. }), "{error}");
    assert_eq!(bench.calls("login.supported_modes"), 1);
}

#[tokio::test]
async fn a_rejected_own_key_is_told_and_a_new_one_is_used_at_once() {
    let bench = Bench::new().await;
    let good = key_of(bench.emulator(), "bob");
    bench.keys.publish(KeyPair {
        secret: Secret::new("hunter2"),
        ..good.clone()
    });
    let error = failure(&bench).await;
    assert_eq!(error.reason(), "own_key_rejected");
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    assert!(matches!(bench.clearml.facts().get().key, KeyState::Refused(_)));
    let tried = bench.calls("auth.login");
    assert_eq!(failure(&bench).await.reason(), "own_key_rejected");
    assert_eq!(
        bench.calls("auth.login"),
        tried,
        "a rejected key is not tried again at once"
    );
    bench.keys.publish(good);
    bench.clearml.learn_facts().await.unwrap();
    assert_eq!(bench.clearml.facts().get().key, KeyState::Accepted);
}

#[tokio::test]
async fn the_own_token_is_renewed_before_it_ends() {
    let bench = Bench::new().await;
    bench.clearml.learn_facts().await.unwrap();
    bench.clearml.learn_facts().await.unwrap();
    assert_eq!(bench.calls("auth.login"), 1);
    bench.clock.advance(Duration::from_hours(25 * 24));
    bench.clearml.learn_facts().await.unwrap();
    assert_eq!(bench.calls("auth.login"), 2);
}

#[test]
fn addresses_that_are_none_are_refused() {
    for host in [
        "",
        "clearml:8008",
        "ftp://clearml",
        "https://user:hunter2@clearml",
        "http://clearml/?x=1",
        "/api",
    ] {
        let settings = crate::bench::settings(host, Live::fixed(KeyPair::default()));
        let clock = portico_core::clock::ManualClock::default();
        assert!(Clearml::new(settings, std::sync::Arc::new(clock)).is_err(), "{host}");
    }
}

#[test]
fn certificates_that_are_none_are_refused() {
    for bundle in ["", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"] {
        let mut settings = crate::bench::settings("https://clearml", Live::fixed(KeyPair::default()));
        settings.ca_bundle = Some(bundle.as_bytes().to_vec());
        let clock = portico_core::clock::ManualClock::default();
        assert!(Clearml::new(settings, std::sync::Arc::new(clock)).is_err(), "{bundle}");
    }
}
