//! Lines about the log itself. They are formatted without the subscriber, which might filter, limit
//! or drop them.

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
    /// This many lines could not be written or did not fit into the queue.
    Lost(u64),
    /// Lines of a call site were left out.
    LeftOut(LeftOut),
}

impl Notice {
    /// Formats the line like the lines around it.
    pub(super) fn line(self, format: LogFormat) -> Vec<u8> {
        let mut timestamp = String::new();
        // A line without a time is better than no line.
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
                "lines of the log were lost because they couldn't be written",
                vec![("lines", lines.into())],
            ),
            Self::LeftOut(LeftOut { site, lines }) => (
                "repeated lines were left out",
                vec![
                    ("times", lines.into()),
                    ("said_by", site.target().into()),
                    ("at_line", site.line().into()),
                ],
            ),
        }
    }
}
