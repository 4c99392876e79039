//! Who comes in: an address is all that a stream shows. Classes 6, 11, 12 and 17, for streams.

use std::{net::Ipv4Addr, time::Duration};

use portico_core::{access::Who, audit::AuditKind, observe::OwningGateway, principal::UserId, streams::Admission};
use portico_proxy::StreamRefusal;
use tokio::net::TcpStream;

use super::{
    at, beside, connect_from, echo, free_port, is_reset, is_served, is_turned_away, is_turned_away_from, judged_again,
    open, peers,
};
use crate::{
    gateway::{Gateway, Spec, as_user, gateway, task},
    peers::{Peer, behaves},
    world::eventually,
};

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Alice's task 1 with a TCP endpoint and her task 3 with a page, in a gateway that asks for people who are signed in.
struct Stage {
    gateway: Gateway,
    echoes: Peer,
    page: Peer,
    port: u16,
}

impl Stage {
    async fn new(who: Who) -> Self {
        let (echoes, page) = (peers::echoes().await, behaves::says("here").await);
        let port = free_port();
        let gateway = Gateway::start(&specs(&echoes, &page, port), who, |settings| {
            settings.streams.as_mut().unwrap().admission = Admission::SignedIn;
        })
        .await;
        open(&gateway, port).await;
        Self {
            gateway,
            echoes,
            page,
            port,
        }
    }

    fn publish_with(&self, who: &Who) {
        self.gateway
            .publish_with(&specs(&self.echoes, &self.page, self.port), who);
    }

    /// From now on another gateway gives the task its port.
    fn moves(&self, who: &Who) {
        let mut specs = specs(&self.echoes, &self.page, self.port);
        specs[0].owning_gateway = OwningGateway::Another("other".into());
        self.gateway.publish_with(&specs, who);
    }

    /// Somebody opens the page from 127.0.0.1, with these headers.
    async fn visits(&self, headers: &str) {
        self.gateway.get_with(&format!("/service/{}/", task(3)), headers).await;
    }

    /// Somebody types the page's address, with this cookie in the browser.
    async fn comes(&self, cookie: &str) {
        self.visits(&format!("Cookie: {cookie}\r\nSec-Fetch-Site: none\r\n"))
            .await;
    }

    async fn visits_as(&self, user: &str) {
        let (cookie, _) = self.gateway.session(user);
        self.comes(&cookie).await;
    }

    /// A stream that is let in.
    async fn stream(&self) -> TcpStream {
        let mut stream = TcpStream::connect(at(self.port)).await.unwrap();
        assert_eq!(echo(&mut stream, b"hello").await.unwrap(), b"hello");
        stream
    }

    async fn cut(&self) -> &'static str {
        eventually("a cut", || {
            let records = self.gateway.records.all();
            records.into_iter().find_map(|record| record.cut)
        })
        .await
    }
}

