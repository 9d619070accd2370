//! Numbers, sizes and durations, each within its bounds.

use std::{ops::RangeInclusive, time::Duration};

use bytesize::ByteSize;
use toml::Value;

#[cfg(test)]
use super::Samples;
use super::{Flag, Form, Problem, shown, unreadable};
use crate::duration;

/// A whole number.
pub(in crate::config) struct Number(pub(in super::super) RangeInclusive<u32>);

impl Form for Number {
    type Value = u32;

    fn accepts(&self, _example: Option<&u32>) -> String {
        format!("a number from {} to {}", self.0.start(), self.0.end())
    }

    fn read(&self, value: &Value) -> Result<u32, Problem> {
        let number = match value {
            Value::Integer(number) => {
                u32::try_from(*number).map_err(|error| unreadable(value, error))?
            }
            Value::String(text) => text.parse().map_err(|error| unreadable(value, error))?,
            _ => return Err(format!("{} isn't a number", shown(value))),
        };
        within(number, &self.0, value)
    }

    fn write(&self, value: &u32) -> Option<Value> {
        Some(Value::Integer((*value).into()))
    }

    fn flag(&self) -> Flag {
        Flag::One("NUMBER")
    }

    #[cfg(test)]
    fn samples(&self) -> Samples {
        let (low, high) = (i64::from(*self.0.start()), i64::from(*self.0.end()));
        Samples::new(
            &[],
            &["-7", "'many'", "''", "false", "9.0", "[]", "99999999999"],
        )
        .and(
            vec![low.to_string(), format!("'{high}'")],
            vec![(low - 1).to_string(), format!("'{}'", high + 1)],
        )
    }
}

/// A size in bytes.
pub(in crate::config) struct Size(pub(in super::super) RangeInclusive<u64>);

impl Form for Size {
    type Value = u64;

    fn accepts(&self, example: Option<&u64>) -> String {
        let text = |bytes: &u64| match in_largest_unit(*bytes) {
            Value::String(text) => text,
            bytes => format!("{bytes}B"),
        };
        bounded("size", &self.0, text, example)
    }

    fn read(&self, value: &Value) -> Result<u64, Problem> {
        let size = match value {
            Value::Integer(bytes) => {
                u64::try_from(*bytes).map_err(|error| unreadable(value, error))?
            }
            Value::String(text) => text
                .parse::<ByteSize>()
                .map_err(|error| unreadable(value, error))?
                .as_u64(),
            _ => return Err(format!("{} isn't a size", shown(value))),
        };
        within(size, &self.0, value)
    }

    fn write(&self, value: &u64) -> Option<Value> {
        Some(in_largest_unit(*value))
    }

    fn flag(&self) -> Flag {
        Flag::One("SIZE")
    }

    #[cfg(test)]
    fn samples(&self) -> Samples {
        let bad = [
            "-1",
            "'64XB'",
            "'big'",
            "''",
            "true",
            "1.5",
            "[1]",
            "{ a = 1 }",
            "2024-01-01",
        ];
        let (low, high) = (*self.0.start(), *self.0.end());
        let below = low.checked_sub(1).map(|below| below.to_string());
        let outside = below.into_iter().chain([format!("'{}'", high + 1)]);
        Samples::new(&[], &bad).and(
            vec![low.to_string(), format!("'{low}'"), high.to_string()],
            outside.collect(),
        )
    }
}

/// A duration.
pub(in crate::config) struct Span(pub(in super::super) RangeInclusive<Duration>);

impl Form for Span {
    type Value = Duration;

    fn accepts(&self, example: Option<&Duration>) -> String {
        let text = |span: &Duration| duration::format(*span);
        bounded("duration", &self.0, text, example)
    }

    fn read(&self, value: &Value) -> Result<Duration, Problem> {
        let text = value
            .as_str()
            .ok_or_else(|| format!("{} has no unit", shown(value)))?;
        let duration = duration::parse(text).map_err(|error| unreadable(value, error))?;
        within(duration, &self.0, value)
    }

    fn write(&self, value: &Duration) -> Option<Value> {
        Some(Value::String(duration::format(*value)))
    }

    fn flag(&self) -> Flag {
        Flag::One("DURATION")
    }

    #[cfg(test)]
    fn samples(&self) -> Samples {
        const TICK: Duration = Duration::from_millis(1);
        let bad = [
            "10",
            "0",
            "'-1s'",
            "'soon'",
            "'never'",
            "''",
            "true",
            "['1s']",
            "'99999999999999999999s'",
            "'15M'",
            "'1y'",
            "'1.5m'",
        ];
        let typed = |span| format!("'{}'", duration::format(span));
        let (low, high) = (*self.0.start(), *self.0.end());
        let below = low.checked_sub(TICK).into_iter();
        let outside = below.chain([high + TICK]).map(typed).collect();
        Samples::new(&[], &bad).and(vec![typed(low), typed(low + TICK), typed(high)], outside)
    }
}

fn bounded<T>(
    what: &str,
    bounds: &RangeInclusive<T>,
    text: impl Fn(&T) -> String,
    example: Option<&T>,
) -> String {
    let (low, high) = (text(bounds.start()), text(bounds.end()));
    let example = example.map(|example| format!(", such as \"{}\"", text(example)));
    let example = example.unwrap_or_default();
    format!("a {what} from {low} to {high}{example}")
}

fn within<T: PartialOrd>(
    parsed: T,
    bounds: &RangeInclusive<T>,
    value: &Value,
) -> Result<T, Problem> {
    if bounds.contains(&parsed) {
        Ok(parsed)
    } else {
        Err(out_of_bounds(value))
    }
}

/// The problem of a value that is too small or too large.
pub(in crate::config) fn out_of_bounds(value: &Value) -> Problem {
    format!("{} is out of bounds", shown(value))
}

/// Writes a size exactly, unlike bytesize, which rounds: in the largest unit that divides it.
fn in_largest_unit(bytes: u64) -> Value {
    let units = [
        ("PiB", 50),
        ("TiB", 40),
        ("GiB", 30),
        ("MiB", 20),
        ("KiB", 10),
    ];
    let unit = units
        .into_iter()
        .find(|(_, shift)| bytes != 0 && bytes.trailing_zeros() >= *shift);
    match (unit, i64::try_from(bytes)) {
        (Some((name, shift)), _) => Value::String(format!("{}{name}", bytes >> shift)),
        (None, Ok(bytes)) => Value::Integer(bytes),
        (None, Err(_)) => Value::String(bytes.to_string()),
    }
}
