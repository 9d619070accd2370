//! Arbitrary times, for tests and fuzz targets.

use std::time::{Duration, SystemTime};

use credcache_client::Lifetime;

use super::{
    lifetime::{FetchedLifetime, Source, wall_now},
    text,
};

/// A hundred years.
const LONGEST: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);
/// The year 9999 without its last day.
const LAST: Duration = Duration::from_secs(253_402_214_400);
/// The precision of a printed time, to which times are cut.
const SHOWN: Duration = Duration::from_millis(1);

/// Checks that every lifetime that is read has a bounded rest, and that a printed time is read back
/// as the same time.
pub(crate) fn times(input: &[u8]) {
    if let Ok(line) = str::from_utf8(input) {
        if let Ok(interval) = text::parse_interval(line) {
            assert!(!interval.is_zero() && interval <= LONGEST);
        }
        if let Ok(time) = text::parse_time(line) {
            assert_shown_cut(time);
        }
    }
    // The first line says where the end is found; the rest is the program's output.
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (source, printed) = (&input[..end], &input[end + 1..]);
    let source = str::from_utf8(source).map(Source::parse);
    let Ok(Ok(source)) = source else { return };
    let before = wall_now();
    match FetchedLifetime::Stated(source).of(printed) {
        Ok(Lifetime::Ttl(ttl)) => assert!(!ttl.is_zero() && ttl <= LONGEST),
        Ok(Lifetime::ExpiresAt(end)) => assert!(end > before),
        Err(lifetime_error) => assert!(!lifetime_error.to_string().is_empty()),
    }
}

/// Checks that a printed time is read back as the same time, or as less than a millisecond earlier.
/// Times outside the printable range are printed as words, which aren't read as a time.
fn assert_shown_cut(time: SystemTime) {
    match text::parse_time(&text::rfc3339(time)) {
        Ok(shown) => assert!(shown <= time && time < shown + SHOWN),
        Err(_) => assert!(time < SystemTime::UNIX_EPOCH || time > SystemTime::UNIX_EPOCH + LAST),
    }
}
