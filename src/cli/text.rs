//! Durations and times as people type and read them on the command line.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use credcache_core::MAX_COOL_DOWN;

use crate::duration;

/// A duration that isn't zero: a lifetime, a timeout or a period.
pub(super) fn parse_interval(text: &str) -> Result<Duration, &'static str> {
    match duration::parse(text)? {
        Duration::ZERO => Err("must be more than zero"),
        interval => Ok(interval),
    }
}

/// A duration of at most 5 minutes, the server's bound.
pub(super) fn parse_pause(text: &str) -> Result<Duration, &'static str> {
    match duration::parse(text)? {
        pause if pause > MAX_COOL_DOWN => Err("must be at most 5m"),
        pause => Ok(pause),
    }
}

/// A time by RFC 3339, with any offset.
pub(super) fn parse_time(text: &str) -> Result<SystemTime, &'static str> {
    match OffsetDateTime::parse(text.trim(), &Rfc3339) {
        Ok(time) => Ok(time.into()),
        Err(_) => Err("must be a time by RFC 3339, as in 2031-05-01T12:00:00Z or \
                       2031-05-01T14:00:00+02:00"),
    }
}

/// The time by RFC 3339 in UTC, cut to the millisecond and never rounded up.
pub(super) fn rfc3339(time: SystemTime) -> String {
    // humantime panics at times before 1970.
    if time < SystemTime::UNIX_EPOCH {
        return "before the year 1970".into();
    }
    let mut text = String::new();
    match write!(text, "{}", humantime::format_rfc3339_millis(time)) {
        Ok(()) => text,
        Err(_) => "after the year 9999".into(),
    }
}

/// A duration without its fraction of a second.
pub(super) fn seconds(span: Duration) -> String {
    duration::format(Duration::from_secs(span.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn interval_is_never_zero() {
        assert_eq!(parse_interval("1m 30s"), Ok(Duration::from_secs(90)));
        for wrong in ["0s", "0h 0m", "", "5", "-1s"] {
            assert!(parse_interval(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn pause_is_as_long_as_the_server_takes_it() {
        assert_eq!(parse_pause("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_pause("0s"), Ok(Duration::ZERO));
        assert!(parse_pause("301s").is_err() && parse_pause("5M").is_err());
    }

    #[test]
    fn time_is_read_with_any_offset() {
        for (text, time) in [
            ("2033-05-18T03:33:20Z", at(2_000_000_000)),
            ("2033-05-18T05:33:20+02:00", at(2_000_000_000)),
            ("2033-05-17T22:03:20-05:30", at(2_000_000_000)),
            (
                "2033-05-18t03:33:20.25z",
                at(2_000_000_000) + Duration::from_millis(250),
            ),
        ] {
            assert_eq!(parse_time(text), Ok(time), "{text}");
        }
        for wrong in [
            "",
            "tomorrow",
            "2033-05-18",
            "2033-05-18T03:33:20",
            "2033-13-18T03:33:20Z",
            "2000000000",
        ] {
            assert!(parse_time(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn time_is_cut_to_what_is_shown() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1, 999_999_999);
        assert_eq!(rfc3339(time), "1970-01-01T00:00:01.999Z");
        assert_eq!(rfc3339(at(1 << 40)), "after the year 9999");
        let earlier = SystemTime::UNIX_EPOCH - Duration::from_nanos(1);
        assert_eq!(rfc3339(earlier), "before the year 1970");
        assert_eq!(seconds(Duration::new(3661, 999)), "1h 1m 1s");
    }
}
