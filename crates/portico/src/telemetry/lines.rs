//! Lines on their way to standard output, standard error or a file: a bounded queue and a thread that writes.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

/// How long the end waits for what is still in the queue.
const PATIENCE: Duration = Duration::from_secs(2);
/// After the first line the writer lets more gather: while it is not parked at the queue, handing over wakes nobody, which would
/// cost the exchange more than the line itself.
const GATHER: Duration = Duration::from_millis(10);
/// Written at once, at most.
const BATCH: usize = 64 << 10;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to; made (mode 0640) if it is missing, and opened again when somebody moved it away.
    File(PathBuf),
}

/// The end where lines are handed over. Handing over never blocks. Cloning is cheap.
#[derive(Debug)]
pub struct Lines<T> {
    queue: SyncSender<Message<T>>,
    dropped: Arc<AtomicU64>,
}

enum Message<T> {
    Line(T),
    Flush(SyncSender<()>),
}

impl<T> Clone for Lines<T> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            dropped: self.dropped.clone(),
        }
    }
}

impl<T: Send + 'static> Lines<T> {
    /// Starts the thread that writes. `format` makes one line, with its end, of one value.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn start(
        name: &str,
        destination: &Destination,
        capacity: usize,
        format: impl Fn(&T, &mut Vec<u8>) + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, receiver) = sync_channel(capacity);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut outlet = Outlet::open(destination)?;
        let lost = dropped.clone();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || while write_some(&receiver, &mut outlet, &format, &lost) {})?;
        Ok(Self { queue, dropped })
    }

    /// Hands a value over; if the queue is full it is dropped and counted.
    pub fn push(&self, value: T) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(Message::Line(value)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many values were dropped, or could not be written.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits, but not long, until everything handed over so far is written. Blocks: for the end of the process.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        let mut message = Message::Flush(done);
        // The queue may be full of lines that nobody reads: try for a while, then give up.
        let deadline = std::time::Instant::now() + PATIENCE;
        while let Err(TrySendError::Full(back)) = self.queue.try_send(message) {
            if std::time::Instant::now() > deadline {
                return;
            }
            message = back;
            std::thread::yield_now();
        }
        let _ = written.recv_timeout(PATIENCE);
    }
}

/// Waits for something to write, then writes what is there. False at the end.
fn write_some<T>(
    receiver: &Receiver<Message<T>>,
    outlet: &mut Outlet,
    format: &impl Fn(&T, &mut Vec<u8>),
    lost: &AtomicU64,
) -> bool {
    let Ok(first) = receiver.recv() else { return false };
    if matches!(first, Message::Line(_)) {
        #[expect(
            clippy::disallowed_methods,
            reason = "a thread of its own, on which no exchange runs"
        )]
        std::thread::sleep(GATHER);
    }
    let (mut text, mut count, mut waiting) = (Vec::new(), 0, Vec::new());
    let mut next = Some(first);
    while let Some(message) = next {
        match message {
            Message::Line(value) => {
                format(&value, &mut text);
                count += 1;
            }
            Message::Flush(done) => waiting.push(done),
        }
        next = if text.len() < BATCH {
            receiver.try_recv().ok()
        } else {
            None
        };
    }
    if outlet.write(&text).is_err() {
        lost.fetch_add(count, Ordering::Relaxed);
    }
    for done in waiting {
        let _ = done.send(());
    }
    true
}

enum Outlet {
    Stdout,
    Stderr,
    File { path: PathBuf, file: File },
}

impl Outlet {
    fn open(destination: &Destination) -> io::Result<Self> {
        Ok(match destination {
            Destination::Stdout => Self::Stdout,
            Destination::Stderr => Self::Stderr,
            Destination::File(path) => Self::File {
                path: path.clone(),
                file: append_to(path)?,
            },
        })
    }

    /// Whole lines in one call, so that lines of several threads do not mix.
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(text)?;
                out.flush()
            }
            Self::Stderr => io::stderr().lock().write_all(text),
            Self::File { path, file } => {
                if was_moved(path, file)
                    && let Ok(new) = append_to(path)
                {
                    *file = new;
                }
                file.write_all(text)
            }
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// True if the path leads to another file now, or to none: logs are rotated this way.
fn was_moved(path: &Path, file: &File) -> bool {
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(open)) => identity(there) != identity(open),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "a format takes its value by reference")]
    fn line(value: &u32, text: &mut Vec<u8>) {
        text.extend_from_slice(format!("{value}\n").as_bytes());
    }

    #[test]
    fn lines_are_written_in_order_and_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        let lines = Lines::start("test", &Destination::File(path.clone()), 10_000, line).expect("started");
        (0..5000).for_each(|value| lines.push(value));
        lines.flush();
        let written = fs::read_to_string(&path).expect("the log");
        assert!(written.lines().map(str::parse).eq((0..5000).map(Ok)), "{written}");
        assert_eq!(lines.dropped(), 0);
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, old) = (directory.path().join("log"), directory.path().join("log.1"));
        let lines = Lines::start("test", &Destination::File(path.clone()), 10, line).expect("started");
        lines.push(1);
        lines.flush();
        fs::rename(&path, &old).expect("moved");
        lines.push(2);
        lines.flush();
        assert_eq!(fs::read_to_string(&old).expect("the old log"), "1\n");
        assert_eq!(fs::read_to_string(&path).expect("the new log"), "2\n");
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_and_nobody_waits() {
        // The thread hangs in its first line until it is let go.
        let (let_go, gate) = sync_channel::<()>(0);
        let directory = tempfile::tempdir().expect("a directory");
        let destination = Destination::File(directory.path().join("log"));
        let lines = Lines::start("test", &destination, 2, move |value: &u32, text: &mut Vec<u8>| {
            if *value == 0 {
                let _ = gate.recv();
            }
            line(value, text);
        })
        .expect("started");
        (0..100).for_each(|value| lines.push(value));
        // Two wait in the queue, and the first may have left it already.
        assert!((97..=98).contains(&lines.dropped()), "{}", lines.dropped());
        let_go.send(()).expect("the thread waits");
        lines.flush();
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error_at_once() {
        let destination = Destination::File("/proc/self/log".into());
        assert!(Lines::start("test", &destination, 1, line).is_err());
    }
}
