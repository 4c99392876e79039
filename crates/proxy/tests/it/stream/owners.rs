//! What is open when another gateway takes the task over, and gives the port from then on.

use std::net::{Ipv4Addr, SocketAddr};

use portico_core::{access::Who, observe::OwningGateway};
use tokio::net::TcpStream;

use super::{at, echo, is_reset, judged_again, peers, stream_to};
use crate::{
    gateway::{Gateway, Spec},
    peers::Peer,
    world::eventually,
};

/// A visitor's stream that is open when the task becomes another gateway's.
struct Moved {
    gateway: Gateway,
    peer: Peer,
    port: u16,
    stream: TcpStream,
}

impl Moved {
    async fn new() -> Self {
        let peer = peers::echoes().await;
        let (gateway, port) = stream_to(peer.address).await;
        let mut stream = TcpStream::connect(at(port)).await.unwrap();
        assert_eq!(echo(&mut stream, b"hello").await.unwrap(), b"hello");
        let mut moved = Self {
            gateway,
            peer,
            port,
            stream,
        };
        moved.gateway.publish(&[moved.anothers()]);
        judged_again(&moved.gateway).await;
        assert_eq!(echo(&mut moved.stream, b"still there?").await.unwrap(), b"still there?");
        moved
    }

    /// The task, as another gateway's.
    fn anothers(&self) -> Spec {
        Spec {
            owning_gateway: OwningGateway::Another("other".into()),
            ..Spec::tcp(self.peer.address, self.port)
        }
    }

    async fn is_cut_by(&mut self, spec: Spec) -> bool {
        self.gateway.publish(&[spec]);
        is_reset(&mut self.stream).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_where_its_pod_is_and_nobody_new_comes_in() {
    let mut moved = Moved::new().await;
    eventually("the port is closed", || {
        std::net::TcpStream::connect(at(moved.port)).err().map(drop)
    })
    .await;
    // At the old address may be somebody else soon.
    let elsewhere = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 3), moved.peer.address.port()));
    let spec = Spec {
        address: elsewhere,
        ..moved.anothers()
    };
    assert!(moved.is_cut_by(spec).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_task_whosever_that_is() {
    let mut moved = Moved::new().await;
    let spec = Spec {
        status: portico_core::observe::TaskStatus::Stopped,
        ..moved.anothers()
    };
    assert!(moved.is_cut_by(spec).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_under_another_owner_is_cut_when_it_is_for_some_only() {
    let mut moved = Moved::new().await;
    let spec = Spec {
        access: Some(Who::Visible),
        ..moved.anothers()
    };
    assert!(moved.is_cut_by(spec).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_under_another_owner_yields_to_an_http_endpoint() {
    let mut moved = Moved::new().await;
    let spec = Spec {
        http_port: Some(moved.peer.address.port()),
        ..moved.anothers()
    };
    assert!(moved.is_cut_by(spec).await);
}
