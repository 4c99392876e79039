//! The listening end.

use std::{
    fs, io,
    os::unix::{
        fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixStream as Knock,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{Answers, Request, Response};

/// Clients at one time.
const CLIENTS: usize = 16;
/// Bytes of a question. Cookies are the longest part of one.
const LONGEST: u64 = 128 << 10;
/// A client that does not ask, or does not read, is given up after this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// The socket, listening but not served yet. Its file goes when this value does.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    user: u32,
}

impl Control {
    /// Makes the socket, with directories for the owner alone where they are missing. To be called inside of a runtime.
    ///
    /// # Errors
    /// Another gateway answers there already, or the place cannot be written to.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("control.socket {}: {error}", path.display()));
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(named)?;
        }
        if Knock::connect(path).is_ok() {
            let text = "another gateway answers there; give each one a state.path or control.socket of its own";
            return Err(named(io::Error::new(io::ErrorKind::AddrInUse, text)));
        }
        // Made beside its place and moved there when its mode is right: at its place it is never open to others.
        let draft = path.with_file_name(format!(".{}.sock", std::process::id()));
        let _ = fs::remove_file(&draft);
        let listener = UnixListener::bind(&draft).map_err(named)?;
        let ready = || -> io::Result<u32> {
            fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))?;
            fs::rename(&draft, path)?;
            Ok(fs::metadata(path)?.uid())
        };
        let user = ready().inspect_err(|_| drop(fs::remove_file(&draft))).map_err(named)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            user,
        })
    }

    /// Answers until the end.
    pub async fn run(self, answers: impl Answers + 'static, stop: CancellationToken) {
        let answers: Arc<dyn Answers> = Arc::new(answers);
        let permits = Arc::new(Semaphore::new(CLIENTS));
        let mut clients = JoinSet::new();
        loop {
            let accept = async {
                let permit = permits.clone().acquire_owned().await;
                (permit, self.listener.accept().await)
            };
            let (permit, client) = tokio::select! {
                () = stop.cancelled() => return,
                accepted = accept => accepted,
            };
            while clients.try_join_next().is_some() {}
            let Ok((client, _)) = client else {
                // Out of file descriptors, most likely: it passes.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if !self.may_ask(&client) {
                tracing::warn!("somebody else's process tried the control socket");
                continue;
            }
            let answers = answers.clone();
            clients.spawn(async move {
                // A client that breaks off is nothing to report.
                let _ = serve(client, &*answers).await;
                drop(permit);
            });
        }
    }

    /// The kernel's word on who connects: the gateway's own user, or root.
    fn may_ask(&self, client: &UnixStream) -> bool {
        client
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == self.user || peer.uid() == 0)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

async fn serve(client: UnixStream, answers: &dyn Answers) -> io::Result<()> {
    let (reader, mut writer) = client.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut reader).take(LONGEST);
        let read = bounded.read_until(b'\n', &mut line);
        if tokio::time::timeout(PATIENCE, read).await?? == 0 {
            return Ok(());
        }
        let is_whole = line.ends_with(b"\n");
        let response = match serde_json::from_slice::<Request>(&line) {
            _ if !is_whole => Response::Error("the question is too long, or breaks off".into()),
            // The parser's text may quote a cookie.
            Err(_) => Response::Error("the question is not understood: is the command of another version?".into()),
            Ok(request) => match tokio::time::timeout(PATIENCE, answers.answer(&request)).await {
                Ok(Ok(reply)) => Response::Ok(reply),
                Ok(Err(why)) => Response::Error(why),
                Err(_) => Response::Error("there was no answer in time".into()),
            },
        };
        let mut text = serde_json::to_vec(&response)?;
        text.push(b'\n');
        tokio::time::timeout(PATIENCE, writer.write_all(&text)).await??;
        if !is_whole {
            return Ok(());
        }
    }
}
