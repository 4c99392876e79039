//! Applications that misbehave.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    Peer,
    behaves::{head, ok},
};

/// Takes the request and says nothing; notices when the gateway gives up.
pub(crate) async fn stalls() -> Peer {
    Peer::start(|mut stream, seen| async move {
        let mut buffer = Vec::new();
        if let Some(head) = head(&mut stream, &mut buffer).await {
            seen.add(head);
        }
        while stream.read_buf(&mut buffer).await.is_ok_and(|count| count > 0) {}
    })
    .await
}

/// Takes the request and ends its side without an answer.
pub(crate) async fn half_closes() -> Peer {
    Peer::start(|mut stream, seen| async move {
        let mut buffer = Vec::new();
        if let Some(head) = head(&mut stream, &mut buffer).await {
            seen.add(head);
        }
        let _ = stream.shutdown().await;
        while stream.read_buf(&mut buffer).await.is_ok_and(|count| count > 0) {}
    })
    .await
}

/// Answers byte by byte.
pub(crate) async fn sends_one_byte() -> Peer {
    Peer::start(|mut stream, seen| async move {
        let mut buffer = Vec::new();
        while let Some(head) = head(&mut stream, &mut buffer).await {
            seen.add(head);
            for byte in ok("X-Slow: yes\r\n", "slowly") {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    })
    .await
}

/// Answers with more headers than anybody should read.
pub(crate) async fn oversized_header() -> Peer {
    super::behaves::answers(|_| ok(&format!("X-Large: {}\r\n", "x".repeat(200 * 1024)), "ok")).await
}

/// Resets the connection when the request is there.
pub(crate) async fn resets() -> Peer {
    Peer::start(|mut stream, seen| async move {
        if let Some(head) = head(&mut stream, &mut Vec::new()).await {
            seen.add(head);
        }
        let _ = stream.set_zero_linger();
    })
    .await
}

/// Accepts and reads nothing.
pub(crate) async fn never_reads() -> Peer {
    Peer::start(|stream, _| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await
}

/// Speaks another protocol.
pub(crate) async fn answers_garbage() -> Peer {
    Peer::start(|mut stream, _| async move {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        let mut buffer = Vec::new();
        while stream.read_buf(&mut buffer).await.is_ok_and(|count| count > 0) {}
    })
    .await
}

/// Sends half of the body that it announced.
pub(crate) async fn stops_midway() -> Peer {
    Peer::start(|mut stream, seen| async move {
        if let Some(head) = head(&mut stream, &mut Vec::new()).await {
            seen.add(head);
        }
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            .await;
    })
    .await
}

/// Switches protocols although nobody asked.
pub(crate) async fn switches_unasked() -> Peer {
    super::behaves::answers(|_| {
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n".to_vec()
    })
    .await
}

/// Says 101, but not for a WebSocket.
pub(crate) async fn switches_to_something_else() -> Peer {
    super::behaves::answers(|_| {
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n".to_vec()
    })
    .await
}

/// Keeps the connection open after an answer, and closes it when the next request comes.
pub(crate) async fn closes_when_reused() -> Peer {
    Peer::start(|mut stream, seen| async move {
        let mut buffer = Vec::new();
        if let Some(first) = head(&mut stream, &mut buffer).await {
            seen.add(first);
            let _ = stream.write_all(&ok("", "once")).await;
            if let Some(second) = head(&mut stream, &mut buffer).await {
                seen.add(format!("dropped {second}"));
            }
        }
    })
    .await
}

/// Answers as soon as the head is there, whatever is still to come, and closes.
pub(crate) async fn answers_early() -> Peer {
    Peer::start(|mut stream, seen| async move {
        let mut buffer = Vec::new();
        if let Some(head) = head(&mut stream, &mut buffer).await {
            seen.add(head);
        }
        let answer = "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge";
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut block = vec![0; 64 * 1024];
        while stream.read(&mut block).await.is_ok_and(|count| count > 0) {}
    })
    .await
}
