//! A visitor's end of a WebSocket.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, handshake::client::generate_key},
};

use super::waiting::comes;

pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    pub(super) async fn open(address: SocketAddr, head: http::request::Builder) -> Result<Self, u16> {
        let path = head.uri_ref().unwrap().to_string();
        let request = head
            .uri(format!("ws://gateway.test{path}"))
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", generate_key())
            .body(())
            .unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no answer to the handshake: {error}"),
        }
    }

    /// Says something to an application that sends everything back.
    pub(crate) async fn says(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
        let echo = self.0.next().await.unwrap().unwrap();
        assert_eq!(echo.to_text().unwrap(), text);
    }

    /// The code with which the other side closes; `None` if it just ends.
    pub(crate) async fn closes_within(&mut self, limit: Duration) -> Option<u16> {
        let close = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map(|frame| u16::from(frame.code)),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        };
        comes(limit, "the end of the WebSocket", close).await
    }
}
