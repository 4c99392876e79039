//! The sample workloads, as a gateway with and without its prefix reaches them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use portico_emulator::samples::{self, Samples};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use crate::client::{self, Answer};

async fn running() -> Samples {
    samples::start(IpAddr::V4(Ipv4Addr::LOCALHOST)).await.unwrap()
}

fn address(samples: &Samples, name: &str) -> SocketAddr {
    samples
        .list()
        .iter()
        .find(|sample| sample.name == name)
        .unwrap()
        .address
}

async fn get(address: SocketAddr, path: &str, accept: &str) -> Answer {
    let request = Request::get(path)
        .header("host", "sample")
        .header("accept", accept)
        .header("x-forwarded-prefix", "/service/x/")
        .header("x-odd", "<i>odd</i>");
    client::send(address, request.body(Full::default()).unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn every_sample_has_a_page_under_any_prefix() {
    let samples = running().await;
    for sample in samples.list() {
        for path in ["/", "/service/abc/"] {
            let answer = get(sample.address, path, "text/html").await;
            assert_eq!(
                (answer.status, answer.headers["content-type"].to_str().unwrap()),
                (200, "text/html; charset=utf-8")
            );
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            assert!(
                text.contains("prefers-color-scheme: dark") && !text.contains("<!-- "),
                "{}",
                sample.name
            );
            assert!(
                !text.contains("href=\"/") && !text.contains("src=\"/"),
                "{} has an absolute URL",
                sample.name
            );
        }
    }
}

#[tokio::test]
async fn what_arrived_is_shown_escaped_and_as_json() {
    let samples = running().await;
    let address = address(&samples, "arrived");
    let page = get(address, "/a/b?q=1&x=2", "text/html").await;
    assert!(
        String::from_utf8(page.body.to_vec())
            .unwrap()
            .contains("&lt;i&gt;odd&lt;/i&gt;")
    );
    let json = get(address, "/a/b?x=1", "application/json").await.json();
    assert_eq!(
        (&json["path"], &json["query"], &json["prefix"]),
        (&"/a/b".into(), &"x=1".into(), &"/service/x/".into())
    );
    assert!(
        json["headers"]
            .as_array()
            .unwrap()
            .contains(&serde_json::json!(["host", "sample"]))
    );
}

async fn chatter(address: SocketAddr) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    tokio_tungstenite::client_async("ws://sample/service/abc/ws", stream)
        .await
        .unwrap()
        .0
}

async fn hear(socket: &mut WebSocketStream<TcpStream>, wanted: &str) {
    while let Some(Ok(message)) = socket.next().await {
        if message.to_text().unwrap().contains(wanted) {
            return;
        }
    }
    panic!("the socket ended before {wanted:?} came");
}

#[tokio::test]
async fn a_line_in_the_chat_reaches_everybody() {
    let samples = running().await;
    let address = address(&samples, "chat");
    let (mut one, mut two) = (chatter(address).await, chatter(address).await);
    hear(&mut one, "visitor 2 came in").await;
    one.send(Message::text("good morning")).await.unwrap();
    hear(&mut one, "good morning").await;
    hear(&mut two, "good morning").await;
    two.close(None).await.unwrap();
    hear(&mut one, "visitor 2 left").await;
    let plain = get(address, "/ws", "text/html").await;
    assert_eq!(plain.status, 426);
}

#[tokio::test]
async fn the_clock_ticks_while_somebody_looks() {
    let samples = running().await;
    let stream = TcpStream::connect(address(&samples, "clock")).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let look = async {
        let request = Request::get("/events")
            .header("host", "sample")
            .body(Full::<Bytes>::default())
            .unwrap();
        let mut answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut heard = String::new();
        while !heard.contains("\"number\":1") {
            heard.push_str(
                std::str::from_utf8(answer.body_mut().frame().await.unwrap().unwrap().data_ref().unwrap()).unwrap(),
            );
        }
        heard
    };
    tokio::select! {
        heard = look => assert!(heard.contains("id: 0\n")),
        _ = connection => panic!("the clock stopped"),
    }
}

#[tokio::test]
async fn an_upload_is_counted() {
    let samples = running().await;
    let address = address(&samples, "upload");
    let request = Request::post("/service/abc/file")
        .header("host", "sample")
        .body(Full::from(vec![7; 3 << 20]))
        .unwrap();
    let answer = client::send(address, request).await.unwrap().json();
    assert_eq!(answer["bytes"], 3 << 20);
    assert!(answer["pieces"].as_u64().unwrap() > 1, "it was held back somewhere");
    assert_eq!(get(address, "/progress", "*/*").await.json()["arrived"], 3 << 20);
}

#[tokio::test]
async fn stopped_samples_refuse() {
    let samples = running().await;
    let address = address(&samples, "arrived");
    let _open = chatter(self::address(&samples, "chat")).await;
    samples.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn lines_are_answered_over_tcp_until_somebody_ends_it() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let samples = running().await;
    let address = samples.streams()[0].address;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"hello\nupper abc\ncount\nbye\n").await.unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.unwrap();
    let lines: Vec<&str> = heard.lines().skip(1).collect();
    assert_eq!(
        lines,
        ["you said: hello", "ABC", "this is line 3 of this connection", "bye"]
    );
    // Whoever just stops speaking is let go, and a line without an end is not collected.
    for rude in [&b"half a line"[..], &[b'x'; 5000]] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(rude).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        // Unread bytes make the end a reset.
        let _ = stream.read_to_end(&mut heard).await;
        assert!(!heard.windows(8).any(|part| part == b"you said"), "{heard:?}");
    }
    samples.stop().await;
}
