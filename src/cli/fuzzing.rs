//! Times that nobody chose. For tests and fuzz targets.

use std::time::{Duration, SystemTime};

use credcache_client::Lifetime;

use super::{
    lifetime::{FetchedLifetime, Source, wall_now},
    text,
};

/// A hundred years.
const LONGEST: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);
/// The year 9999, but for its last day.
const LAST: Duration = Duration::from_secs(253_402_214_400);
/// What a time that is shown is cut to.
const SHOWN: Duration = Duration::from_millis(1);

/// What is read as a lifetime has a bounded one left, and what is shown of a time is read
/// as the same.
pub(crate) fn times(input: &[u8]) {
    if let Ok(line) = str::from_utf8(input) {
        if let Ok(interval) = text::parse_interval(line) {
            assert!(!interval.is_zero() && interval <= LONGEST);
        }
        if let Ok(time) = text::parse_time(line) {
            assert_shown_cut(time);
        }
    }
    // The first line says where the end is to be found, the rest is what was printed.
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
        Err(unstated) => assert!(!unstated.to_string().is_empty()),
    }
}

/// What is shown of a time is read as the same, or as less than a millisecond earlier; it
/// isn't a time if that is before or after what can be shown.
fn assert_shown_cut(time: SystemTime) {
    match text::parse_time(&text::rfc3339(time)) {
        Ok(shown) => assert!(shown <= time && time < shown + SHOWN),
        Err(_) => assert!(time < SystemTime::UNIX_EPOCH || time > SystemTime::UNIX_EPOCH + LAST),
    }
}
