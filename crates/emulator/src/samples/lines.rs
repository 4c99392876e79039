//! A small protocol of lines over TCP, to be tried with `nc`: a greeting, an answer to each line, and an end.

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

/// Bytes of a line; longer ones end the connection.
const LONGEST: u64 = 4096;
/// Nobody types slower.
const SILENCE: Duration = Duration::from_mins(30);

const HELLO: &str = "Hello. This is a task that speaks TCP. Say something, or: upper <text>, count, bye\n";

/// Serves one connection until either side ends it.
pub(super) async fn converse(mut stream: TcpStream) {
    let (read, write) = stream.split();
    // Whoever went away is not told so.
    let _ = answer(BufReader::new(read), write).await;
}

async fn answer<R, W>(mut read: BufReader<R>, mut write: W) -> std::io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    write.write_all(HELLO.as_bytes()).await?;
    let mut count = 0_u64;
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut read).take(LONGEST);
        let read = timeout(SILENCE, bounded.read_until(b'\n', &mut line)).await;
        if read.map_err(std::io::Error::other)?? == 0 || line.last() != Some(&b'\n') {
            return write.shutdown().await;
        }
        count += 1;
        let text = String::from_utf8_lossy(&line);
        let answer = match text.trim_end().split_once(' ').unwrap_or((text.trim_end(), "")) {
            ("bye", _) => {
                write.write_all(b"bye\n").await?;
                return write.shutdown().await;
            }
            ("count", _) => format!("this is line {count} of this connection\n"),
            ("upper", rest) => format!("{}\n", rest.to_uppercase()),
            _ => format!("you said: {}\n", text.trim_end()),
        };
        write.write_all(answer.as_bytes()).await?;
    }
}
