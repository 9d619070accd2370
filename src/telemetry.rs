//! Logs to stderr, as text or JSON, at a bounded price: who logs a line puts it
//! into a queue, and one thread of its own writes it out.
//!
//! Guarantees that no line blocks or ends whoever logs it, whatever becomes of
//! stderr: lines that there is no room for, or that can't be written, are
//! dropped and counted, and one line says how many. A call site that repeats
//! itself is cut short.
//!
//! No key and no value is ever logged: not by credcache, and not by its
//! transport, which names frames and lengths but not what they carry. A panic
//! is logged by its place alone, for what it says may hold either.

mod lines;
mod notice;
mod repeats;
mod writer;

use std::{
    fmt::Display,
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use tracing::{error, field::display};
use tracing_subscriber::{
    EnvFilter, Layer, filter::ParseError, fmt, layer::SubscriberExt, registry,
    util::SubscriberInitExt,
};

use self::{
    lines::Lines,
    repeats::Repeats,
    writer::{Stderr, Writer},
};
use crate::config::{LogConfig, LogFormat};

/// How long [`flush`] waits for a stderr that takes nothing.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// What waits to be written, once logging is set up.
static LINES: OnceLock<Arc<Lines>> = OnceLock::new();

/// Why nothing could be logged.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is no filter.
    #[error("log.level is no filter: {0}")]
    Level(#[from] ParseError),
    /// Something else in the process logs already.
    #[error("logging is set up already: {0}")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
    /// The system gives no thread to write with.
    #[error("can't start a thread that writes the log: {0}")]
    Thread(io::Error),
}

/// Sets up logging for the whole process, panics included; once.
///
/// # Errors
/// When it was set up before, or the system gives no thread.
pub fn init(config: &LogConfig) -> Result<(), TelemetryError> {
    let lines = Arc::new(Lines::default());
    let repeats = Arc::new(Repeats::default());
    let layer = fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(lines.clone())
        // It would tell of an error on stderr, and panic where that fails.
        .log_internal_errors(false);
    let layer = match config.format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    registry()
        .with(filter(&config.level)?)
        .with(repeats::Limit(repeats.clone()))
        .with(layer)
        .try_init()?;
    panic::set_hook(Box::new(log_panic));

    let lines = LINES.get_or_init(|| lines).clone();
    let writer = Writer::new(lines, repeats, config.format, Stderr);
    thread::Builder::new()
        .name("log".into())
        .spawn(move || writer.run())
        .map_err(TelemetryError::Thread)?;
    Ok(())
}

/// Waits until what was logged is written, for half a second at most: for the
/// end of the process. Does nothing where logging isn't set up.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush(FLUSH_TIMEOUT);
    }
}

/// Puts a line on stderr that isn't part of the log, for where its level hides
/// even errors. Does nothing where logging isn't set up.
pub fn print(line: impl Display) {
    if let Some(lines) = LINES.get() {
        lines.push(format!("{line}\n").as_bytes());
    }
}

/// What a level lets through.
///
/// A level without a target, up to `info`, is that of credcache's own lines:
/// the libraries below warn of each odd frame, so a peer could write the log.
/// `debug` and `trace` are for all, and `target=level` asks for a library.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    let parts = level.split(',').map(str::trim);
    let (own, rest): (Vec<_>, Vec<_>) = parts.partition(|part| matches!(*part, "warn" | "info"));
    // First, for of two that name one target the later one counts.
    let own = own
        .into_iter()
        .flat_map(|level| ["error".to_owned(), format!("credcache={level}")]);
    let directives: Vec<String> = own.chain(rest.into_iter().map(str::to_owned)).collect();
    EnvFilter::builder().parse(directives.join(","))
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(display);
    error!(location, thread = thread::current().name(), "panicked");
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{Read, Seek},
    };

    use super::*;

    #[test]
    fn panic_is_logged_by_its_place_and_not_by_what_it_says() {
        let log = Arc::new(tempfile::tempfile().unwrap());
        let lines = fmt().json().with_writer(log.clone()).finish();
        let default = panic::take_hook();
        panic::set_hook(Box::new(log_panic));
        thread::Builder::new()
            .name("doomed".into())
            .spawn(|| tracing::subscriber::with_default(lines, || panic!("qzqz")))
            .unwrap()
            .join()
            .unwrap_err();
        panic::set_hook(default);

        let mut log: &File = &log;
        let mut text = String::new();
        log.rewind().unwrap();
        log.read_to_string(&mut text).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["fields"]["thread"], "doomed");
        let location = line["fields"]["location"].as_str().unwrap();
        assert!(location.starts_with(file!()), "{location}");
        assert!(!text.contains("qzqz"), "{text}");
    }

    /// Which of one line each of credcache and of a library a level lets
    /// through.
    fn passes(level: &str) -> [bool; 4] {
        let subscriber = registry().with(filter(level).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            [
                tracing::enabled!(target: "credcache::server", tracing::Level::INFO),
                tracing::enabled!(target: "credcache::server", tracing::Level::DEBUG),
                tracing::enabled!(target: "h2::proto", tracing::Level::WARN),
                tracing::enabled!(target: "h2::proto", tracing::Level::DEBUG),
            ]
        })
    }

    #[test]
    fn level_up_to_info_is_not_the_libraries() {
        for (level, passed) in [
            ("off", [false, false, false, false]),
            ("error", [false, false, false, false]),
            ("warn", [false, false, false, false]),
            ("info", [true, false, false, false]),
            ("debug", [true, true, true, true]),
            ("info,h2=warn", [true, false, true, false]),
            ("credcache=debug,warn", [true, true, false, false]),
            ("credcache=debug", [true, true, false, false]),
            ("h2=debug", [false, false, true, true]),
        ] {
            assert_eq!(passes(level), passed, "{level}");
        }
    }
}
