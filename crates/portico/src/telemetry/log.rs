//! The log: to standard error, in one line for each event, whatever is in it.

use std::{fmt::Write as _, io, sync::OnceLock};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use super::lines::{Destination, Lines};
use crate::config::{LogFormat, LogLevel};

/// Events that may wait to be written.
const QUEUE: usize = 4096;

/// Keeps the log going; what is still to be written is written when it is dropped.
#[derive(Debug)]
pub struct Log(Lines<Vec<u8>>);

impl Log {
    /// How many events were lost because nobody read them.
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// The counter's owner, for the metrics.
    pub fn lines(&self) -> Lines<Vec<u8>> {
        self.0.clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Starts the process's log. To be called once.
///
/// # Errors
/// There is a log already, or no thread for it.
pub fn start(level: LogLevel, format: LogFormat) -> io::Result<Log> {
    let lines = Lines::start(
        "log",
        &Destination::Stderr,
        QUEUE,
        |line: &Vec<u8>, text: &mut Vec<u8>| {
            text.extend_from_slice(line);
        },
    )?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_ansi(false)
        .with_writer(Writer(lines.clone()));
    match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(io::Error::other)?;
    Ok(Log(lines))
}

/// Told at each try, several times a second; what failed is told by ours, once.
const REPETITIVE: &str = "rustls_platform_verifier=off";

/// Ours at the chosen level; of libraries, what they warn of.
fn filter(level: LogLevel) -> EnvFilter {
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let others = if level == "error" { "error" } else { "warn" };
    EnvFilter::new(format!("{others},portico={level},{REPETITIVE}"))
}

#[derive(Clone)]
struct Writer(Lines<Vec<u8>>);

impl<'w> MakeWriter<'w> for Writer {
    type Writer = Event<'w>;

    fn make_writer(&'w self) -> Event<'w> {
        Event {
            lines: &self.0,
            text: Vec::new(),
        }
    }
}

/// One event, put together and handed over when it is complete.
struct Event<'w> {
    lines: &'w Lines<Vec<u8>>,
    text: Vec<u8>,
}

impl io::Write for Event<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Event<'_> {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.lines.push(one_line(&self.text));
        }
    }
}

/// Longer events are cut: no single one may fill a disk.
const LONGEST: usize = 8 << 10;

/// The event as one line: what visitors and tasks wrote into it can neither end it nor write to a terminal.
fn one_line(event: &[u8]) -> Vec<u8> {
    let event = String::from_utf8_lossy(event);
    let mut line = String::with_capacity(event.len() + 1);
    for letter in event.trim_end_matches('\n').chars() {
        if line.len() >= LONGEST {
            line.push('…');
            break;
        }
        if letter.is_control() || is_invisible(letter) {
            let _ = write!(line, "{}", letter.escape_unicode());
        } else {
            line.push(letter);
        }
    }
    line.push('\n');
    line.into_bytes()
}

/// Line separators, and marks that turn the direction of writing around.
pub(crate) fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A panic's place and message into the log, in one line, before the thread unwinds. Once for the process.
pub fn log_panics() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let message = panic.payload_as_str().unwrap_or("no message");
            tracing::error!(place, message, "a bug: the program panicked");
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let hostile = "name=\"a\nERROR forged\r\u{1b}[31mred\u{85}\u{2028}\u{202e}abc\"\n".as_bytes();
        let line = String::from_utf8(one_line(hostile)).expect("text");
        assert_eq!(
            line,
            "name=\"a\\u{a}ERROR forged\\u{d}\\u{1b}[31mred\\u{85}\\u{2028}\\u{202e}abc\"\n"
        );
    }

    #[test]
    fn an_event_is_bounded() {
        assert!(one_line(&vec![b'x'; 1 << 20]).len() < LONGEST + 10);
    }

    #[test]
    fn libraries_are_heard_only_when_they_warn() {
        assert_eq!(
            filter(LogLevel::Debug).to_string(),
            "rustls_platform_verifier=off,portico=debug,warn"
        );
        assert_eq!(
            filter(LogLevel::Error).to_string(),
            "rustls_platform_verifier=off,portico=error,error"
        );
    }

    #[test]
    fn whole_events_reach_the_queue() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("log");
        let destination = Destination::File(path.clone());
        let lines = Lines::start("test", &destination, 10, |line: &Vec<u8>, text: &mut Vec<u8>| {
            text.extend_from_slice(line);
        })
        .expect("started");
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(Writer(lines.clone()))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(task = "a\nb", secret = ?portico_core::secret::Secret::new("hunter2"), "hello");
        });
        lines.flush();
        let text = std::fs::read_to_string(&path).expect("the log");
        let event: serde_json::Value = serde_json::from_str(&text).expect("one JSON object");
        assert_eq!(event["message"], "hello");
        assert_eq!(event["task"], "a\nb");
        assert!(!text.contains("hunter2"));
    }
}
