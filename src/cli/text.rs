//! Times as people type and read them.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

/// A duration that isn't zero: a timeout or a period.
pub(super) fn parse_interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be more than zero".into()),
        Ok(interval) => Ok(interval),
        Err(error) => Err(error.to_string()),
    }
}

/// RFC 3339 in UTC, to the millisecond; cut, never rounded up.
pub(super) fn rfc3339(time: SystemTime) -> String {
    let mut text = String::new();
    match write!(text, "{}", humantime::format_rfc3339_millis(time)) {
        Ok(()) => text,
        Err(_) => "after the year 9999".into(),
    }
}

/// A duration without its fraction of a second.
pub(super) fn seconds(span: Duration) -> String {
    humantime::format_duration(Duration::from_secs(span.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_is_never_zero() {
        assert_eq!(parse_interval("1m 30s"), Ok(Duration::from_secs(90)));
        for wrong in ["0s", "", "5", "-1s"] {
            assert!(parse_interval(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn time_is_cut_to_what_is_shown() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1, 999_999_999);
        assert_eq!(rfc3339(time), "1970-01-01T00:00:01.999Z");
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(rfc3339(far), "after the year 9999");
        assert_eq!(seconds(Duration::new(3661, 999)), "1h 1m 1s");
    }
}
