//! Typed text to values: durations, sizes, numbers, each within its bounds.
//!
//! The environment and the flags know only text, so text is accepted wherever
//! the file may have a number or a boolean.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

use bytesize::ByteSize;
use toml::Value;
use tracing_subscriber::EnvFilter;

use super::{Group, ListenAddr, LogFormat};
use crate::duration;

/// Why a value won't do; without the setting's name.
pub(super) type Problem = String;

pub(super) fn duration(
    value: &Value,
    bounds: &RangeInclusive<Duration>,
) -> Result<Duration, Problem> {
    let text = value
        .as_str()
        .ok_or_else(|| format!("{} has no unit", shown(value)))?;
    let duration = duration::parse(text).map_err(|error| wrong(value, error))?;
    within(duration, bounds, value)
}

pub(super) fn size(value: &Value, bounds: &RangeInclusive<u64>) -> Result<u64, Problem> {
    let size = match value {
        Value::Integer(bytes) => u64::try_from(*bytes).map_err(|error| wrong(value, error))?,
        Value::String(text) => text
            .parse::<ByteSize>()
            .map_err(|error| wrong(value, error))?
            .as_u64(),
        _ => return Err(format!("{} isn't a size", shown(value))),
    };
    within(size, bounds, value)
}

pub(super) fn number(value: &Value, bounds: &RangeInclusive<u32>) -> Result<u32, Problem> {
    let number = match value {
        Value::Integer(number) => u32::try_from(*number).map_err(|error| wrong(value, error))?,
        Value::String(text) => text.parse().map_err(|error| wrong(value, error))?,
        _ => return Err(format!("{} isn't a number", shown(value))),
    };
    within(number, bounds, value)
}

pub(super) fn boolean(value: &Value) -> Result<bool, Problem> {
    match value {
        Value::Boolean(boolean) => Ok(*boolean),
        Value::String(text) => bool::from_str(text).map_err(|error| wrong(value, error)),
        _ => Err(format!("{} isn't a boolean", shown(value))),
    }
}

pub(super) fn addresses(value: &Value) -> Result<Vec<ListenAddr>, Problem> {
    let addresses: Vec<ListenAddr> = match value {
        Value::String(list) => list.split(',').map(|text| text.trim().parse()).collect(),
        Value::Array(items) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .ok_or_else(|| format!("{} isn't text", shown(item)))?
                    .parse()
            })
            .collect(),
        _ => Err(format!("{} isn't a list", shown(value))),
    }?;
    if addresses.is_empty() {
        return Err("the list is empty".into());
    }
    Ok(addresses)
}

/// Text alone: as a number, 660 would be 01224 in octal.
pub(super) fn socket_mode(value: &Value) -> Result<u32, Problem> {
    let text = value
        .as_str()
        .ok_or_else(|| format!("{} isn't text", shown(value)))?;
    let is_octal =
        (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| is_octal && *mode <= 0o777)
        .ok_or_else(|| format!("{} isn't a mode from 0600 to 0777", shown(value)))?;
    if mode & 0o600 != 0o600 {
        return Err(format!("{} keeps the owner out", shown(value)));
    }
    let cannot_connect = |rights: u32| rights & 0o7 != 0 && rights & 0o2 == 0;
    if cannot_connect(mode >> 3) || cannot_connect(mode) {
        return Err(format!(
            "{} gives rights with which nobody can connect",
            shown(value)
        ));
    }
    Ok(mode)
}

pub(super) fn group(value: &Value) -> Result<Option<Group>, Problem> {
    let refused = || format!("{} isn't a group", shown(value));
    let text = match value {
        Value::Integer(number) => &number.to_string(),
        Value::String(text) => text,
        _ => return Err(refused()),
    };
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        // The highest number stands for "as it is".
        let id = text.parse().ok().filter(|id| *id != u32::MAX);
        return id.map(|id| Some(Group::Id(id))).ok_or_else(refused);
    }
    // A directory service's group may be called `DOMAIN\domain users`.
    let is_name = (1..=256).contains(&text.len())
        && text.trim() == text
        && !text.starts_with(['-', '+'])
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || " ._-@$+\\".contains(c));
    is_name
        .then(|| Some(Group::Name(text.clone())))
        .ok_or_else(refused)
}

pub(super) fn log_format(value: &Value) -> Result<LogFormat, Problem> {
    match value.as_str() {
        Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        _ => Err(format!("{} isn't a format", shown(value))),
    }
}

pub(super) fn log_level(value: &Value) -> Result<String, Problem> {
    let text = value
        .as_str()
        // EnvFilter's parser panics on some text that isn't ASCII.
        .filter(|text| text.is_ascii())
        .ok_or_else(|| format!("{} isn't a level", shown(value)))?;
    // A word that is no level passes for the name of a target otherwise, and
    // "verbose" would silence everything.
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    for part in text.split(',') {
        if !part.contains('=') && !levels.contains(&part.trim()) {
            return Err(format!("{:?} isn't a level", part.trim()));
        }
    }
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| wrong(value, error))?;
    Ok(text.to_owned())
}

pub(super) fn tier_name(value: &Value) -> Result<String, Problem> {
    let name = value
        .as_str()
        .ok_or_else(|| format!("{} isn't text", shown(value)))?;
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let valid = name.len() <= 63
        && name.bytes().next().is_some_and(alphanumeric)
        && name
            .bytes()
            .all(|byte| alphanumeric(byte) || b"._-".contains(&byte));
    if valid {
        Ok(name.to_owned())
    } else {
        Err(format!("{} isn't a name", shown(value)))
    }
}

fn within<T: PartialOrd>(
    parsed: T,
    bounds: &RangeInclusive<T>,
    value: &Value,
) -> Result<T, Problem> {
    if bounds.contains(&parsed) {
        Ok(parsed)
    } else {
        Err(format!("{} is out of bounds", shown(value)))
    }
}

fn wrong(value: &Value, error: impl Display) -> Problem {
    format!("{} won't do: {error}", shown(value))
}

/// The value as it was typed, on one line and not too long.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string().replace('\n', " ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
