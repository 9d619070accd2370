//! Logs to stderr, as text or JSON.
//!
//! No key and no value is ever logged: not by credcache, and not by its
//! transport, which names frames and lengths but not what they carry.

use std::io::{self, IsTerminal};

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

/// Sets up logging for the whole process; once.
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
    Ok(())
}
