//! The asking end, for the commands. It blocks.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Reply, Request, Response};

/// Longer than the gateway takes for anything.
const PATIENCE: Duration = Duration::from_secs(40);
/// No answer is longer.
const LONGEST: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error(
        "no gateway answers at {path} ({why}); is it running, and with this state.path or control.socket? --socket names another one"
    )]
    NoGateway {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// It may be asked by its own user only.
    #[error("{path} may be asked by the gateway's own user only: run this command as that user, or as root")]
    NotAllowed {
        /// The socket.
        path: PathBuf,
    },
    /// The connection broke.
    #[error("the gateway broke off: {0}")]
    BrokeOff(io::Error),
    /// It cannot answer.
    #[error("{0}")]
    Refused(String),
}

/// Asks the gateway at a socket.
pub fn ask(path: &Path, request: &Request) -> Result<Reply, AskError> {
    let stream = UnixStream::connect(path).map_err(|why| match why.kind() {
        io::ErrorKind::PermissionDenied => AskError::NotAllowed { path: path.to_owned() },
        _ => AskError::NoGateway {
            path: path.to_owned(),
            why,
        },
    })?;
    match exchange(stream, request).map_err(AskError::BrokeOff)? {
        Response::Ok(reply) => Ok(reply),
        Response::Error(why) => Err(AskError::Refused(why)),
    }
}

fn exchange(mut stream: UnixStream, request: &Request) -> io::Result<Response> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    BufReader::new(stream).take(LONGEST).read_until(b'\n', &mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&answer)?)
}
