//! Logs to stderr, as text or JSON.
//!
//! No key and no value is ever logged: not by credcache, and not by its
//! transport, which names frames and lengths but not what they carry. A panic
//! is logged by its place alone, for what it says may hold either.

use std::{
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
    thread,
};

use tracing::{error, field::display};
use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt};

use crate::config::{LogConfig, LogFormat};

/// Why nothing could be logged.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is no filter.
    #[error("log.level is no filter: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// Something else in the process logs already.
    #[error("logging is set up already: {0}")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets up logging for the whole process, panics included; once.
///
/// # Errors
/// When it was set up before.
pub fn init(config: &LogConfig) -> Result<(), TelemetryError> {
    let lines = fmt()
        .with_env_filter(EnvFilter::builder().parse(&config.level)?)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    match config.format {
        LogFormat::Text => lines.finish().try_init()?,
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init()?,
    }
    panic::set_hook(Box::new(log_panic));
    Ok(())
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
        sync::Arc,
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
}
