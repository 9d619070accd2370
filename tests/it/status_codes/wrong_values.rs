//! Invalid values of each kind of field.

use prost_types::{Duration, Timestamp};

use crate::fixture::START;

/// Texts that are not a namespace.
pub(super) fn no_namespaces() -> impl Iterator<Item = String> {
    let texts = ["", "-qz", ".qz", "_qz", "QZ", "q z", "qä", "q/z", "q\0z"];
    let long = "q".repeat(64);
    texts.map(str::to_owned).into_iter().chain([long])
}

/// Texts that are not a key.
pub(super) fn no_keys() -> [String; 2] {
    [String::new(), "qz".repeat(512) + "q"]
}

/// Invalid or negative durations.
pub(super) fn no_durations() -> impl Iterator<Item = Duration> {
    [
        (-1, 0),
        (0, -1),
        (1, -1),
        (-1, 1),
        (0, 1_000_000_000),
        (0, i32::MIN),
        (315_576_000_001, 0),
        (i64::MAX, 0),
        (i64::MIN, 0),
    ]
    .into_iter()
    .map(|(seconds, nanos)| Duration { seconds, nanos })
}

/// Times that are invalid or past.
pub(super) fn no_expiries() -> impl Iterator<Item = Timestamp> {
    let now = i64::try_from(START.as_secs()).unwrap();
    [
        (now, 0),
        (now - 1, 999_999_999),
        (0, 0),
        (-1, 0),
        (-62_135_596_800, 0),
        (-62_135_596_801, 0),
        (253_402_300_800, 0),
        (i64::MAX, 0),
        (i64::MIN, 0),
        (now + 9, -1),
        (now + 9, 1_000_000_000),
    ]
    .into_iter()
    .map(|(seconds, nanos)| Timestamp { seconds, nanos })
}
