//! Durations and timestamps, from and to the wire.

use std::{ops::RangeInclusive, time::Duration};

use credcache_core::WallTime;

/// The seconds of a valid Timestamp: the years 1 to 9999.
const TIMESTAMP_SECONDS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// The most seconds of a valid Duration: ten thousand years.
const DURATION_SECONDS: i64 = 315_576_000_000;

/// # Errors
/// The rule that the duration breaks.
pub(super) fn parse_duration(duration: prost_types::Duration) -> Result<Duration, &'static str> {
    let prost_types::Duration { seconds, nanos } = duration;
    if seconds < 0 || nanos < 0 {
        return Err("must not be negative");
    }
    match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(secs), Ok(nanos)) if seconds <= DURATION_SECONDS && nanos < 1_000_000_000 => {
            Ok(Duration::new(secs, nanos))
        }
        _ => Err("is not a valid duration"),
    }
}

/// Parses a timestamp. Times before 1970 become 1970, which is also in the past.
///
/// # Errors
/// The rule that the timestamp breaks.
pub(super) fn parse_timestamp(timestamp: prost_types::Timestamp) -> Result<WallTime, &'static str> {
    let prost_types::Timestamp { seconds, nanos } = timestamp;
    match u32::try_from(nanos) {
        Ok(nanos) if nanos < 1_000_000_000 && TIMESTAMP_SECONDS.contains(&seconds) => {
            let since_epoch = u64::try_from(seconds).map(|secs| Duration::new(secs, nanos));
            Ok(WallTime::from_unix(since_epoch.unwrap_or_default()))
        }
        _ => Err("is not a valid timestamp"),
    }
}

pub(super) fn duration(duration: Duration) -> prost_types::Duration {
    // Every duration here is below ten years, and every time before the year 2554.
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos().cast_signed(),
    }
}

pub(super) fn timestamp(at: WallTime) -> prost_types::Timestamp {
    let prost_types::Duration { seconds, nanos } = duration(at.since_unix());
    prost_types::Timestamp { seconds, nanos }
}
