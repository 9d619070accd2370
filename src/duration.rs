//! Durations as people type and read them.
//!
//! A duration with two possible meanings, such as `15M`, is refused, so that a duration is never
//! longer than the person who typed it meant.

use std::{fmt::Write, time::Duration};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// The longest duration, in milliseconds like the units. Anything longer is a typing error.
const LONGEST: u64 = 36_500 * DAY;

const FORM: &str = "must be a number and a unit, as in 90s, 15m or 1h 30m";

/// Parses whole numbers with units, from the largest unit to the smallest, as in `1h 30m`.
///
/// # Errors
/// The problem with the text, without the text itself.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(FORM);
    }
    let (mut sum, mut last) = (0_u64, u64::MAX);
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !c.is_ascii_digit());
        if number.is_empty() {
            return Err(FORM);
        }
        let (name, after) = split_where(after.trim_start(), |c| !c.is_alphabetic());
        let unit = unit(name, after)?;
        if unit >= last {
            return Err("each unit may appear once, the largest first, as in 1h 30m");
        }
        last = unit;
        let part = number.parse().ok().and_then(|n: u64| n.checked_mul(unit));
        sum = part
            .and_then(|part| sum.checked_add(part))
            .filter(|sum| *sum <= LONGEST)
            .ok_or("must be at most 100 years")?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(sum))
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

/// The milliseconds of a unit. `after` is the text after its name.
fn unit(name: &str, after: &str) -> Result<u64, &'static str> {
    match name {
        "ms" | "msec" | "millis" | "millisecond" | "milliseconds" => Ok(1),
        "s" | "sec" | "secs" | "second" | "seconds" => Ok(SECOND),
        "m" | "min" | "mins" | "minute" | "minutes" => Ok(MINUTE),
        "h" | "hr" | "hrs" | "hour" | "hours" => Ok(HOUR),
        "d" | "day" | "days" => Ok(DAY),
        "" if after.starts_with(['.', ',']) => Err("numbers must be whole: write 1.5h as 1h 30m"),
        "" => Err("a number needs a unit: ms, s, m, h or d"),
        "M" => Err("M could mean minutes or months: write minutes as m, and months in days"),
        "w" | "wk" | "week" | "weeks" | "mo" | "month" | "months" | "y" | "yr" | "year"
        | "years" => Err("weeks, months and years are written in days, as in 7d"),
        _ => Err("the units are ms, s, m, h and d, in lower case"),
    }
}

/// Formats a duration as [`parse`] reads it: `1h 30m`. Fractions of a millisecond are cut off.
pub(crate) fn format(span: Duration) -> String {
    let mut left = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, name) in [
        (DAY, "d"),
        (HOUR, "h"),
        (MINUTE, "m"),
        (SECOND, "s"),
        (1, "ms"),
    ] {
        let (count, rest) = (left / unit, left % unit);
        if count > 0 {
            let space = if text.is_empty() { "" } else { " " };
            let _ = write!(text, "{space}{count}{name}");
        }
        left = rest;
    }
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_read_in_letters_and_in_words() {
        for (text, millis) in [
            ("250ms", 250),
            ("90s", 90_000),
            ("15m", 900_000),
            ("1h 30m", 5_400_000),
            ("1h30m", 5_400_000),
            (" 15 min ", 900_000),
            ("1 day 2 hours 3 minutes 4 seconds 5 millis", 93_784_005),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_may_be_mistyped_is_refused_with_a_hint() {
        for (text, hint) in [
            ("15M", "write minutes as m"),
            ("1h 15M", "write minutes as m"),
            ("1y", "in days"),
            ("2w", "in days"),
            ("3months", "in days"),
            ("900", "needs a unit"),
            ("1h30", "needs a unit"),
            ("1.5h", "1h 30m"),
            ("1,5h", "1h 30m"),
            ("15S", "in lower case"),
            ("5us", "the units are"),
            ("15µs", "the units are"),
            ("5m 5m", "each unit may appear once"),
            ("30m 1h", "the largest first"),
            ("", "a number and a unit"),
            ("h", "a number and a unit"),
            ("-1s", "a number and a unit"),
            ("soon", "a number and a unit"),
            ("١s", "a number and a unit"),
            ("36501d", "100 years"),
            ("99999999999999999999s", "100 years"),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.contains(hint), "{text}: {refused}");
        }
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for (millis, text) in [
            (0, "0s"),
            (1, "1ms"),
            (5_000, "5s"),
            (5_400_000, "1h 30m"),
            (93_784_005, "1d 2h 3m 4s 5ms"),
            (315_576_000_000, "3652d 12h"),
        ] {
            let span = Duration::from_millis(millis);
            assert_eq!(format(span), text);
            assert_eq!(parse(text), Ok(span));
        }
        assert_eq!(format(Duration::from_nanos(1_500_999_999)), "1s 500ms");
    }
}
