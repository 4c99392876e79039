//! A server in front of the emulated one that answers some calls by itself.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Listens, and hands on every call but those that `answer`s.
pub(crate) struct Stub {
    pub(crate) url: String,
    _tasks: JoinSet<()>,
}

impl Stub {
    /// `answer` gets the call's name and gives a whole HTTP answer, or nothing.
    pub(crate) async fn before(server: SocketAddr, answer: fn(&str) -> Option<String>) -> Self {
        Self::between(server, answer, |_| ()).await
    }

    /// The same, where `spoil` changes what the server answers, but not its length.
    pub(crate) async fn between(server: SocketAddr, answer: fn(&str) -> Option<String>, spoil: fn(&mut [u8])) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, server, answer, spoil));
            }
        });
        Self { url, _tasks: tasks }
    }
}

/// One call, then the connection ends, as the emulated server does it.
async fn serve(mut stream: TcpStream, server: SocketAddr, answer: fn(&str) -> Option<String>, spoil: fn(&mut [u8])) {
    let mut request = Vec::new();
    let head = loop {
        if let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    while request.len() < head + length {
        stream.read_buf(&mut request).await.unwrap();
    }
    let call = text
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .trim_start_matches('/')
        .to_owned();
    let answer = if let Some(answer) = answer(&call) {
        answer.into_bytes()
    } else {
        let mut upstream = TcpStream::connect(server).await.unwrap();
        upstream.write_all(&request).await.unwrap();
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer).await.unwrap();
        spoil(&mut answer);
        answer
    };
    // A client that went away is the test's business.
    let _ = stream.write_all(&answer).await;
}

/// An answer in ClearML's form that says no.
pub(crate) fn no(code: u16, subcode: u16) -> String {
    let body =
        format!(r#"{{"meta":{{"result_code":{code},"result_subcode":{subcode},"result_msg":"no"}},"data":{{}}}}"#);
    format!(
        "HTTP/1.1 {code} No\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
