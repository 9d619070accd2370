//! Time on the wire and back. What the server answers is checked: a message
//! that breaks the contract becomes an error, never a panic.

use std::time::{Duration, SystemTime};

use crate::Error;

/// A span for a message. One beyond what the wire can say (10,000 years) is cut
/// to that, for the server to judge.
pub(crate) fn span(span: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(span.min(MAX_SPAN)).unwrap_or_default()
}

const MAX_SPAN: Duration = Duration::from_secs(315_576_000_000);

/// The span that the field `what` of an answer holds.
pub(crate) fn parse_span(
    span: Option<prost_types::Duration>,
    what: &'static str,
) -> Result<Duration, Error> {
    span.and_then(|span| parts(span.seconds, span.nanos))
        .ok_or(Error::Malformed(what))
}

/// The time that the field `what` of an answer holds.
pub(crate) fn parse_time(
    time: Option<prost_types::Timestamp>,
    what: &'static str,
) -> Result<SystemTime, Error> {
    time.and_then(|time| parts(time.seconds, time.nanos))
        .and_then(|since_epoch| SystemTime::UNIX_EPOCH.checked_add(since_epoch))
        .ok_or(Error::Malformed(what))
}

// prost's own conversions panic or wrap on some of what can be decoded.
fn parts(seconds: i64, nanos: i32) -> Option<Duration> {
    let nanos = u32::try_from(nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(seconds).ok()?, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_survives_the_way_there_and_back() {
        for expected in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::new(43_200, 5),
            MAX_SPAN,
        ] {
            assert_eq!(parse_span(Some(span(expected)), "ttl").unwrap(), expected);
        }
        assert_eq!(
            parse_span(Some(span(Duration::MAX)), "ttl").unwrap(),
            MAX_SPAN
        );
    }

    #[test]
    fn impossible_time_is_malformed() {
        for (seconds, nanos) in [
            (-1, 0),
            (0, -1),
            (0, 1_000_000_000),
            (i64::MIN, i32::MIN),
            (1, i32::MAX),
        ] {
            let span = prost_types::Duration { seconds, nanos };
            assert!(matches!(
                parse_span(Some(span), "ttl"),
                Err(Error::Malformed("ttl"))
            ));
            let time = prost_types::Timestamp { seconds, nanos };
            assert!(matches!(
                parse_time(Some(time), "at"),
                Err(Error::Malformed("at"))
            ));
        }
        assert!(parse_span(None, "ttl").is_err());
        assert!(parse_time(None, "at").is_err());
        let beyond = prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 999_999_999,
        };
        // Whether this fits is the platform's choice; that it doesn't panic is ours.
        let _ = parse_time(Some(beyond), "at");
    }
}
