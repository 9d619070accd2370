//! What the log says of itself. Made without the subscriber, which may filter,
//! limit or drop it.

use serde_json::{Value, json};
use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime, SystemTime},
};

use super::repeats::LeftOut;
use crate::config::LogFormat;

const TARGET: &str = module_path!();

/// A line about the log.
#[derive(Clone, Copy, Debug)]
pub(super) enum Notice {
    /// So many lines couldn't be written, or had no room.
    Lost(u64),
    /// A call site repeated itself.
    LeftOut(LeftOut),
}

impl Notice {
    /// The line, in the form of those around it.
    pub(super) fn line(self, format: LogFormat) -> Vec<u8> {
        let mut timestamp = String::new();
        // Without the time, rather than not at all.
        let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
        let (message, fields) = self.parts();
        match format {
            LogFormat::Text => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| format!(" {name}={value}"));
                let fields: String = fields.collect();
                format!("{timestamp}  WARN {TARGET}: {message}{fields}\n")
            }
            LogFormat::Json => {
                let mut line = json!({
                    "timestamp": timestamp,
                    "level": "WARN",
                    "message": message,
                    "target": TARGET,
                });
                for (name, value) in fields {
                    line[name] = value;
                }
                format!("{line}\n")
            }
        }
        .into_bytes()
    }

    fn parts(self) -> (&'static str, Vec<(&'static str, Value)>) {
        match self {
            Self::Lost(lines) => (
                "lines of the log are lost: they couldn't be written",
                vec![("lines", lines.into())],
            ),
            Self::LeftOut(LeftOut { site, lines }) => (
                "a line that repeats itself was left out",
                vec![
                    ("times", lines.into()),
                    ("said_by", site.target().into()),
                    ("at_line", site.line().into()),
                ],
            ),
        }
    }
}
