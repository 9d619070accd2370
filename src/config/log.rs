//! The settings of the log: what is logged, and in which format.

use toml::Value;
use tracing_subscriber::EnvFilter;

#[cfg(test)]
use super::form::Samples;
use super::form::{Choice, Flag, Form, Problem, shown, unreadable};

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The words for the formats.
pub(super) const LOG_FORMAT: Choice<LogFormat> = Choice {
    name: "FORMAT",
    words: &[("text", LogFormat::Text), ("json", LogFormat::Json)],
};

/// A filter that `tracing_subscriber::EnvFilter` accepts.
pub(super) struct LogLevel;

impl Form for LogLevel {
    type Value = String;

    fn accepts(&self, _example: Option<&String>) -> String {
        "off, error, warn, info, debug or trace, or target=level pairs, comma separated".into()
    }

    fn read(&self, value: &Value) -> Result<String, Problem> {
        let text = value
            .as_str()
            // EnvFilter's parser panics on some text that isn't ASCII.
            .filter(|text| text.is_ascii())
            .ok_or_else(|| format!("{} isn't a level", shown(value)))?;
        // Otherwise, a word that isn't a level would count as the name of a target, and "verbose"
        // would silence the whole log.
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        for part in text.split(',') {
            if !part.contains('=') && !levels.contains(&part.trim()) {
                return Err(format!("{:?} isn't a level", part.trim()));
            }
        }
        EnvFilter::builder()
            .parse(text)
            .map_err(|error| unreadable(value, error))?;
        Ok(text.to_owned())
    }

    fn write(&self, value: &String) -> Option<Value> {
        Some(Value::String(value.clone()))
    }

    fn flag(&self) -> Flag {
        Flag::One("LEVEL")
    }

    #[cfg(test)]
    fn samples(&self) -> Samples {
        Samples::new(
            &["'off'", "'info'", "'credcache=debug,warn'"],
            &[
                "'verbose'",
                "''",
                "'info,'",
                "'credcache=loud'",
                "3",
                "['info']",
            ],
        )
    }
}