fn specs(echoes: &Peer, page: &Peer, port: u16) -> [Spec; 2] {
    let page = Spec {
        task: 3,
        ..Spec::at(page.address)
    };
    [Spec::tcp(echoes.address, port), page]
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_address_where_somebody_is_signed_in_comes_in() {
    let mut stage = Stage::new(Who::Visible).await;
    assert!(is_turned_away(stage.port).await, "nobody has come yet");
    stage.visits(&as_user("bob")).await;
    assert!(
        is_turned_away(stage.port).await,
        "nobody can log a program's header out"
    );
    stage.visits_as("bob").await;
    assert!(is_served(stage.port).await);
    assert!(
        is_turned_away_from(ELSEWHERE, stage.port).await,
        "nobody is signed in there"
    );
    assert_eq!(stage.echoes.seen.connections(), 1);
    eventually("all are recorded", || {
        let records = stage.gateway.records.all();
        let refused = records
            .iter()
            .filter(|record| record.refusal == Some("log_in_required"));
        (refused.count() == 3).then_some(())
    })
    .await;
    let opened = std::iter::from_fn(|| stage.gateway.audit.try_recv().ok())
        .find(|event| event.event == AuditKind::StreamOpened)
        .unwrap();
    assert_eq!((opened.actor, opened.task), (Some(UserId::new("bob")), Some(task(1))));
}

/// A page elsewhere that has a visitor's browser send a request must not sign the visitor in where the browser is.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_signs_nobody_in() {
    let stage = Stage::new(Who::Visible).await;
    let (cookie, _) = stage.gateway.session("alice");
    for foreign in [
        "Origin: https://evil.test\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n",
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
        // Links that were followed.
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
        "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
        // Without TLS browsers do not say from where they come.
        "",
        "Origin: https://evil.test\r\n",
        "Referer: http://gw.test/\r\n",
    ] {
        stage.visits(&format!("Cookie: {cookie}\r\n{foreign}")).await;
        assert!(is_turned_away(stage.port).await, "{foreign}");
    }
    stage.comes(&cookie).await;
    assert!(is_served(stage.port).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_own_origin_signs_in_where_browsers_do_not_say_from_where_they_come() {
    let stage = Stage::new(Who::Visible).await;
    let (cookie, _) = stage.gateway.session("alice");
    stage
        .visits(&format!("Cookie: {cookie}\r\nOrigin: http://gw.test\r\n"))
        .await;
    assert!(is_served(stage.port).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rule_counts_for_those_who_are_signed_in() {
    let stage = Stage::new(Who::Owner).await;
    stage.visits_as("bob").await;
    assert!(is_turned_away(stage.port).await);
    eventually("it is recorded", || {
        let records = stage.gateway.records.all();
        records
            .iter()
            .any(|record| record.refusal == Some("not_allowed"))
            .then_some(())
    })
    .await;
    stage.visits_as("alice").await;
    assert!(is_served(stage.port).await, "somebody there may");
}

/// That everybody may is no log-in: the operator asks for people who are signed in.
#[tokio::test(flavor = "multi_thread")]
async fn a_public_endpoint_asks_for_somebody_who_is_signed_in_too() {
    let stage = Stage::new(Who::Public).await;
    assert!(is_turned_away(stage.port).await);
    let (cookie, id) = stage.gateway.session("bob");
    // Who comes to a public page is not noted.
    stage.publish_with(&Who::Visible);
    stage.comes(&cookie).await;
    stage.publish_with(&Who::Public);
    let mut stream = stage.stream().await;
    let _ = stage.gateway.register.revoke_session(id, &UserId::new("bob")).await;
    assert!(is_reset(&mut stream).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_takes_its_streams_along() {
    let stage = Stage::new(Who::Visible).await;
    let (cookie, id) = stage.gateway.session("bob");
    stage.comes(&cookie).await;
    let mut stream = stage.stream().await;
    let _ = stage.gateway.register.revoke_session(id, &UserId::new("bob")).await;
    assert!(is_reset(&mut stream).await);
    assert_eq!(stage.cut().await, "signed_out");
    assert!(is_turned_away(stage.port).await, "nobody is signed in any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_stays_as_long_as_anybody_at_its_address_may_reach_it() {
    let stage = Stage::new(Who::Visible).await;
    let (cookie, bobs) = stage.gateway.session("bob");
    stage.comes(&cookie).await;
    let mut stream = stage.stream().await;
    let (cookie, alices) = stage.gateway.session("alice");
    stage.comes(&cookie).await;
    let _ = stage.gateway.register.revoke_session(bobs, &UserId::new("bob")).await;
    judged_again(&stage.gateway).await;
    assert_eq!(echo(&mut stream, b"still there?").await.unwrap(), b"still there?");
    let _ = stage
        .gateway
        .register
        .revoke_session(alices, &UserId::new("alice"))
        .await;
    assert!(is_reset(&mut stream).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tightened_rule_cuts_streams() {
    let stage = Stage::new(Who::Visible).await;
    stage.visits_as("bob").await;
    let mut stream = stage.stream().await;
    stage.publish_with(&Who::Owner);
    assert!(is_reset(&mut stream).await);
    assert_eq!(stage.cut().await, "not_allowed");
}

/// What is open goes on where its task's port is another gateway's to give, under the same rules.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_judged_as_before_when_another_gateway_owns_its_task() {
    for is_revoked in [true, false] {
        let stage = Stage::new(Who::Visible).await;
        let (cookie, id) = stage.gateway.session("bob");
        stage.comes(&cookie).await;
        let mut stream = stage.stream().await;
        stage.moves(&Who::Visible);
        judged_again(&stage.gateway).await;
        assert_eq!(echo(&mut stream, b"still there?").await.unwrap(), b"still there?");
        if is_revoked {
            let _ = stage.gateway.register.revoke_session(id, &UserId::new("bob")).await;
        } else {
            stage.moves(&Who::Owner);
        }
        assert!(is_reset(&mut stream).await);
        let word = if is_revoked { "signed_out" } else { "not_allowed" };
        assert_eq!(stage.cut().await, word);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_loses_streams_within_a_minute_of_the_clock() {
    let stage = Stage::new(Who::Visible).await;
    stage.visits_as("bob").await;
    let mut stream = stage.stream().await;
    stage.gateway.server.script().rejected.insert(UserId::new("bob"));
    stage.gateway.clock.advance(Duration::from_secs(61));
    assert!(is_reset(&mut stream).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_clearml_is_away_what_is_open_stays_open() {
    let stage = Stage::new(Who::Visible).await;
    stage.visits_as("bob").await;
    let mut stream = stage.stream().await;
    stage.gateway.server.script().is_away = true;
    stage.gateway.clock.advance(Duration::from_secs(61));
    judged_again(&stage.gateway).await;
    assert_eq!(echo(&mut stream, b"still there?").await.unwrap(), b"still there?");
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_let_in_nobody_else() {
    let peer = peers::echoes().await;
    let port = free_port();
    let gateway = Gateway::start(&[Spec::tcp(peer.address, port)], Who::Visible, |settings| {
        let streams = settings.streams.as_mut().unwrap();
        streams.admission = Admission::Networks;
        streams.allowed_sources = vec!["127.0.0.2/32".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    })
    .await;
    open(&gateway, port).await;
    assert!(is_turned_away(port).await);
    let mut stream = connect_from(ELSEWHERE, port).await.unwrap();
    assert_eq!(echo(&mut stream, b"hello").await.unwrap(), b"hello");
    assert_eq!(peer.seen.connections(), 1, "nothing was dialed for the other");
    let refusals = gateway.counters.stream_refusals();
    assert!(refusals.contains(&(StreamRefusal::SourceNotAllowed, 1)), "{refusals:?}");
}

/// Where addresses do not tell people apart, what its owner tightened is not open to everybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_tightened_endpoint_is_closed_where_nobody_signs_in() {
    let (peer, neighbor) = (peers::echoes().await, peers::echoes().await);
    let (port, other) = (free_port(), free_port());
    let both = |access| {
        let spec = Spec {
            access,
            ..Spec::tcp(peer.address, port)
        };
        [spec, beside(neighbor.address, other)]
    };
    let gateway = gateway(&both(None)).await;
    open(&gateway, port).await;
    let mut stream = TcpStream::connect(at(port)).await.unwrap();
    echo(&mut stream, b"hello").await.unwrap();
    gateway.publish(&both(Some(Who::Owner)));
    assert!(is_reset(&mut stream).await);
    eventually("the port is closed", || {
        (!gateway.open_ports.get().open.contains_key(&port)).then_some(())
    })
    .await;
    assert!(TcpStream::connect(at(port)).await.is_err());
    assert!(is_served(other).await);
}
