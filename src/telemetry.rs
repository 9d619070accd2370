//! The log, as text or JSON on stderr. A caller puts a line into a bounded queue, and a dedicated
//! thread writes the queue to stderr.
//!
//! Logging never blocks its caller and never ends the process, whatever happens to stderr. Lines
//! that don't fit into the queue or can't be written are dropped and counted, and one line reports
//! the count. Lines of one call site are rate-limited.
//!
//! Keys and values are never logged. The transport logs frame types and lengths but not contents. A
//! panic is logged with its location only, because its message may contain a key or a value.

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

/// How long [`flush`] waits if stderr accepts nothing.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// The queue of lines, once logging is set up.
static LINES: OnceLock<Arc<Lines>> = OnceLock::new();

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is not a valid filter.
    #[error("log.level is not a filter: {0}")]
    Level(#[from] ParseError),
    /// The process already has a logger.
    #[error("logging is already set up: {0}")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
    /// The system refused to start the thread that writes.
    #[error("can't start the thread that writes the log: {0}")]
    Thread(io::Error),
}

/// Sets up logging for the whole process, panics included. To be called once.
///
/// # Errors
/// The level is not a valid filter, logging was set up before, or the system refused to start a
/// thread.
pub fn init(config: &LogConfig) -> Result<(), TelemetryError> {
    let lines = Arc::new(Lines::default());
    let repeats = Arc::new(Repeats::default());
    let layer = fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(lines.clone())
        // Internal errors would go to stderr directly, with a panic if that fails.
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

/// Waits until all logged lines are written, but no longer than half a second. The process calls
/// this before it ends. Without logging set up, this does nothing.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush(FLUSH_TIMEOUT);
    }
}

/// Writes a line to stderr outside of the log, for use when the level hides even errors. Without
/// logging set up, this does nothing.
pub fn print(line: impl Display) {
    if let Some(lines) = LINES.get() {
        lines.push(format!("{line}\n").as_bytes());
    }
}

/// The filter for a level.
///
/// `warn` and `info` without a target apply to credcache's own lines. The libraries below log
/// errors only, because they warn about single frames and a peer could fill the log with them.
/// `debug` and `trace` apply to everything, and `target=level` selects a library.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    let parts = level.split(',').map(str::trim);
    let (own, rest): (Vec<_>, Vec<_>) = parts.partition(|part| matches!(*part, "warn" | "info"));
    // These directives come first, because the later of two directives for one target wins.
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

    /// Whether lines pass at a level: credcache's info and debug lines, then a library's warn and
    /// debug lines.
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
