//! Applications behind streams. Those that misbehave are named after how.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::peers::Peer;

/// Sends back what it gets, and ends when its visitor has.
pub(crate) async fn echoes() -> Peer {
    Peer::start(|mut stream, _| async move {
        let (mut from, mut to) = stream.split();
        if tokio::io::copy(&mut from, &mut to).await.is_ok() {
            let _ = to.shutdown().await;
        }
    })
    .await
}

/// Speaks first, as SSH does, and then echoes.
pub(crate) async fn greets() -> Peer {
    Peer::start(|mut stream, _| async move {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        let (mut from, mut to) = stream.split();
        let _ = tokio::io::copy(&mut from, &mut to).await;
    })
    .await
}

/// Counts what it gets until its visitor has finished, and answers with the count.
pub(crate) async fn counts() -> Peer {
    Peer::start(|mut stream, _| async move {
        let mut count = 0;
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(some) = stream.read(&mut bytes).await {
            if some == 0 {
                let _ = stream.write_all(format!("{count}").as_bytes()).await;
                return;
            }
            count += some;
        }
    })
    .await
}

/// Accepts, and neither reads nor says anything; ends when the connection breaks.
pub(crate) async fn stalls() -> Peer {
    Peer::start(|stream, _| async move {
        let _ = stream.ready(tokio::io::Interest::ERROR).await;
    })
    .await
}

/// Finishes its side at once, and reads on.
pub(crate) async fn half_closes() -> Peer {
    Peer::start(|mut stream, seen| async move {
        let _ = stream.shutdown().await;
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text).await;
        seen.add(text);
    })
    .await
}

/// Resets the connection at the first byte.
pub(crate) async fn resets() -> Peer {
    Peer::start(|mut stream, _| async move {
        let _ = stream.read_u8().await;
        let _ = stream.set_zero_linger();
    })
    .await
}

/// Sends one byte after the other, for ever.
pub(crate) async fn sends_one_byte() -> Peer {
    Peer::start(|mut stream, _| async move {
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// Sends as much as is taken, for ever.
pub(crate) async fn gushes() -> Peer {
    Peer::start(|mut stream: TcpStream, _| async move {
        let block = vec![b'x'; 256 * 1024];
        while stream.write_all(&block).await.is_ok() {}
    })
    .await
}

/// Hears its visitor out, says so, and never ends.
pub(crate) async fn half_reads() -> Peer {
    Peer::start(|mut stream, seen| async move {
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text).await;
        seen.add(text);
        std::future::pending::<()>().await;
    })
    .await
}
